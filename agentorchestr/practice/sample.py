"""The sample repository of ``agentorchestr demo``: a tiny package whose tests need no installation."""

import os
import subprocess
from pathlib import Path

from agentorchestr.errors import GitError, MissingDependency, UsageError

DEMO_GOAL = "Teach the greeter French and German, and add longest_word to its word counter."
DEMO_CHECKS = "python3 -m unittest -q"
DIRTY_FILE = "NOTES.md"
DIRTY_LINE = "- a line the person has not committed yet\n"
GIT_LIMIT_S = 30.0

# The files end in .txt here, so that no tool of ours takes them for code of ours.
_SUFFIX = ".txt"
_RENAMED = {"gitignore": ".gitignore"}


def make_sample(folder: Path) -> Path:
    """Create the sample in *folder* as a git repository on ``main``, with one file not committed.

    Raises ``UsageError`` when something is there already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="name a directory that does not exist yet")
    source = Path(__file__).parent / "sample"
    for file in sorted(source.rglob(f"*{_SUFFIX}")):
        name = file.name.removesuffix(_SUFFIX)
        target = folder / file.parent.relative_to(source) / _RENAMED.get(name, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "config", "user.name", "demo person")
    _git(folder, "config", "user.email", "person@localhost")
    _git(folder, "config", "commit.gpgsign", "false")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "--no-verify", "-m", "a greeter and a word counter")
    with (folder / DIRTY_FILE).open("a", encoding="utf-8") as notes:
        notes.write(DIRTY_LINE)
    return folder


def _git(folder: Path, *words: str) -> None:
    """Run git on *folder* whatever repository our own environment points to."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, env=env, capture_output=True, timeout=GIT_LIMIT_S, check=False
        )
    except FileNotFoundError as exc:
        raise MissingDependency("git is not installed", hint="install git") from exc
    except subprocess.TimeoutExpired as exc:
        raise GitError(f"git {words[0]} did not end within {GIT_LIMIT_S:g} s") from exc
    if done.returncode:
        raise GitError(f"git {words[0]} in {folder}: {done.stderr.decode(errors='replace').strip()}")
