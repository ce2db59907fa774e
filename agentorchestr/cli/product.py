"""What the commands need of the product, and the one late import of it.

Importing the wiring brings in the whole house, so nothing here does before a command runs. A test hands
its own stand-in to ``Shell`` instead.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from agentorchestr.paths import Paths

if TYPE_CHECKING:
    from agentorchestr.agents.probe import Installed
    from agentorchestr.model.facts import Recorded
    from agentorchestr.model.request import SessionRequest
    from agentorchestr.model.resume import Resumable, Resumed
    from agentorchestr.model.states import Outcome
    from agentorchestr.model.view import SessionView
    from agentorchestr.wiring.cleaning import Cleaning
    from agentorchestr.worktree.restoring import SavedStates


class Landing(Protocol):
    """How a session's result came to the person's branch."""

    @property
    def branch(self) -> str: ...
    @property
    def commit(self) -> str: ...
    @property
    def moved(self) -> bool: ...
    @property
    def how(self) -> str: ...


class Product(Protocol):
    """The functions of ``wiring.product`` that the commands call."""

    def start_session(self, request: "SessionRequest", paths: Paths) -> str: ...
    def read_session(self, paths: Paths, session_id: str) -> "SessionView": ...
    def list_sessions(self, paths: Paths) -> "tuple[SessionView, ...]": ...
    def find_session(self, paths: Paths, wanted: str, project: Path) -> "SessionView": ...
    def control_endpoint(self, paths: Paths, session_id: str) -> tuple[str, str] | None: ...
    def find_resumable(self, paths: Paths, project: Path) -> "SessionView": ...
    def resumable(self, paths: Paths, view: "SessionView") -> "Resumable": ...
    def resume_session(
        self, paths: Paths, session_id: str, *, env: Mapping[str, str], timeout_s: float | None
    ) -> "Resumed": ...
    def pause_session(self, paths: Paths, session_id: str) -> "SessionView": ...
    def give_up_session(self, paths: Paths, session_id: str) -> "SessionView": ...
    def stop_session(self, paths: Paths, session_id: str) -> "SessionView": ...
    def land_session(self, paths: Paths, session_id: str, *, unverified: bool = False) -> Landing: ...
    def attach_argv(self, paths: Paths, session_id: str) -> list[str]: ...
    def run_manual_child(self, request: "SessionRequest", paths: Paths) -> "tuple[str, Outcome]": ...
    def detect(
        self, paths: Paths, env: Mapping[str, str], names: Sequence[str] = ()
    ) -> "tuple[Installed, ...]": ...
    def read_facts(self, paths: Paths, session_id: str, after: int) -> "Sequence[Recorded]": ...
    def read_exported(self, file: Path) -> "tuple[SessionView, Sequence[Recorded]]": ...
    def export_session(self, paths: Paths, session_id: str, file: Path) -> int: ...
    def run_supervisor(self, session_id: str, paths: Paths) -> "SessionView | None": ...
    def let_terminals_go(self, session_id: str, paths: Paths) -> None: ...
    def supervisor_alive(self, paths: Paths, session_id: str) -> bool: ...
    def is_finished(self, view: "SessionView") -> bool: ...
    def looked_after(self, view: "SessionView") -> bool: ...
    def clean(
        self, paths: Paths, wanted: Sequence[str] = (), *, dry_run: bool = False, older_than_s: float = ...
    ) -> "Cleaning": ...
    def saved_states(self, paths: Paths, project: Path, session: str) -> "SavedStates": ...
    def unreadable_sessions(self, paths: Paths, listed: Collection[str]) -> tuple[str, ...]: ...


def load_product() -> Product:
    """Import the wiring, which is the product."""
    return cast("Product", import_module("agentorchestr.wiring.product"))


@dataclass(frozen=True)
class Shell:
    """Where a command was typed, and what it may call."""

    env: Mapping[str, str]
    cwd: Path
    load: Callable[[], Product] = load_product
    as_json: bool = False
    project: str = ""
    """``--project`` given before the command's name."""

    @property
    def paths(self) -> Paths:
        """The person's folders."""
        return Paths.from_env(self.env)

    @property
    def product(self) -> Product:
        """The product, imported now if it was not."""
        return self.load()

    @property
    def on_terminal(self) -> bool:
        """Whether a person sits at both ends."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    def with_options(self, *, as_json: bool, project: str) -> "Shell":
        """Give this shell with what a command's own options add."""
        return replace(self, as_json=self.as_json or as_json, project=project or self.project)
