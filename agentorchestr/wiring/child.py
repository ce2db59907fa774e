"""A manual session without tmux: the supervisor lives in this very process."""

import asyncio
import signal

from agentorchestr.journal.store import Journal
from agentorchestr.log import log_to_file
from agentorchestr.model.facts import StopAsked
from agentorchestr.model.request import SessionRequest
from agentorchestr.model.states import Outcome
from agentorchestr.paths import Paths
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.child import ChildSpawner
from agentorchestr.supervisor.session import Session
from agentorchestr.wiring.control import forget_secrets
from agentorchestr.wiring.starting import new_session, open_repository
from agentorchestr.wiring.supervise import bind, build_gear, serve_until_ended
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import Repository

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_manual_child(request: SessionRequest, paths: Paths) -> tuple[str, Outcome]:
    """Run one agent on one task to its end; its output goes to this terminal. Returns id and outcome."""
    repository = open_repository(request)
    session_id = new_session(request, repository, paths)
    log_to_file(paths.session(session_id) / "supervisor.log")
    return session_id, asyncio.run(_run(session_id, repository, paths))


async def _run(session_id: str, repository: Repository, paths: Paths) -> Outcome:
    with Journal.take_over(paths.session(session_id)) as journal:
        listener = bind(0)
        gear = build_gear(Book(journal), paths, repository, port=listener.getsockname()[1])
        pool = WorktreePool(repository, gear.worktrees / ".pool", size=0)
        session = Session(gear, pool, spawner=ChildSpawner(gear, pool), in_panes=False)
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(_stop_on_signal(gear.book))
                outcome = await serve_until_ended(session, gear, listener, paths.session_run(session_id))
                listening.cancel()
        finally:
            forget_secrets(paths.session_run(session_id))
    return outcome


async def _stop_on_signal(book: Book) -> None:
    """Let Ctrl-C, or a terminal that closes, stop the session: its work is saved. A second Ctrl-C tears."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for ending in ENDING_SIGNALS:
        loop.add_signal_handler(ending, asked.set)
    await asked.wait()
    loop.remove_signal_handler(signal.SIGINT)
    await book.record(StopAsked("person"))
