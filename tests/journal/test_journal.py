import dataclasses
import sqlite3
import stat
import threading
import typing
from pathlib import Path

import pytest

from agentorchestr.errors import JournalError, StaleGeneration
from agentorchestr.journal.encoding import KINDS, decode, encode
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.broker import BrokerAbilities
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.model.states import AgentEventKind, CheckOutcome, MergeResult, Outcome, Report, WorkerState
from agentorchestr.model.verdict import CheckCommand, CheckRun, Conflict, MergeAttempt, Verdict
from agentorchestr.model.view import SessionView

CREATED = f.SessionCreated(
    session_id="s1",
    goal="a goal\nwith `$(x)` — ü",
    project="/p",
    repository="/p",
    base_branch="main",
    base_commit="c0",
    lead_agent="practice",
    worker_agents=("practice",),
    max_workers=4,
    checks=(CheckCommand(("make", "test"), "detected: make", "make test"),),
    timeout_s=0.0,
    land=False,
    manual=False,
)


def spawned(worker_id: str = "w1") -> f.WorkerSpawned:
    return f.WorkerSpawned(
        worker_id, "implementer", "practice", "do it", ("src/",), "", "", f"b/{worker_id}", "/wt", "n0"
    )


def view_after(folder: Path, *facts: f.Fact) -> SessionView:
    with Journal.create(folder) as journal:
        journal.append([CREATED, *facts])
        return derive(journal.facts())


def verdict(outcome: CheckOutcome) -> Verdict:
    run = CheckRun("make test", 0, 0.1, "3 passed", "ok")
    return Verdict("v1", "c1", "t1", outcome, (run,), 0.1, 1.0)


def test_every_kind_of_fact_comes_back_as_it_went_in(tmp_path: Path) -> None:
    attempt = MergeAttempt(
        "m1",
        "w1",
        MergeResult.CONFLICT,
        conflicts=(Conflict("a", "content", "<<<<"),),
        verdict=verdict(CheckOutcome.RED),
    )
    for kind, shape in KINDS.items():
        hints = typing.get_type_hints(shape)
        values: dict[str, object] = {}
        for field in dataclasses.fields(shape):
            values[field.name] = sample(hints[field.name], attempt)
        fact = shape(**values)
        assert encode(fact)[0] == kind
        assert decode(*encode(fact)) == fact


def sample(hint: object, attempt: MergeAttempt) -> object:
    known: dict[object, object] = {
        str: "text\x00\n",
        int: 7,
        float: 1.5,
        bool: True,
        MergeAttempt: attempt,
        Verdict: verdict(CheckOutcome.GREEN),
        Outcome: Outcome.DONE,
        Report: Report.BLOCKED,
        AgentEventKind: AgentEventKind.ASKS,
        tuple[str, ...]: ("a", "b"),
        tuple[int, ...]: (3, 4),
        tuple[CheckCommand, ...]: CREATED.checks,
        int | None: None,
        BrokerAbilities | None: BrokerAbilities(*[True] * 8, 65536, shared_on_a2a_granted=True),
        float | None: 2.5,
        WorktreeSetup: WorktreeSetup(("a",), (), (("sh", "-c", "make"),), ("PORT",)),
    }
    return known[hint]


def test_a_journal_is_private_and_read_back_in_order(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        journal.append([CREATED, spawned()])
        journal.append([f.ProgressNoted("w1", "half")])
    assert stat.S_IMODE((tmp_path / "journal.sqlite").stat().st_mode) == 0o600
    with Journal.open_read(tmp_path) as reader:
        facts = reader.facts()
    assert [item.seq for item in facts] == [1, 2, 3]
    assert facts[0].fact == CREATED


def test_an_older_generation_is_refused(tmp_path: Path) -> None:
    Journal.create(tmp_path).close()
    older = Journal.take_over(tmp_path)
    newer = Journal.take_over(tmp_path)
    newer.append([CREATED])
    with pytest.raises(StaleGeneration):
        older.append([f.StopAsked("old")])
    assert len(newer.facts()) == 1
    older.close()
    newer.close()


def test_facts_can_be_neither_changed_nor_removed(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        journal.append([CREATED])
    db = sqlite3.connect(tmp_path / "journal.sqlite")
    for statement in ("DELETE FROM facts", "UPDATE facts SET kind = 'x'"):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
    db.close()


def test_a_reader_cannot_write_and_a_second_session_cannot_share(tmp_path: Path) -> None:
    Journal.create(tmp_path).close()
    with Journal.open_read(tmp_path) as reader, pytest.raises(StaleGeneration):
        reader.append([CREATED])
    with pytest.raises(FileExistsError):
        Journal.create(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be read as one" * 40])
def test_a_damaged_journal_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.sqlite").write_bytes(content)
    with pytest.raises(JournalError):
        Journal.open_read(tmp_path)
    with pytest.raises(JournalError):
        derive([])


def test_many_threads_append_without_a_gap(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        journal.append([CREATED])
        threads = [
            threading.Thread(
                target=lambda n=n: [journal.append([f.ProgressNoted("w1", f"{n}")]) for _ in range(20)]
            )
            for n in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [item.seq for item in journal.facts()] == list(range(1, 102))


def seen(kind: AgentEventKind, detail: str = "") -> f.AgentSeen:
    return f.AgentSeen("w1", kind, "hook", detail)


OPENED = f.PaneOpened("w1", "%1", 100, 1.0)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ((), WorkerState.STARTING),
        ((OPENED, f.AgentReady("w1", "x")), WorkerState.STARTING),
        ((OPENED, seen(AgentEventKind.PROMPT_TAKEN)), WorkerState.WORKING),
        ((OPENED, seen(AgentEventKind.PROMPT_TAKEN), seen(AgentEventKind.TURN_ENDED)), WorkerState.IDLE),
        ((OPENED, seen(AgentEventKind.PROMPT_TAKEN), seen(AgentEventKind.ASKS, "rm?")), WorkerState.ASKS),
        ((OPENED, seen(AgentEventKind.LIMITED, "429")), WorkerState.LIMITED),
        ((OPENED, f.PaneDied("w1", 1, "")), WorkerState.STARTING),  # it is started again
        ((OPENED, f.PaneDied("w1", 0, "")), WorkerState.DEAD),  # it left by itself
        ((OPENED, *(f.PaneDied("w1", 1, "") for _ in range(3))), WorkerState.DEAD),
        ((OPENED, *(f.PaneDied("w1", None, "", from_outside=True) for _ in range(9))), WorkerState.STARTING),
        ((OPENED, f.PaneDied("w1", 1, ""), f.WorkerQuarantined("w1", "3 times")), WorkerState.DEAD),
        ((OPENED, f.PaneDied("w1", 1, ""), f.WorkerRevived("w1")), WorkerState.STARTING),
        ((OPENED, f.WorkerReported("w1", Report.DONE, "ok", "tool")), WorkerState.DONE),
        (
            (OPENED, f.WorkerReported("w1", Report.DONE, "ok", "tool"), f.PaneDied("w1", 0, "")),
            WorkerState.DONE,
        ),
        (
            (
                OPENED,
                f.WorkerReported("w1", Report.DONE, "ok", "tool"),
                f.MessageQueued("m", "lead", "w1", "again"),
            ),
            WorkerState.STARTING,
        ),
        ((OPENED, f.WorkerKilled("w1", "lead")), WorkerState.DEAD),
        ((f.SpawnFailed("w1", "no disk"),), WorkerState.FAILED),
    ],
)
def test_a_worker_state_follows_from_its_facts(
    tmp_path: Path, facts: tuple[f.Fact, ...], state: WorkerState
) -> None:
    assert view_after(tmp_path, spawned(), *facts).workers["w1"].state is state


def test_the_lead_is_told_each_thing_once(tmp_path: Path) -> None:
    view = view_after(
        tmp_path,
        spawned(),
        OPENED,
        seen(AgentEventKind.ASKS, "rm?"),
        seen(AgentEventKind.ASKS, "rm?"),
        f.WorkerReported("w1", Report.DONE, "ok", "tool"),
        f.PaneDied("w1", 0, ""),
        f.MergeEnded(MergeAttempt("m1", "w1", MergeResult.MERGED, commit="c2")),
    )
    assert [event.kind for event in view.events] == ["asks", "done", "merge"]
    assert view.workers["w1"].merged


def test_read_events_stay_read(tmp_path: Path) -> None:
    view = view_after(
        tmp_path, spawned(), f.WorkerReported("w1", Report.DONE, "ok", "tool"), f.EventsRead("lead", 3)
    )
    assert view.unread_events == ()


def test_the_first_claim_of_a_task_counts(tmp_path: Path) -> None:
    view = view_after(
        tmp_path,
        f.TaskAdded("t1", "title", "", "", (), "lead"),
        f.TaskClaimed("t1", "w1"),
        f.TaskClaimed("t1", "w2"),
    )
    assert view.tasks["t1"].owner == "w1"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("cut \ud83d", "cut \ufffd"),
        ("\ude00 x", "\ufffd x"),
        ("\ud83d\ude00", "\U0001f600"),
        ("byte \udcff", "byte \ufffd"),
        ("\ufeffnul \0 é", "\ufeffnul \0 é"),
    ],
)
def test_text_that_is_no_unicode_is_stored_all_the_same(tmp_path: Path, text: str, stored: str) -> None:
    with Journal.create(tmp_path) as journal:
        (told,) = journal.append([f.ProgressNoted("w1", text)])
        (read,) = journal.facts()
    assert told == read, "the view holds what the disk holds"
    assert read.fact == f.ProgressNoted("w1", stored)


def test_a_turn_that_nobody_knows_of_is_unknown_until_the_agent_shows_itself(tmp_path: Path) -> None:
    turn = f.AgentSeen("w1", AgentEventKind.PROMPT_TAKEN, "hook")
    lost = (spawned(), f.PaneOpened("w1", "%1", 7, 1.0), turn, f.WorkerUnclear("w1", "silent"))
    view = view_after(tmp_path, *lost, f.TokensCounted("w1", 1, 1, 0))
    assert view.workers["w1"].state is WorkerState.UNKNOWN
    assert view.events[-1].kind == "unknown"
    with Journal.take_over(tmp_path) as journal:
        journal.append([f.AgentSeen("w1", AgentEventKind.ACTIVE, "hook")])
        assert derive(journal.facts()).workers["w1"].state is WorkerState.WORKING


def test_lost_tmux_is_known_until_a_supervisor_starts_in_a_new_one(tmp_path: Path) -> None:
    assert view_after(tmp_path, f.TmuxLost()).tmux_lost
    with Journal.take_over(tmp_path) as journal:
        journal.append([f.SupervisorStarted(2, 1, 1.0, 1)])
        assert not derive(journal.facts()).tmux_lost
