"""The command as a person starts it: a real process, with or without a terminal."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentorchestr.clock import until

AGENTORCHESTR = (sys.executable, "-m", "agentorchestr")


def run(env: dict[str, str], cwd: Path, *words: str | bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*AGENTORCHESTR, *words], env=env, cwd=cwd, capture_output=True, timeout=60, check=False
    )


class Terminal:
    """A command on a pseudo terminal, with what it has shown so far."""

    def __init__(self, env: dict[str, str], cwd: Path, *words: str) -> None:
        self._fd, inner = pty.openpty()
        self.child = subprocess.Popen(
            [*AGENTORCHESTR, *words],
            env=env,
            cwd=cwd,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            # Only a controlling terminal turns Ctrl-C into a signal.
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),  # noqa: PLW1509  # no thread runs here
        )
        os.close(inner)
        self.shown = ""

    def shows(self, text: str) -> bool:
        return until(lambda: self._read() and text in self.shown, within_s=20)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def exit_code(self) -> int:
        until(lambda: self._read() and self.child.poll() is not None, within_s=30)
        return self.child.wait(1)

    def close(self) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self._fd)

    def _read(self) -> bool:
        while select.select([self._fd], [], [], 0)[0]:
            try:
                piece = os.read(self._fd, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            self.shown += piece.decode(errors="replace")
        return True


def test_version_and_help_exit_well(real_env: dict[str, str], tmp_path: Path) -> None:
    assert run(real_env, tmp_path, "--version").stdout == b"agentorchestr 0.1.0\n"
    helped = run(real_env, tmp_path, "--help")
    assert helped.returncode == 0
    assert b"--goal-file" in helped.stdout
    assert run(real_env, tmp_path).stdout == helped.stdout


def test_help_of_every_command_loads(real_env: dict[str, str], tmp_path: Path) -> None:
    from agentorchestr.cli.main import COMMANDS

    for name in COMMANDS:
        done = run(real_env, tmp_path, name, "--help")
        assert done.returncode == 0, (name, done.stderr)
        assert done.stdout.startswith(b"Usage: agentorchestr " + name.encode())


def test_importing_the_command_brings_in_nothing_but_click(real_env: dict[str, str], tmp_path: Path) -> None:
    script = "import sys, agentorchestr.cli.main; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=real_env, capture_output=True, cwd=tmp_path, check=True
    )
    loaded = set(done.stdout.decode().split())
    assert "click" in loaded
    assert not loaded & {
        "rich",
        "pydantic",
        "httpx",
        "mcp",
        "libtmux",
        "git",
        "psutil",
        "starlette",
        "uvicorn",
    }


def test_help_and_version_take_less_than_three_bare_imports_of_click(
    real_env: dict[str, str], tmp_path: Path
) -> None:
    def took(*argv: str) -> float:
        started = time.perf_counter()
        subprocess.run(argv, env=real_env, cwd=tmp_path, capture_output=True, check=True)
        return time.perf_counter() - started

    # In turns, so that another program's load falls on all of them.
    lines = (
        (sys.executable, "-c", "import click"),
        (*AGENTORCHESTR, "--version"),
        (*AGENTORCHESTR, "--help"),
    )
    bare, version, helped = (
        min(column) for column in zip(*([took(*line) for line in lines] for _ in range(9)), strict=True)
    )
    assert version < 3 * bare
    assert helped < 3 * bare


def test_bytes_that_are_not_utf8_on_the_command_line_are_said(real_env: dict[str, str], repo: Path) -> None:
    done = run(real_env, repo, b"--goal", b"a\xff\xfe")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"the goal is not UTF-8 (at character 2)" in done.stderr
    done = run(real_env, repo, b"--agents", b"\xff", b"--goal", b"x")
    assert done.returncode == 1
    assert "unknown agent: \ufffd".encode() in done.stderr
    done = run(real_env, repo, b"\xff")
    assert done.returncode == 1
    assert "no such command: \ufffd".encode() in done.stderr


def test_an_ascii_terminal_does_not_break_the_output(real_env: dict[str, str], repo: Path) -> None:
    done = run({**real_env, "PYTHONIOENCODING": "ascii"}, repo, "--agents", "é", "--goal", "x")
    assert done.returncode == 1
    assert b"unknown agent: \\xe9" in done.stderr


def test_a_goal_without_a_terminal_needs_trust(real_env: dict[str, str], repo: Path) -> None:
    done = run(real_env, repo, "--goal", "x")
    assert done.returncode == 1
    assert b"is not trusted yet" in done.stderr
    done = run(real_env, repo, "--goal", "x", "--trust")
    assert b"no agent is installed" in done.stderr


@pytest.mark.parametrize(
    ("answer", "next_line"), [("n", "is not trusted yet"), ("y", "no agent is installed")]
)
def test_trust_is_asked_on_a_terminal(
    real_env: dict[str, str], repo: Path, answer: str, next_line: str
) -> None:
    (repo / "Makefile").write_text("test:\n\ttrue\n")
    terminal = Terminal(real_env, repo, "--goal", "x")
    try:
        assert terminal.shows("Trust this repository? [y/N]")
        assert "- make test   (detected: make)" in terminal.shown
        terminal.type(f"{answer}\n")
        assert terminal.shows(next_line), terminal.shown
        assert terminal.exit_code() == 1
    finally:
        terminal.close()


def test_ctrl_c_at_a_question_exits_with_130(real_env: dict[str, str], repo: Path) -> None:
    terminal = Terminal(real_env, repo, "--goal", "x")
    try:
        assert terminal.shows("[y/N]")
        terminal.type("\x03")
        assert terminal.exit_code() == 130
        assert "Traceback" not in terminal.shown
    finally:
        terminal.close()


def test_a_listing_on_a_terminal_is_a_table(real_env: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal({**real_env, "COLUMNS": "160"}, tmp_path, "--detect")
    try:
        assert terminal.exit_code() == 0
        assert "version" in terminal.shown
        assert "keys set: none" in terminal.shown
    finally:
        terminal.close()


def test_keys_are_named_and_never_shown(real_env: dict[str, str], tmp_path: Path) -> None:
    done = run({**real_env, "OPENAI_API_KEY": "sk-very-secret"}, tmp_path, "--detect")
    assert b"OPENAI_API_KEY" in done.stdout
    assert b"sk-very-secret" not in done.stdout + done.stderr


def test_a_reader_that_leaves_does_not_cause_a_traceback(real_env: dict[str, str], tmp_path: Path) -> None:
    command = f"{sys.executable} -m agentorchestr --help | true"
    done = subprocess.run(["sh", "-c", command], env=real_env, cwd=tmp_path, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr


def test_a_removed_directory_is_said(real_env: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    command = f"{shutil.which('rmdir')} {folder}; exec {sys.executable} -m agentorchestr --goal x"
    done = subprocess.run(["sh", "-c", command], env=real_env, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"the current directory does not exist any more" in done.stderr
    assert b"Traceback" not in done.stderr
