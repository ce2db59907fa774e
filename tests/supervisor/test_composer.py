"""Typing into the composer of a real program, with a person at the same pane."""

import os
import pty
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.screens import composer_text
from agentorchestr.clock import Clock, until
from agentorchestr.errors import PaneGone, TmuxError
from agentorchestr.model.view import WorkerView
from agentorchestr.supervisor.composer import TYPES_S, Clear, Composer, Held
from agentorchestr.supervisor.queueing import has_queue, put_in_queue
from agentorchestr.tmux import panes
from agentorchestr.tmux.looking import look
from agentorchestr.tmux.server import TmuxServer

LINE = "A new message from w2 waits. Call get_brief to read it and act on it."
SPEC = load_catalogue()["practice"]


class PersonsClock(Clock):
    """Does something in each rest, as a person might."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    def now(self) -> float:
        return super().now() + self.late_s

    def rest(self, seconds: float) -> None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        super().rest(seconds)


class Desk:
    """A practice agent in a pane, our side of its composer, and a person's keys."""

    def __init__(self, server: TmuxServer, folder: Path) -> None:
        self.server = server
        self.clock = PersonsClock()
        idle = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)")
        server.new_session("ao-s1", window="supervisor", argv=idle, cwd=folder)
        argv = (sys.executable, "-P", "-m", "agentorchestr.practice", "--name", "w1")
        self.pane_id = panes.open_pane(
            server, "ao-s1", window="team", title="w1", argv=argv, cwd=folder, lead=False
        )
        assert until(lambda: any(line.startswith("ready") for line in self.screen()), within_s=20)
        gear: Any = type("Gear", (), {"tmux": server, "clock": self.clock, "environment": {}})()
        worker = cast("WorkerView", type("Worker", (), {"pane_id": self.pane_id, "pid": 0})())
        self.composer = Composer(gear, worker, SPEC)

    def needs_a_pause(self) -> None:
        """Let the agent be one that takes no Enter in the same moment."""
        how = SPEC.typing.model_copy(update={"enter_at_once": False})
        self.composer._spec = SPEC.model_copy(update={"typing": how})

    def screen(self) -> tuple[str, ...]:
        return panes.capture(self.server, self.pane_id)

    def draft(self) -> str:
        return composer_text(SPEC, look(self.server, self.pane_id).screen) or ""

    def types(self, text: str) -> None:
        """Type as a person, and wait until it shows."""
        self.server.run("send-keys", "-l", "-t", self.pane_id, "--", text)
        assert until(lambda: text in self.draft(), within_s=10), self.screen()

    def took(self, text: str) -> bool:
        """Whether *text* became a prompt: the log shows it, wrapped."""
        shown = "".join("".join(self.screen()).split())
        return f"»{''.join(text.split())}" in shown

    def clear(self) -> Clear:
        found = self.composer.may_type(LINE)
        assert isinstance(found, Clear), found
        return found


@pytest.fixture
def desk(
    tmp_path: Path, tmux_socket: Path, private_home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    root = str(Path(__file__).parents[2])
    env = {**private_home, "PYTHONPATH": root, "AGENTORCHESTR_PRACTICE_PACE": "0"}
    return Desk(TmuxServer(tmux_socket, env=env), tmp_path)


def test_an_idle_agent_takes_the_line_whole(desk: Desk) -> None:
    assert desk.composer.give(LINE, desk.clear()) is None
    assert until(lambda: desk.took(LINE), within_s=10), desk.screen()
    assert desk.draft() == ""


def test_a_draft_holds_the_line_and_stays_as_it_is(desk: Desk) -> None:
    desk.types("half a thou")
    assert desk.composer.may_type(LINE) == Held("a draft stands in its composer", by_person=True)
    assert desk.draft() == "half a thou"


def test_a_key_between_the_look_and_the_line_keeps_the_line_out(desk: Desk) -> None:
    clear = desk.clear()
    desk.types("N")
    with pytest.raises(TmuxError, match="somebody typed"):
        desk.composer.give(LINE, clear)
    assert desk.draft() == "N"


def test_enter_follows_at_once_where_the_agent_bears_it(desk: Desk) -> None:
    clear = desk.clear()
    desk.clock.meanwhile = lambda: pytest.fail("there is a gap in which a person could type")
    assert desk.composer.give(LINE, clear) is None
    desk.clock.meanwhile = lambda: None
    assert until(lambda: desk.took(LINE), within_s=10), desk.screen()


def test_what_a_person_types_behind_our_line_is_not_sent_with_it(desk: Desk) -> None:
    desk.needs_a_pause()
    clear = desk.clear()
    desk.clock.meanwhile = lambda: desk.types(" but first")
    assert desk.composer.give(LINE, clear) == Held("a person types in its composer")
    assert desk.draft().endswith("act on it. but first")
    assert not desk.took(LINE)


def test_our_own_line_that_was_left_is_only_sent(desk: Desk) -> None:
    desk.types(LINE)
    clear = desk.clear()
    assert clear.stands
    assert desk.composer.give(LINE, clear) is None
    assert until(lambda: desk.took(LINE), within_s=10), desk.screen()
    assert desk.draft() == ""


def test_the_beginning_of_our_line_is_taken_for_a_persons(desk: Desk) -> None:
    desk.types("A new")
    assert desk.composer.may_type(LINE) == Held("a draft stands in its composer", by_person=True)
    assert not desk.composer.press_again(LINE)


def test_nothing_is_typed_into_a_pane_whose_program_ended(desk: Desk) -> None:
    clear = desk.clear()
    desk.server.run("send-keys", "-t", desk.pane_id, "C-d")
    desk.server.run("send-keys", "-t", desk.pane_id, "C-d")
    assert until(lambda: look(desk.server, desk.pane_id).dead, within_s=10)
    assert desk.composer.may_type(LINE) == Held("its pane is gone")
    with pytest.raises(PaneGone):
        desk.composer.give(LINE, clear)


@pytest.mark.parametrize(
    ("code", "held"), [(0, None), (3, Held("its queue refused the line: no such thread"))]
)
def test_an_agents_own_queue_gets_the_line_without_a_key(
    tmp_path: Path, code: int, held: Held | None
) -> None:
    program = tmp_path / "agent"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/argv\necho no such thread >&2\nexit {code}\n"
    )
    program.chmod(0o755)
    spec = load_catalogue()["codex"]
    worker = cast("WorkerView", type("Worker", (), {"agent_session": "t-1"})())
    gear: Any = type(
        "Gear", (), {"binaries": {"codex": program}, "environment": {"PATH": os.environ["PATH"]}}
    )()
    assert has_queue(worker, spec)
    assert not has_queue(worker, SPEC)
    assert put_in_queue(gear, worker, spec, LINE) == held
    assert (tmp_path / "argv").read_text().splitlines() == ["queue", "--thread", "t-1", "--message", LINE]


@pytest.fixture
def person(desk: Desk) -> Iterator[int]:
    """A terminal that shows the agent's pane: what is written to it is typed by a person."""
    desk.server.run("select-window", "-t", desk.pane_id)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp("tmux", ["tmux", "-S", str(desk.server.socket), "attach", "-t", "ao-s1"])  # noqa: S606 - a person's own tmux
    assert until(lambda: desk.server.attached_clients("ao-s1") == 1, within_s=10)
    yield terminal
    desk.server.detach_clients("ao-s1")
    os.close(terminal)
    os.waitpid(pid, 0)


def test_a_person_at_the_keys_holds_the_line_until_they_rest(desk: Desk, person: int) -> None:
    desk.clock.late_s = 2 * TYPES_S
    assert isinstance(desk.composer.may_type(LINE), Clear), "only attached, no key for long"
    desk.clock.late_s = 0.0
    os.write(person, b"x\x7f")
    assert until(lambda: look(desk.server, desk.pane_id).typed_at > 0, within_s=10)
    assert desk.composer.may_type(LINE) == Held("a person types in its pane", by_person=True)
    assert desk.draft() == ""
