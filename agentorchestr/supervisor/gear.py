"""What every part of a session works with, put together once by the wiring."""

from dataclasses import dataclass
from pathlib import Path

from agentorchestr.agents.spec import AgentSpec
from agentorchestr.clock import Clock
from agentorchestr.context.roles import RoleCard
from agentorchestr.model.facts import SessionCreated
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.model.view import SessionView, tmux_session_name
from agentorchestr.paths import Paths
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.principals import TokenBook
from agentorchestr.swarm.artifacts import Shelf
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.worktree.repository import Repository


@dataclass(frozen=True)
class Gear:
    """The drivers, values and folders of one living session."""

    book: Book
    clock: Clock
    paths: Paths
    repository: Repository
    catalogue: dict[str, AgentSpec]
    binaries: dict[str, Path]
    """By agent name: the absolute path that detection found."""
    roles: dict[str, RoleCard]
    tmux: TmuxServer
    tokens: TokenBook
    setup: WorktreeSetup
    environment: dict[str, str]
    """The person's environment, as the agents get it."""
    project_text: str
    port: int

    @property
    def view(self) -> SessionView:
        """The session as it is now."""
        return self.book.view

    @property
    def created(self) -> SessionCreated:
        """What the person asked for."""
        return self.book.view.created

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.created.session_id

    @property
    def folder(self) -> Path:
        """The session's private folder."""
        return self.paths.session(self.session_id)

    @property
    def run_folder(self) -> Path:
        """Its folder for what must not outlive a reboot."""
        return self.paths.session_run(self.session_id)

    @property
    def spool(self) -> Path:
        """Where hooks leave what agents did."""
        return self.run_folder / "spool"

    @property
    def shelf(self) -> Shelf:
        """Where what is too large for a message is kept."""
        return Shelf(self.paths.artifacts)

    @property
    def worktrees(self) -> Path:
        """Where its worktrees lie."""
        return self.paths.worktrees(self.repository.key, self.session_id)

    @property
    def tmux_session(self) -> str:
        """The name of its tmux session."""
        return tmux_session_name(self.session_id)

    @property
    def url(self) -> str:
        """Where our HTTP app answers."""
        return f"http://127.0.0.1:{self.port}"

    def place_in(self, worktree: Path) -> Path:
        """The project's own folder in *worktree*: a project may be a sub-directory of its repository."""
        project = Path(self.created.project)
        if not project.is_relative_to(self.repository.root):
            return worktree
        inner = worktree / project.relative_to(self.repository.root)
        return inner if inner.is_dir() else worktree
