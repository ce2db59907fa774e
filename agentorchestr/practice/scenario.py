"""Read a scenario file: what the practice agent does in place of a model; see docs/practice.md."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from agentorchestr.errors import AgentError

LONGEST_S = 3600.0


class ScenarioInvalid(AgentError):
    """A scenario file breaks a rule of the format."""


@dataclass(frozen=True)
class Shape:
    """The keys a step must and may have, with their types."""

    needs: Mapping[str, type]
    may: Mapping[str, type]


def _shape(needs: Mapping[str, type] | None = None, **may: type) -> Shape:
    return Shape(needs or {}, may)


WORKER_STEPS: Mapping[str, Shape] = {
    "write": _shape({"file": str, "text": str}),
    "append": _shape({"file": str, "text": str}),
    "replace": _shape({"file": str, "old": str, "new": str}),
    "delete": _shape({"file": str}),
    "commit": _shape({"message": str}),
    "update": _shape(),
    "wait_for_change": _shape({"file": str}, seconds=float),
    "shell": _shape({"argv": list}, seconds=float, may_fail=bool),
    "call": _shape({"tool": str}, args=dict),
    "say": _shape({"text": str}),
    "think": _shape({"seconds": float}),
    "sleep": _shape({"seconds": float}),
    "ask": _shape(question=str),
    "nonsense": _shape(lines=int),
    "flood": _shape(lines=int),
    "busy": _shape({"seconds": float}),
    "hang": _shape(frozen=bool),
    "die": _shape(exit_code=int, kill=bool),
    "fail": _shape(error=str),
    "ignore_sigterm": _shape(hangup=bool),
    "keep_heard": _shape({"file": str}),
    "end_turn": _shape(),
}
LEAD_STEPS: Mapping[str, Shape] = {
    **WORKER_STEPS,
    "run_tasks": _shape(),
    "spawn": _shape({"task": str}, save=str, role=str, agent=str, criteria=str, context=str, file_scope=list),
    "wait_any": _shape(),
    "verify": _shape(),
    "finish": _shape(summary=str, failed=bool, reason=str),
}
TASK = _shape(
    {"task": str},
    save=str,
    role=str,
    agent=str,
    criteria=str,
    context=str,
    file_scope=list,
    allow_test_changes=bool,
)
WORKER_ENTRY = _shape({"match": str, "turns": list}, reactions=list)
LEAD_ENTRY = _shape(
    {"match": str},
    tasks=list,
    turns=list,
    reactions=list,
    style=str,
    wait_s=float,
    give_up_after_s=float,
    idle_limit_s=float,
    summary=str,
)
TURN = _shape({"steps": list}, on=str)


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    do: str
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    """The steps of one turn; taken only by a prompt or message that matches ``on``, when that is set."""

    steps: tuple[Step, ...]
    on: re.Pattern[str] | None = None


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker does whose task matches."""

    match: re.Pattern[str]
    turns: tuple[Turn, ...]
    reactions: tuple[Turn, ...] = ()
    """After all turns: the first whose ``on`` matches, as often as a prompt comes."""


@dataclass(frozen=True)
class LeadPlan:
    """What a lead does whose brief matches."""

    match: re.Pattern[str]
    turns: tuple[Turn, ...]
    tasks: tuple[Mapping[str, Any], ...] = ()
    reactions: tuple[Turn, ...] = ()
    woken: bool = False
    """End the turn instead of waiting, and go on when the next line is typed."""
    wait_s: float = 20.0
    give_up_after_s: float = 900.0
    idle_limit_s: float = 15.0
    """How long nothing may run before the tasks that are left are given up."""
    summary: str = "All tasks are merged."


@dataclass(frozen=True)
class Scenario:
    """Plans in the order of the file; the first match counts."""

    workers: tuple[WorkerPlan, ...]
    leads: tuple[LeadPlan, ...]

    def for_worker(self, task: str) -> WorkerPlan | None:
        """The plan for *task*."""
        return next((plan for plan in self.workers if plan.match.search(task)), None)

    def for_lead(self, brief: str) -> LeadPlan | None:
        """The plan for the goal in *brief*."""
        return next((plan for plan in self.leads if plan.match.search(brief)), None)


RUN_TASKS = (Turn((Step("run_tasks", {}),)),)


def read_scenario(path: Path) -> Scenario:
    """Read and check the whole file. Raises ``ScenarioInvalid`` with the place of the first fault."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ScenarioInvalid(f"cannot read the scenario {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ScenarioInvalid(f"the scenario {path} is not UTF-8 TOML: {exc}") from exc
    try:
        _check(raw, _shape(worker=list, lead=list), at="the file")
        workers = [_worker(entry, at=f"worker {n}") for n, entry in enumerate(raw.get("worker", []), 1)]
        leads = [_lead(entry, at=f"lead {n}") for n, entry in enumerate(raw.get("lead", []), 1)]
    except ScenarioInvalid as exc:
        raise ScenarioInvalid(f"the scenario {path} is wrong: {exc}", hint="see docs/practice.md") from exc
    return Scenario(tuple(workers), tuple(leads))


def _worker(entry: object, *, at: str) -> WorkerPlan:
    table = _check(entry, WORKER_ENTRY, at=at)
    return WorkerPlan(
        _pattern(table["match"], at=at),
        _turns(table["turns"], WORKER_STEPS, at=at),
        _turns(table.get("reactions", []), WORKER_STEPS, at=f"{at}, reactions"),
    )


def _lead(entry: object, *, at: str) -> LeadPlan:
    table = _check(entry, LEAD_ENTRY, at=at)
    style = table.get("style", "wait")
    if style not in {"wait", "woken"}:
        raise ScenarioInvalid(f"{at}: style must be wait or woken, not {style!r}")
    tasks = tuple(
        _check(task, TASK, at=f"{at}, task {n}") for n, task in enumerate(table.get("tasks", []), 1)
    )
    turns = _turns(table["turns"], LEAD_STEPS, at=at) if "turns" in table else RUN_TASKS
    return LeadPlan(
        match=_pattern(table["match"], at=at),
        turns=turns,
        tasks=tasks,
        reactions=_turns(table.get("reactions", []), LEAD_STEPS, at=f"{at}, reactions"),
        woken=style == "woken",
        wait_s=float(table.get("wait_s", LeadPlan.wait_s)),
        give_up_after_s=float(table.get("give_up_after_s", LeadPlan.give_up_after_s)),
        idle_limit_s=float(table.get("idle_limit_s", LeadPlan.idle_limit_s)),
        summary=table.get("summary", LeadPlan.summary),
    )


def _turns(entries: Sequence[object], known: Mapping[str, Shape], *, at: str) -> tuple[Turn, ...]:
    return tuple(_turn(entry, known, at=f"{at}, turn {n}") for n, entry in enumerate(entries, 1))


def _turn(entry: object, known: Mapping[str, Shape], *, at: str) -> Turn:
    table: dict[str, Any] = {"steps": entry} if isinstance(entry, list) else _check(entry, TURN, at=at)
    on = _pattern(table["on"], at=at) if "on" in table else None
    steps = (_step(step, known, at=f"{at}, step {n}") for n, step in enumerate(table["steps"], 1))
    return Turn(tuple(steps), on)


def _step(entry: object, known: Mapping[str, Shape], *, at: str) -> Step:
    if not isinstance(entry, dict) or not isinstance(entry.get("do"), str):
        raise ScenarioInvalid(f"{at}: a step is a table with do = one of {', '.join(known)}")
    do = entry["do"]
    if do not in known:
        raise ScenarioInvalid(f"{at}: do = {do!r} is unknown here; known: {', '.join(known)}")
    args = _check({key: value for key, value in entry.items() if key != "do"}, known[do], at=f"{at} ({do})")
    if "file" in args:
        _check_inside(args["file"], at=at)
    if not 0 <= float(args.get("seconds", 0)) <= LONGEST_S:
        raise ScenarioInvalid(f"{at}: seconds must be from 0 to {LONGEST_S:.0f}")
    return Step(do, args)


def _check_inside(file: str, *, at: str) -> None:
    path = PurePosixPath(file)
    if not file or path.is_absolute() or ".." in path.parts or ".git" in path.parts:
        raise ScenarioInvalid(f"{at}: file must be a path inside the worktree, not {file!r}")


def _check(entry: object, shape: Shape, *, at: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ScenarioInvalid(f"{at}: must be a table")
    for key in shape.needs:
        if key not in entry:
            raise ScenarioInvalid(f"{at}: {key} is missing")
    for key, value in entry.items():
        wanted = shape.needs.get(key) or shape.may.get(key)
        if wanted is None:
            known = ", ".join([*shape.needs, *shape.may]) or "none"
            raise ScenarioInvalid(f"{at}: the key {key} is unknown; known: {known}")
        if not _fits(value, wanted):
            raise ScenarioInvalid(f"{at}: {key} must be of type {wanted.__name__}")
        if wanted is list and key in {"argv", "file_scope"} and not all(isinstance(v, str) for v in value):
            raise ScenarioInvalid(f"{at}: {key} must hold strings")
    return entry


def _fits(value: object, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, int | float) if wanted is float else isinstance(value, wanted)


def _pattern(text: str, *, at: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE | re.DOTALL)
    except re.error as exc:
        raise ScenarioInvalid(f"{at}: {text!r} is not a regular expression: {exc}") from exc
