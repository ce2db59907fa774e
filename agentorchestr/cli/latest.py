"""A session's view, kept up to date by reading only what is new in its journal."""

from dataclasses import fields, replace
from typing import Any

from agentorchestr.cli.product import Shell
from agentorchestr.journal.reducer import step
from agentorchestr.model.view import SessionView


class Latest:
    """Reads one session again and again; each look costs what was added since the last."""

    def __init__(self, shell: Shell, session_id: str) -> None:
        self._product, self._paths, self._id = shell.product, shell.paths, session_id
        self._view: SessionView | None = None

    def read(self) -> SessionView:
        """Give the session as it is now. A view that was given out before stays as it was."""
        view = self._view
        if view is None:
            view = self._product.read_session(self._paths, self._id)
        else:
            for item in self._product.read_facts(self._paths, self._id, view.last_seq):
                view = step(view, item)
        self._view = view
        return _copy(view)


def _copy(view: SessionView) -> SessionView:
    """The same with dicts of its own: the reducer goes on writing into those it has."""
    values = ((field.name, getattr(view, field.name)) for field in fields(view))
    own: dict[str, Any] = {name: dict(value) for name, value in values if isinstance(value, dict)}
    return replace(view, **own)
