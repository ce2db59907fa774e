"""Run a command for each letter: its body on standard input, the rest in the environment, no shell."""

import contextlib
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentorchestr.bus.agent import Job
from agentorchestr.bus.names import short_name
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import BusError
from agentorchestr.model.mail import Letter
from agentorchestr.paths import ensure_private, write_private
from agentorchestr.process import offload, run
from agentorchestr.swarm.artifacts import ARTIFACT_BYTES

LIMIT_S = 300.0
START_S = 10.0
LOOK_S = 0.01
LOOK_MOST_S = 0.1
ALIVE_LOOKS = 20
KEPT_S = 7 * 86400
TAIL_CHARS = 500
WITNESS = Path(__file__).parent.parent / "shim" / "witness.py"


class CommandFailed(BusError):
    """A command that was run for a letter failed, or took too long."""


class Command:
    """Runs *argv* once for each letter, for ``Bus.serve``; what it prints is the answer to a question.

    It may take *limit_s*. It runs beside this process: when we are killed in the middle it goes on, and
    the next start waits for its end instead of running it again. *folder* is private to this agent.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        limit_s: float = LIMIT_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._argv = tuple(argv)
        self._folder = folder
        self._env = dict(env)
        self._limit_s = limit_s
        self._clock = clock

    async def __call__(self, letter: Letter) -> str | None:
        """Run the command and give what it printed, None for nothing.

        Raises ``CommandFailed``.
        """
        return await self._run(f"{letter.sender}\n{letter.letter_id}", letter.body, environment_of(letter))

    async def do(self, job: Job) -> str:
        """Run the command for a task: its text is the body, and what it prints the result.

        Raises ``CommandFailed``.
        """
        told = {
            "TASK_ID": job.task_id,
            "CAPABILITY": job.capability,
            "FROM": short_name(job.requester),
            "ATTEMPT": str(job.attempt),
            "KIND": "task",
        }
        env = {f"AGENTORCHESTR_{name}": value for name, value in told.items()}
        return await self._run(f"{job.requester}\n{job.task_id}\n{job.attempt}", job.text, env) or ""

    async def _run(self, name: str, body: str, told: Mapping[str, str]) -> str | None:
        await offload(self._forget_old)
        key = self._folder / hashlib.sha256(name.encode()).hexdigest()[:32]
        code = await self._outcome(key, body, told)
        said = await offload(_tail, key.with_suffix(".out"))
        if code:
            err = (await offload(_tail, key.with_suffix(".err"))).strip()[-TAIL_CHARS:]
            raise CommandFailed(f"{self._argv[0]} ended with {code}{': ' if err else ''}{err}")
        return said or None

    async def _outcome(self, key: Path, body: str, told: Mapping[str, str]) -> int:
        done = key.with_suffix(".done")
        looks, pause_s = 0, LOOK_S
        while not done.exists():
            if looks % ALIVE_LOOKS == 0 and not await offload(_is_held, key.with_suffix(".lock")):
                await offload(self._start, key, body, told)
            looks += 1
            await self._clock.pause(pause_s)
            pause_s = min(pause_s * 1.2, LOOK_MOST_S)
        return int(done.read_text())

    def _start(self, key: Path, body: str, told: Mapping[str, str]) -> None:
        ensure_private(self._folder)
        write_private(key.with_suffix(".body"), body)
        words = [sys.executable, "-I", "-S", str(WITNESS), str(key), str(self._limit_s), *self._argv]
        done = run(words, timeout_s=START_S, env={**self._env, **told})
        if done.returncode:
            raise CommandFailed(f"cannot run {self._argv[0]}: {done.error_text[-TAIL_CHARS:]}")

    def _forget_old(self) -> None:
        """Remove what was left by letters of long ago."""
        stale = time.time() - KEPT_S
        for file in self._folder.glob("*.*") if self._folder.is_dir() else ():
            # Another command of this agent may clean up at the same time.
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < stale:
                    file.unlink()


def environment_of(letter: Letter) -> dict[str, str]:
    """What a command is told of its letter, beside the body."""
    told = {
        "FROM": short_name(letter.sender),
        "TO": short_name(letter.receiver) if letter.receiver else "all",
        "LETTER_ID": letter.letter_id,
        "SUBJECT": letter.subject,
        "KIND": letter.kind.value,
        "CONTENT_TYPE": letter.content_type,
        "PRIORITY": letter.priority,
        "THREAD": letter.thread,
        "ANSWERS": letter.answers,
        "REPLY_TO": short_name(letter.reply_to or letter.sender),
        "AT": f"{letter.created_at:.3f}",
        "VERIFIED": "1" if letter.verified else "",
    }
    return {f"AGENTORCHESTR_{name}": value for name, value in told.items()}


def _is_held(lock: Path) -> bool:
    """Whether a witness runs that has this lock."""
    try:
        fd = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _tail(file: Path) -> str:
    try:
        with file.open("rb") as said:
            size = os.fstat(said.fileno()).st_size
            said.seek(max(size - ARTIFACT_BYTES, 0))
            return said.read().decode(errors="replace").replace("\N{REPLACEMENT CHARACTER}", "?")
    except FileNotFoundError:
        return ""
