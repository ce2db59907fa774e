"""The supervisor's process: what ``agentorchestr supervise SESSION_ID`` runs, in a window of its own."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from pathlib import Path

from agentorchestr.agents.spec import AgentSpec
from agentorchestr.clock import SYSTEM_CLOCK, until
from agentorchestr.context.project_text import project_text
from agentorchestr.context.roles import load_roles
from agentorchestr.errors import OrchestrError, StaleGeneration
from agentorchestr.journal.store import Journal
from agentorchestr.log import log_to_file
from agentorchestr.model import facts as f
from agentorchestr.model import swarmbus
from agentorchestr.model.mail import Address
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView, tmux_session_name
from agentorchestr.paths import Paths, ensure_private
from agentorchestr.process import offload
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.post import ORG, Carrier
from agentorchestr.supervisor.principals import TokenBook
from agentorchestr.supervisor.reviving import may_resume
from agentorchestr.supervisor.session import Session
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.a2a_tasks import share_with_a2a
from agentorchestr.wiring.carrying import NoBus, close_carrier, open_carrier
from agentorchestr.wiring.control import FINISHED_FILE, forget_secrets, write_control
from agentorchestr.wiring.detection import catalogue, detect
from agentorchestr.wiring.hubs import hub_door
from agentorchestr.wiring.pools import address_of_pools, serve_pools
from agentorchestr.wiring.starting import ENVIRONMENT_FILE
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import Repository, find_repository

logger = logging.getLogger(__name__)

PORT_S = 2.0
"""How long a port that living agents know is waited for: with another one they have to be started again."""
LARGE_INDEX_BYTES = 400_000
"""About 4,000 files: from here on a checkout takes long enough to be made in advance."""


def run_supervisor(session_id: str, paths: Paths) -> SessionView | None:
    """Be the supervisor of *session_id* until it ends; None when a newer supervisor took it over."""
    log_to_file(paths.session(session_id) / "supervisor.log")
    # A closed terminal ends tmux clients, never the supervisor.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return asyncio.run(supervise(session_id, paths))
    except (StaleGeneration, BaseExceptionGroup) as exc:
        stale, rest = split_stale(exc)
        if not stale:
            logger.exception("the supervisor cannot run", extra={"session_id": session_id})
            raise
        if rest is not None:
            logger.warning("parts of the old supervisor failed", exc_info=rest)
        logger.info("a newer supervisor took over", extra={"session_id": session_id})
        return None
    except OrchestrError:
        logger.exception("the supervisor cannot run", extra={"session_id": session_id})
        raise


def split_stale(exc: BaseException) -> tuple[bool, BaseException | None]:
    """Whether *exc* tells of a newer supervisor, and what else is in it: task groups put faults in groups."""
    if isinstance(exc, BaseExceptionGroup):
        stale, rest = exc.split(StaleGeneration)
        return stale is not None, rest
    return isinstance(exc, StaleGeneration), None


def let_terminals_go(session_id: str, paths: Paths) -> None:
    """Detach every terminal from the session, so that each goes back to the command that attached it."""
    with contextlib.suppress(OrchestrError):
        TmuxServer(paths.tmux_socket).detach_clients(tmux_session_name(session_id))


async def supervise(session_id: str, paths: Paths) -> SessionView:
    """Take the session over and bring it to its end."""
    run_folder = ensure_private(paths.session_run(session_id))
    with Journal.take_over(paths.session(session_id)) as journal:
        book = Book(journal)
        repository = find_repository(Path(book.view.created.project))
        listener = bind(book.view.port)
        gear = build_gear(book, paths, repository, port=listener.getsockname()[1])
        pool = WorktreePool(repository, gear.worktrees / ".pool", size=pool_size(repository))
        carrier = await join_bus(gear)
        try:
            session = Session(gear, pool, carrier=carrier)
            async with asyncio.TaskGroup() as beside:
                pools = beside.create_task(serve_pools(gear, carrier)) if carrier is not None else None
                await serve_until_ended(session, gear, listener, run_folder)
                if pools is not None:
                    pools.cancel()
        finally:
            await leave_bus(gear, carrier)
    (run_folder / FINISHED_FILE).touch(mode=0o600)
    forget_secrets(run_folder)
    if not may_resume(gear.view.outcome):
        TokenBook.forget(gear.folder)
    return gear.view


async def join_bus(gear: Gear) -> Carrier | None:
    """Connect the session to a bus if that can be; why it cannot is told once, and the session goes on."""
    created = gear.created
    try:
        found = await open_carrier(
            gear.paths,
            created.session_id,
            broker_url=created.broker,
            compat=swarmbus.NAME if swarmbus.NAME in created.bus_compat else "",
            env=gear.environment,
            share=share_with_a2a(gear.book, gear.shelf, gear.folder / "a2a", created.session_id),
        )
    except OrchestrError as exc:
        found = NoBus(f"{exc}. {exc.hint}")
    why = found.off_bus if isinstance(found, Carrier) else found.why
    if why:
        logger.warning("not on a bus", extra={"detail": why})
        await gear.book.record(f.NotOnBus(why))
    return found if isinstance(found, Carrier) else None


async def leave_bus(gear: Gear, carrier: Carrier | None) -> None:
    """Let the bus go; a session whose supervisor was replaced leaves it to the next one.

    One that is only paused keeps its logins, and with them the mail the broker keeps for it.
    """
    if carrier is None:
        return
    carrier.store.close()
    if gear.view.outcome is not None:
        ids = () if may_resume(gear.view.outcome) else tuple(gear.view.workers)
        pools = () if may_resume(gear.view.outcome) else (address_of_pools(gear.session_id),)
        members = (*(Address(ORG, gear.session_id, worker_id) for worker_id in ids), *pools)
        private = not (carrier.broker or carrier.off_bus)
        await offload(close_carrier, gear.paths, gear.session_id, members, private=private)


def bind(port: int) -> socket.socket:
    """Bind the port the session had before, so that a living agent's tools work again; else a free one."""
    from agentorchestr.mcp_server.serving import bind_loopback

    bound: list[socket.socket] = []

    def free() -> bool:
        with contextlib.suppress(OSError):
            bound.append(bind_loopback(port))
        return bool(bound)

    # A program that a killed supervisor had just forked holds its port for a moment yet.
    if until(free, within_s=PORT_S if port else 0.0, every_s=0.05):
        return bound[0]
    logger.warning("the session's port is taken", extra={"detail": str(port)})
    return bind_loopback(0)


async def serve_until_ended(
    session: Session, gear: Gear, listener: socket.socket, run_folder: Path
) -> Outcome:
    """Serve tools and control while the session lives."""
    from agentorchestr.mcp_server.app import build_app
    from agentorchestr.mcp_server.serving import serve

    started = asyncio.Event()
    async with hub_door(gear) as (door, websockets), asyncio.TaskGroup() as tasks:
        app = build_app(session.office, port=gear.port, door=door)
        # Whoever calls meanwhile waits: what was under way when the last one fell is settled first.
        await session.announce()
        server = tasks.create_task(serve(app, listener, started=started, websockets=websockets))
        await started.wait()
        write_control(run_folder, url=gear.url, token=gear.tokens.control)
        outcome = await session.run()
        server.cancel()
    return outcome


def build_gear(book: Book, paths: Paths, repository: Repository, *, port: int) -> Gear:
    """Put together what the session's parts work with."""
    created = book.view.created
    environment = person_environment(paths, created.session_id)
    names = tuple(dict.fromkeys(name for name in (created.lead_agent, *created.worker_agents) if name))
    found = {agent.name: agent.binary for agent in detect(paths, environment, names)}
    missing = [name for name in names if name not in found]
    if missing:
        raise OrchestrError(f"not installed any more: {', '.join(missing)}", hint="agentorchestr --detect")
    specs: dict[str, AgentSpec] = catalogue(paths)
    return Gear(
        book=book,
        clock=SYSTEM_CLOCK,
        paths=paths,
        repository=repository,
        catalogue=specs,
        binaries=found,
        roles=load_roles(),
        tmux=TmuxServer(paths.tmux_socket),
        tokens=TokenBook.load(paths.session(created.session_id), created.session_id),
        setup=created.setup,
        environment=environment,
        project_text=project_text(Path(created.project)),
        port=port,
    )


def person_environment(paths: Paths, session_id: str) -> dict[str, str]:
    """The environment the session was started from; after a reboot only what this process has."""
    try:
        content = json.loads((paths.session_run(session_id) / ENVIRONMENT_FILE).read_text())
    except (OSError, ValueError):
        return dict(os.environ)
    return {str(key): str(value) for key, value in content.items()}


def pool_size(repository: Repository) -> int:
    """How many worktrees are kept ready: none where a checkout is quick anyway."""
    index = repository.git_dir / "index"
    return 2 if index.is_file() and index.stat().st_size > LARGE_INDEX_BYTES else 0
