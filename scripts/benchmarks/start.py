"""How fast the command starts, and how fast it finds the agents."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.measuring import Figure, Group, interleaved, ms, timed_program

COMMAND = (sys.executable, "-c", "from agentorchestr.cli.main import main; main()")
ROUNDS = 15
PROBES = {
    "claude": (0.15, "2.1.0 (Claude Code)", '{"loggedIn": true}'),
    "codex": (0.3, "codex-cli 0.169.0", "Not logged in"),
    "gemini": (0.5, "0.40.1", ""),
    "aider": (0.4, "aider 0.86.1", ""),
}
"""Agents played by scripts: how long any answer takes, then the answers for version and login."""


def measure_start() -> Iterator[Figure]:
    click, version, shown_help = interleaved(
        [
            lambda: timed_program((sys.executable, "-c", "import click")),
            lambda: timed_program((*COMMAND, "--version")),
            lambda: timed_program((*COMMAND, "--help")),
        ],
        rounds=ROUNDS,
    )
    for name, took in (("--version", version), ("--help", shown_help)):
        yield Figure(f"{name} / import click", took / click, "x", 3.0, f"{ms(took)} / {ms(click)}")


def measure_detect() -> Iterator[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="ao-"))
    try:
        env = _machine(folder)
        slowest = str(folder / "bin" / max(PROBES, key=lambda name: PROBES[name][0]))

        def cold() -> float:
            shutil.rmtree(folder / "home/.cache", ignore_errors=True)
            return timed_program((*COMMAND, "--detect"), env=env)

        probe, detect, cached = interleaved(
            [
                lambda: timed_program((slowest, "--version"), env=env),
                cold,
                lambda: timed_program((*COMMAND, "--detect"), env=env),
            ],
            rounds=5,
        )
    finally:
        shutil.rmtree(folder)
    over = (detect - probe) * 1000
    yield Figure("--detect over its slowest probe", over, "ms", 100.0, f"{ms(detect)} - {ms(probe)}")
    yield Figure("--detect from the cache", cached * 1000, "ms", None)


def _machine(folder: Path) -> dict[str, str]:
    for name in ("bin", "home"):
        (folder / name).mkdir()
    for name, (seconds, version, login) in PROBES.items():
        agent = folder / "bin" / name
        answer = f"case $1 in --version) echo '{version}' ;; *) echo '{login}' ;; esac"
        agent.write_text(f"#!/bin/sh\nsleep {seconds}\n{answer}\n")
        agent.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder / "home")}


GROUPS = (
    Group("start", "--help and --version against a bare import of click", measure_start),
    Group("detect", "--detect against its slowest probe", measure_detect),
)
