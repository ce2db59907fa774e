"""Follow a living session until it is over, without a thought for how it is run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from agentorchestr.cli.control import Control
from agentorchestr.cli.latest import Latest
from agentorchestr.cli.product import Shell
from agentorchestr.cli.progress import HEADERS, changed_lines, headline, worker_rows
from agentorchestr.cli.render import Screen
from agentorchestr.clock import until
from agentorchestr.errors import SupervisorUnreachable
from agentorchestr.model.view import SessionView

LONG_POLL_S = 20.0
REREAD_S = 2.0
REREAD_EVERY_S = 0.25
GONE_AFTER_S = 30.0
"""A supervisor that died is restarted by tmux well within this."""


class Follower:
    """Waits for what is new in one session: asks the supervisor, else reads the journal again."""

    def __init__(self, shell: Shell, session_id: str) -> None:
        self._product, self._id = shell.product, session_id
        self._latest = Latest(shell, session_id)
        self._control = Control(shell, session_id)
        self._seen_alive = time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._control.close()

    def read(self) -> SessionView:
        """Read the session as it is now."""
        return self._latest.read()

    def wait(self, *, after: int) -> None:
        """Return when there may be facts after *after*, in any case before long.

        Raises ``SupervisorUnreachable`` when nobody has looked after the session for ``GONE_AFTER_S``.
        """
        if self._control.wait_for_events(after=after, wait_s=LONG_POLL_S):
            self._seen_alive = time.monotonic()
            return
        until(lambda: self.read().last_seq > after, within_s=REREAD_S, every_s=REREAD_EVERY_S)
        if self._product.looked_after(self.read()):
            self._seen_alive = time.monotonic()
        elif time.monotonic() - self._seen_alive > GONE_AFTER_S:
            raise SupervisorUnreachable(
                f"the supervisor of session {self._id} is gone and was not restarted",
                hint=f"nothing is lost; go on with: agentorchestr --resume {self._id}",
            )


def follow(shell: Shell, screen: Screen, session_id: str) -> SessionView:
    """Show how the session goes until it is over, and give its last view."""
    follower = Follower(shell, session_id)
    try:
        seen = _Seen(screen)
        with seen.shown():
            while True:
                view = follower.read()
                seen.update(view)
                if shell.product.is_finished(view):
                    return view
                follower.wait(after=view.last_seq)
    finally:
        follower.close()


class _Seen:
    """What is on the screen: a table that is redrawn, or lines that were printed."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._view: SessionView | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        if not self._screen.is_terminal or self._screen.as_json:
            yield
            return
        with self._screen.live(self._draw):
            yield

    def update(self, view: SessionView) -> None:
        if not self._screen.is_terminal:
            for line in changed_lines(self._view, view):
                self._screen.line(line)
        self._view = view

    def _draw(self) -> tuple[tuple[str, ...], list[tuple[str, ...]], str]:
        now = time.time()
        if self._view is None:
            return HEADERS, [], "starting"
        return HEADERS, worker_rows(self._view, now=now), headline(self._view, now=now)
