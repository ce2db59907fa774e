"""Fixtures every test folder shares: a private home, a small repository, a short socket folder."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentorchestr.paths import Paths

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A background job of a shell ignores Ctrl-C, and so would every command that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A private folder whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="ao-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def private_home(short_dir: Path) -> dict[str, str]:
    """An environment whose HOME and XDG folders are empty and private; PATH is kept."""
    home = short_dir / "home"
    runtime = short_dir / "run"
    for folder in (home, runtime):
        folder.mkdir(mode=0o700)
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def private_paths(private_home: dict[str, str]) -> Paths:
    return Paths.from_env(private_home)


@pytest.fixture
def tmux_socket(short_dir: Path) -> Iterator[Path]:
    """A socket path for a tmux server of this test; the server is ended afterwards."""
    socket = short_dir / "t.sock"
    yield socket
    if socket.exists():
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], check=False, capture_output=True)


def git(cwd: Path, *words: str) -> str:
    """Run git in *cwd* with a fixed identity and without the person's configuration."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(cwd),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.invalid",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.invalid",
    }
    done = subprocess.run(["git", *words], cwd=cwd, env=env, check=True, capture_output=True)
    return done.stdout.decode(errors="surrogateescape").strip()


def make_repo(root: Path, files: dict[str, str]) -> Path:
    """A git repository at *root* with *files* in one commit on ``main``."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    for name, text in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repo(tmp_path / "repo", {"README.md": "a sample\n", "src/app.py": "VALUE = 1\n"})
