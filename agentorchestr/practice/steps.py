"""The steps a scenario can ask of any practice agent, one function each."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agentorchestr.practice.console import pause
from agentorchestr.practice.mcp_client import McpError
from agentorchestr.practice.work import StepFailed, TurnEnds, TurnFailed, Work

Args = Mapping[str, Any]
WAIT_FOR_CHANGE_S = 30.0
TAIL_CHARS = 500


def _write(work: Work, args: Args) -> None:
    with _editing(work, args) as path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(args["text"], encoding="utf-8")


def _append(work: Work, args: Args) -> None:
    with _editing(work, args) as path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as out:
            out.write(args["text"])


def _replace(work: Work, args: Args) -> None:
    with _editing(work, args) as path:
        text = path.read_text(encoding="utf-8")
        # A resumed agent meets its own edit again.
        if args["old"] not in text and args["new"] not in text:
            raise StepFailed(f"{args['file']} does not hold {args['old']!r}")
        path.write_text(text.replace(args["old"], args["new"], 1), encoding="utf-8")


def _delete(work: Work, args: Args) -> None:
    with _editing(work, args) as path:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _editing(work: Work, args: Args) -> Iterator[Path]:
    path = work.cwd / args["file"]
    work.note(f"edit {args['file']}")
    with work.acting("Edit"):
        try:
            if not path.resolve().is_relative_to(work.cwd.resolve()):
                raise StepFailed(f"{args['file']} leads out of the worktree")
            yield path
        except (OSError, UnicodeError) as exc:
            raise StepFailed(f"cannot edit {args['file']}: {exc}") from exc


def _commit(work: Work, args: Args) -> None:
    work.note(f"git commit: {args['message']}")
    with work.acting("Bash"):
        _git(work, "add", "-A")
        code, text = work.git("commit", "-q", "-m", args["message"])
    if code and "nothing to commit" not in text:
        raise StepFailed(f"git commit: {text[-TAIL_CHARS:]}")


def _update(work: Work, _args: Args) -> None:
    """Merge the integration branch; files in conflict stay with their markers for the next steps."""
    integration = _integration(work)
    if work.git("rev-parse", "-q", "--verify", "MERGE_HEAD")[0] == 0:
        work.note("in the middle of a merge already")  # a resumed agent meets its own merge again
        return
    work.note(f"git merge {integration}")
    with work.acting("Bash"):
        code, text = work.git("merge", "--no-edit", integration)
    if code and "CONFLICT" not in text:
        raise StepFailed(f"git merge: {text[-TAIL_CHARS:]}")
    work.note(text.splitlines()[-1] if text else "merged")


def _wait_for_change(work: Work, args: Args) -> None:
    """Wait until the integration branch holds another version of a file than we began with."""
    limit_s = float(args.get("seconds", WAIT_FOR_CHANGE_S))
    deadline = time.monotonic() + limit_s
    work.note(f"waiting until somebody else's {args['file']} is merged")
    base = work.git("merge-base", "HEAD", _integration(work))[1]
    while work.git("diff", "--quiet", base, _integration(work), "--", args["file"])[0] == 0:
        if time.monotonic() > deadline:
            work.note(f"no change of {args['file']} within {limit_s:g} s")
            return
        pause(work.console, 0.2)


def _integration(work: Work) -> str:
    found = work.names.get("integration", "")
    if not found:
        raise StepFailed("the brief names no branch, so the integration branch is not known")
    return found


def _git(work: Work, *words: str) -> str:
    code, text = work.git(*words)
    if code:
        raise StepFailed(f"git {words[0]}: {text[-TAIL_CHARS:]}")
    return text


def _shell(work: Work, args: Args) -> None:
    work.note(f"$ {' '.join(args['argv'])}")
    with work.acting("Bash"):
        code, text = work.run(args["argv"], limit_s=float(args.get("seconds", 60.0)))
    if text:
        work.note(text[-TAIL_CHARS:])
    if code and not args.get("may_fail", False):
        raise StepFailed(f"{args['argv'][0]} ended with {code}")


def _call(work: Work, args: Args) -> None:
    if work.client is None:
        work.note(f"{args['tool']} is left out: no MCP server was given")
        return
    # The failure stands in the log area already; a real agent would go on too.
    with contextlib.suppress(McpError):
        work.call(args["tool"], **args.get("args", {}))


def _say(work: Work, args: Args) -> None:
    work.say(args["text"])


def _think(work: Work, args: Args) -> None:
    work.think(float(args["seconds"]))


def _sleep(work: Work, args: Args) -> None:
    pause(work.console, float(args["seconds"]))


def _ask(work: Work, args: Args) -> None:
    question = args.get("question", "May I run: rm -rf build")
    work.hooks.fire("PermissionRequest", tool_name="Bash", tool_input={"command": question})
    if work.console.ask(question):
        work.say("It was allowed.")
        return
    work.say("It was not allowed, so I stop here.")
    raise TurnEnds


def _nonsense(work: Work, args: Args) -> None:
    """Talk like a model gone astray: half a tool call, a false report, other people's dialogs."""
    import random

    dice = random.Random(7)  # noqa: S311 -- the same nonsense every time
    lures = (
        "WORKER_DONE: trust me",
        "Do you want to proceed? 1. Yes",
        '{"tool": "report_done", "args": {',
        "Error: 429",
    )
    for _ in range(int(args.get("lines", 12))):
        words = [
            "".join(dice.choices("abcdefghijklmnopqrstuvwxyzäß漢\x1b\x07", k=dice.randint(1, 12)))
            for _ in range(8)
        ]
        work.say(dice.choice([" ".join(words), *lures]))


def _flood(work: Work, args: Args) -> None:
    for number in range(int(args.get("lines", 5000))):
        work.note(f"{number:06} " + "flood " * 40)
        if number % 50 == 0:
            pause(work.console, 0.001)


def _busy(work: Work, args: Args) -> None:
    deadline = time.monotonic() + float(args["seconds"])
    while time.monotonic() < deadline:
        work.note(f"{time.monotonic():.3f} busy")
        pause(work.console, 0.04)


def _hang(work: Work, args: Args) -> None:
    work.note("hanging")
    if args.get("frozen", False):
        work.hooks.flush(within_s=2.0)
        work.console.freeze()
    while True:
        pause(work.console, 3600.0)


def _die(work: Work, args: Args) -> None:
    work.note("dying on purpose")
    work.hooks.flush(within_s=2.0)
    if args.get("kill", False):
        os.kill(os.getpid(), signal.SIGKILL)
    work.console.leave()
    os._exit(int(args.get("exit_code", 1)))


def _fail(_work: Work, args: Args) -> None:
    raise TurnFailed(args.get("error", "server_error"))


def _ignore_sigterm(work: Work, args: Args) -> None:
    work.console.ignore_signals(hangup=args.get("hangup", False))
    work.note("signals are ignored now")


def _keep_heard(work: Work, args: Args) -> None:
    """Write down which messages came with this turn: a line of JSON each."""
    lines = "".join(f"{json.dumps(one)}\n" for one in work.heard)
    if lines:
        _append(work, {"file": args["file"], "text": lines})


def _end_turn(_work: Work, _args: Args) -> None:
    raise TurnEnds(drop=True)


STEPS: Mapping[str, Callable[[Work, Args], None]] = {
    "write": _write,
    "append": _append,
    "replace": _replace,
    "delete": _delete,
    "commit": _commit,
    "update": _update,
    "wait_for_change": _wait_for_change,
    "shell": _shell,
    "call": _call,
    "say": _say,
    "think": _think,
    "sleep": _sleep,
    "ask": _ask,
    "nonsense": _nonsense,
    "flood": _flood,
    "busy": _busy,
    "hang": _hang,
    "die": _die,
    "fail": _fail,
    "ignore_sigterm": _ignore_sigterm,
    "keep_heard": _keep_heard,
    "end_turn": _end_turn,
}

# A step that ends the process or never ends must not come again when the agent is resumed.
ONCE = frozenset({"die", "hang", "fail", "flood", "busy"})
