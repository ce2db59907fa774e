"""One agent's composer: may a line be typed there now, and did it take it? Blocks; run off the loop."""

import re
from dataclasses import dataclass

from agentorchestr.agents.screens import ScreenState, classify, composer_text
from agentorchestr.agents.signals import read_status_file
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.typed_text import sanitise
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import WorkerView
from agentorchestr.supervisor.gear import Gear
from agentorchestr.tmux import typing
from agentorchestr.tmux.looking import Cursor, Look, look

ESCAPES = re.compile(
    r"\x1b\[[0-9;:]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b[()][A-Z0-9]|[\x0e\x0f]"
)
TYPES_S = 3.0
"""A person who pressed a key so short a time ago goes on typing."""
DRAWN_S = 2.0
"""How long an agent may take to show what was typed."""
LOOK_EVERY_S = 0.03
OURS_CHARS = 20
"""Fewer of our characters in a composer may as well be a person's."""
FORBIDDING = {ScreenState.ASKS, ScreenState.BUSY}


@dataclass(frozen=True)
class Held:
    """Why nothing may be typed now."""

    why: str
    by_person: bool = False
    """Only a person's own typing is in the way: the agent itself is idle."""


@dataclass(frozen=True)
class Clear:
    """A line may be typed now; *stands*: it stands there already and only has to be sent."""

    cursor: Cursor
    stands: bool = False


class Composer:
    """The composer of *worker*, whose agent *spec* describes."""

    def __init__(self, gear: Gear, worker: WorkerView, spec: AgentSpec) -> None:
        self._gear = gear
        self._worker = worker
        self._spec = spec

    def may_type(self, line: str) -> Clear | Held:
        """Look at the agent right now. Text typed into an open question approves it; into a shell, runs.

        A *line* of ours that stands there from before only has to be sent.

        Raises ``PaneGone`` and ``TmuxError``.
        """
        seen = look(self._gear.tmux, self._worker.pane_id)
        if seen.dead:
            return Held("its pane is gone")
        if seen.in_mode:
            return Held("a person scrolls in its pane")
        types = self._gear.clock.now() - seen.typed_at < TYPES_S
        status = read_status_file(self._spec, self._worker.pid, self._gear.environment)
        if status is not None and status.kind is not AgentEventKind.TURN_ENDED:
            return Held(f"its status file says {status.kind}")
        held = held_by_screen(self._spec, seen.screen)
        if types and (held is None or held.by_person):
            return Held("a person types in its pane", by_person=True)
        if self._stands(line, seen):
            return Clear(seen.cursor, stands=True)
        return held or Clear(seen.cursor)

    def give(self, line: str, clear: Clear) -> Held | None:
        """Type *line* and send it, unless somebody came in between; then it is left as it stands.

        Raises ``PaneGone`` and ``TmuxError``.
        """
        text = sanitise(self._spec, line)
        if not clear.stands and self._type(text, clear.cursor):
            return None
        self._gear.clock.rest(self._spec.typing.enter_pause_s)
        seen = self._drawn(_close(text))
        if isinstance(seen, Held):
            return seen
        typing.press(self._gear.tmux, self._worker.pane_id, "Enter", cursor=seen.cursor)
        return None

    def press_again(self, line: str) -> bool:
        """Press Enter once more if *line* still stands there: Enter on a person's draft would send it."""
        seen = look(self._gear.tmux, self._worker.pane_id)
        if not self._stands(line, seen):
            return False
        typing.press(self._gear.tmux, self._worker.pane_id, "Enter", cursor=seen.cursor)
        return True

    def _stands(self, line: str, seen: Look) -> bool:
        """Whether our *line* stands in the composer, and nothing forbids to send it."""
        if classify(self._spec, plain(seen.screen)) in FORBIDDING:
            return False
        standing = _close(composer_text(self._spec, seen.screen) or "")
        ours = _close(sanitise(self._spec, line))
        long_enough = len(standing) >= min(len(ours), OURS_CHARS)
        return long_enough and (ours.startswith(standing) or ours.endswith(standing))

    def _type(self, text: str, cursor: Cursor) -> bool:
        """Type *text* the way this agent takes it exactly; whether it was sent in the same moment."""
        how, server, pane_id = self._spec.typing, self._gear.tmux, self._worker.pane_id
        if how.method == "paste":
            typing.paste_line(server, pane_id, text, cursor=cursor)
            return False
        at_once = how.enter_at_once and len(text) <= how.piece_chars
        typing.type_line(
            server,
            pane_id,
            text,
            piece_chars=how.piece_chars,
            pause_s=how.pause_s,
            cursor=cursor,
            enter=at_once,
        )
        return at_once

    def _drawn(self, ours: str) -> Look | Held:
        """The pane once it shows the whole of *ours*, without spaces; anything else is a person's."""
        deadline = self._gear.clock.monotonic() + DRAWN_S
        while True:
            seen = look(self._gear.tmux, self._worker.pane_id)
            standing = composer_text(self._spec, seen.screen)
            if classify(self._spec, plain(seen.screen)) in FORBIDDING:
                return Held("it asked or began a turn while the line was typed")
            if standing is None or (standing and ours.endswith(_close(standing))):
                return seen
            late = self._gear.clock.monotonic() > deadline
            if late and standing and ours.startswith(_close(standing)):
                return seen  # a composer that shows the beginning only
            if late or not ours.startswith(_close(standing)):
                return Held("a person types in its composer" if standing else "it did not take the line")
            self._gear.clock.rest(LOOK_EVERY_S)


def held_by_screen(spec: AgentSpec, screen: tuple[str, ...]) -> Held | None:
    """What on the screen forbids typing: a question, a running turn, a person's draft."""
    state = classify(spec, plain(screen))
    if state in FORBIDDING:
        return Held(f"its screen shows {state}")
    draft = composer_text(spec, screen)
    if draft:
        return Held("a draft stands in its composer", by_person=True)
    if draft is None and state is not ScreenState.READY:
        return Held("its screen is not known to be ready")
    return None


def plain(screen: tuple[str, ...]) -> tuple[str, ...]:
    """*screen* without colour escapes."""
    return tuple(ESCAPES.sub("", line) for line in screen)


def _close(text: str) -> str:
    """*text* without the spaces that a composer breaks lines at."""
    return "".join(text.split())
