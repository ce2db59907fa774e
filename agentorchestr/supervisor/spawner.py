"""Bring a lead or worker to life: one ordered list of steps, each with its undo."""

import contextlib
import json
import logging
import shlex
import sys
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.agents.launch import Launch, LaunchRequest, build_launch, trust_repository
from agentorchestr.agents.transcripts import find_transcript, is_conversation_of
from agentorchestr.context.briefs import lead_brief, worker_brief
from agentorchestr.context.handover import Handover
from agentorchestr.errors import OrchestrError, TmuxError
from agentorchestr.ledger import Ledger
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Fact
from agentorchestr.model.states import LEAD
from agentorchestr.model.view import SessionView, WorkerView, worker_branch
from agentorchestr.paths import ensure_private, write_private
from agentorchestr.process import ask_to_end, offload, start_time
from agentorchestr.supervisor.admission import Admission
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.handover import collect
from agentorchestr.supervisor.places import agent_folder, kept_folder, setup_environment
from agentorchestr.supervisor.tmux_gone import fell_with_tmux
from agentorchestr.supervisor.trees import Trees
from agentorchestr.tmux import panes
from agentorchestr.worktree.pool import WorktreePool

logger = logging.getLogger(__name__)

SHIMS = Path(__file__).parent.parent / "shim"
NONCE_BYTES = 8
LEAD_WINDOW = "team"


def shim_argv(name: str, *words: str) -> tuple[str, ...]:
    """The command line of one of our shims: isolated, so that no file of a worktree can shadow a module."""
    return (sys.executable, "-I", "-S", str(SHIMS / name), *words)


@dataclass(frozen=True)
class Order:
    """A worker somebody asked for, checked already."""

    worker_id: str
    role: str
    agent: str
    task: str
    file_scope: tuple[str, ...] = ()
    criteria: str = ""
    context: str = ""
    task_id: str = ""


class Spawner:
    """Starts agents in panes. ``intent`` is written first; ``carry_out`` does it, and may be run again."""

    def __init__(self, gear: Gear, pool: WorktreePool) -> None:
        self._gear = gear
        self._trees = Trees(gear, pool)
        self._trusted: set[str] = set()
        self.ledger = Ledger(gear.run_folder, gear.session_id)
        self.admission = Admission(gear)

    def intent(self, order: Order) -> Fact:
        """The fact that *order* was given; from it alone the spawn can be carried out after a crash."""
        return f.WorkerSpawned(
            worker_id=order.worker_id,
            role=order.role,
            agent=order.agent,
            task=order.task,
            file_scope=order.file_scope,
            criteria=order.criteria,
            context=order.context,
            branch=worker_branch(self._gear.session_id, order.worker_id),
            worktree=str(self._gear.worktrees / order.worker_id),
            nonce=uuid.uuid4().hex[: NONCE_BYTES * 2],
            task_id=order.task_id,
        )

    async def carry_out(self, worker_id: str) -> None:
        """Give the worker its worktree, its brief and its pane.

        On a failure nothing is left of one that had not begun; the worktree of one that had stays as it is.
        The outcome is a fact: ``PaneOpened`` or ``SpawnFailed``. None when tmux ended under it: then it is
        still wanted, and begun again by who resumes the session.
        """
        worker = self._gear.view.workers[worker_id]
        try:
            async with AsyncExitStack() as undo:
                tree = await self._trees.make_ready(worker, undo)
                launch = await offload(self._prepare, worker, tree)
                try:
                    await self._start(worker, launch)
                except TmuxError:
                    if not await fell_with_tmux(self._gear):
                        raise
                    logger.warning("spawn put off", extra={"worker_id": worker_id})
                undo.pop_all()
        except (OrchestrError, OSError) as exc:
            logger.warning("spawn failed", extra={"worker_id": worker_id, "detail": str(exc)})
            hint = getattr(exc, "hint", "")
            await self._gear.book.record(f.SpawnFailed(worker_id, f"{exc}. {hint}".strip(". ") or repr(exc)))
        else:
            logger.info("worker spawned", extra={"worker_id": worker_id, "branch": worker.branch})

    def _agent_dir(self, worker: WorkerView) -> Path:
        return agent_folder(self._gear.run_folder, worker.worker_id)

    def _prepare(self, worker: WorkerView, tree: str) -> Launch:
        """Write everything the agent reads at its start; nothing of it lies in the worktree."""
        gear, folder = self._gear, self._agent_dir(worker)
        spec = gear.catalogue[worker.agent]
        resume = self._resumable(worker)
        handed = collect(gear.view, worker, same=bool(resume), tree=tree) if worker.revived else None
        if worker.agent not in self._trusted:
            trust_repository(spec, gear.repository.root, gear.environment)
            self._trusted.add(worker.agent)
        briefs = ensure_private(gear.folder / "briefs")
        brief = write_private(briefs / f"{worker.worker_id}.md", self._brief(worker, handed))
        token = gear.tokens.token(worker.worker_id, worker.nonce)
        token_file = write_private(folder / "token", token)
        extra = setup_environment(gear.folder, worker.worker_id)
        ours = {"AGENTORCHESTR_URL": gear.url, "AGENTORCHESTR_TOKEN_FILE": str(token_file)}
        return self._launch(
            LaunchRequest(
                spec=spec,
                binary=gear.binaries[worker.agent],
                worker_id=worker.worker_id,
                lead=worker.is_lead,
                worktree=gear.place_in(Path(worker.worktree)),
                repository=gear.repository.root,
                agent_dir=folder,
                mcp_url=f"{gear.url}/mcp",
                token=token,
                brief=brief,
                first_line=first_line(brief),
                hook_argv=shim_argv("hook.py", str(gear.spool), worker.worker_id),
                agent_session=str(uuid.uuid4()),
                resume=resume,
                kept_dir=kept_folder(gear.folder, worker.worker_id),
                base_env={**gear.environment, **extra, **ours},
                path_prefix=gear.folder / "bin",
                set_up=(*gear.setup.link, *gear.setup.copy),
                mark=f"{gear.session_id}:{worker.worker_id}:",
            )
        )

    def _resumable(self, worker: WorkerView) -> str:
        """The conversation to go on with; empty unless its transcript proves to be this very worker's."""
        gear, spec = self._gear, self._gear.catalogue[worker.agent]
        others = {w.agent_session for w in gear.view.workers.values() if w.worker_id != worker.worker_id}
        if not worker.resume or worker.resume in others:
            return ""
        kept = kept_folder(gear.folder, worker.worker_id)
        found = find_transcript(spec, agent_session=worker.resume, env=gear.environment, kept_dir=kept)
        cwd = gear.place_in(Path(worker.worktree))
        if found is None or not is_conversation_of(spec, found, agent_session=worker.resume, cwd=cwd):
            logger.warning("conversation not proven", extra={"worker_id": worker.worker_id})
            return ""
        return worker.resume

    def _brief(self, worker: WorkerView, handed: Handover | None) -> str:
        gear, created = self._gear, self._gear.created
        spec = gear.catalogue[worker.agent]
        if worker.is_lead:
            return lead_brief(
                gear.view,
                goal=created.goal,
                agents=created.worker_agents,
                tool_name=spec.tool_name,
                project_text=gear.project_text,
                max_workers=created.max_workers,
                handover=handed,
            )
        return worker_brief(
            worker,
            session_goal=created.goal,
            role=gear.roles[worker.role],
            tool_name=spec.tool_name,
            has_mcp=spec.mcp is not None,
            base_branch=created.base_branch,
            integration_branch=gear.view.integration_branch,
            checks=created.checks,
            project_text=gear.project_text,
            handover=handed,
        )

    def _launch(self, request: LaunchRequest) -> Launch:
        return build_launch(request)

    async def _start(self, worker: WorkerView, launch: Launch) -> None:
        """Open the agent's pane; when its opening cannot be recorded, it is closed again."""
        if self._gear.view.workers[worker.worker_id].killed:
            raise OrchestrError("it was ended while it started")
        pane_id = await self._open(worker, launch)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(offload, panes.close_pane, self._gear.tmux, pane_id)
            if len(self._gear.view.workers) == 1 and not worker.revived:
                # The first agent brings its window to the front; later ones never take a person's view away.
                await offload(self._gear.tmux.select_window, pane_id)
            await self._gear.book.record(await self._opened(worker, pane_id, launch))
            undo.pop_all()

    async def _open(self, worker: WorkerView, launch: Launch) -> str:
        gear = self._gear
        scope = await offload(self.ledger.scope_for, worker.worker_id)
        content = {"argv": list(launch.argv), "env": launch.env, "cwd": str(launch.cwd), "scope": scope}
        file = write_private(self._agent_dir(worker) / "launch.json", json.dumps(content))
        return await offload(
            panes.open_pane,
            gear.tmux,
            gear.tmux_session,
            window=LEAD_WINDOW,
            title=pane_title(worker),
            argv=shim_argv("launcher.py", str(file)),
            cwd=launch.cwd,
            lead=worker.is_lead,
            worker_id=worker.worker_id,
        )

    async def _opened(self, worker: WorkerView, pane_id: str, launch: Launch) -> Fact:
        rows = await offload(panes.list_panes, self._gear.tmux, self._gear.tmux_session)
        pid = next((row.pid for row in rows if row.pane_id == pane_id), 0)
        started = await offload(start_time, pid) if pid else None
        return f.PaneOpened(worker.worker_id, pane_id, pid, started or 0.0, launch.agent_session)

    async def clear_away(self, *worker_ids: str) -> None:
        """End what these agents left behind: programs below them, or ones that a crash kept unknown."""
        if not worker_ids:
            return
        await offload(self.ledger.end, *worker_ids)
        # A pane that stays is only ugly: the agent in it has ended.
        with contextlib.suppress(TmuxError):
            for row in await offload(panes.list_panes, self._gear.tmux, self._gear.tmux_session):
                if row.worker_id in worker_ids:
                    await offload(panes.close_pane, self._gear.tmux, row.pane_id)

    async def end(self, worker_id: str) -> None:
        """End the agent's processes and close its pane; its worktree and branch stay."""
        worker = self._gear.view.workers[worker_id]
        await offload(ask_to_end, ((worker.pid, worker.pid_started),))
        await offload(self.ledger.end, worker_id)
        if worker.pane_id:
            await offload(panes.close_pane, self._gear.tmux, worker.pane_id)

    async def end_all(self) -> None:
        """End every agent of the session at once, with all they started, and close their panes."""
        await offload(ask_to_end, living(self._gear.view))
        await offload(self.ledger.end)
        for worker in self._gear.view.workers.values():
            if worker.pane_id:
                await offload(panes.close_pane, self._gear.tmux, worker.pane_id)


def first_line(brief: Path) -> str:
    """The first prompt: short enough to be typed into any composer, and it says where the rest is."""
    return f"Read the file {json.dumps(str(brief), ensure_ascii=False)} completely and do what it says."


def pane_title(worker: WorkerView) -> str:
    """What stands above a pane."""
    return f"{worker.worker_id} {worker.role} ({worker.agent})"


def living(view: SessionView) -> tuple[tuple[int, float], ...]:
    """The agents' own processes, as they were recorded: pid and start time."""
    return tuple((w.pid, w.pid_started) for w in view.workers.values() if w.pid)


def unfinished(view: SessionView) -> Sequence[str]:
    """Workers whose spawn was begun and came to no end: to be carried out again."""
    return [w.worker_id for w in view.workers.values() if w.wanted]


def next_worker_id(view: SessionView) -> str:
    """w1, w2, w3 … : never used twice in a session."""
    return f"w{sum(1 for name in view.workers if name != LEAD) + 1}"


def install_command(folder: Path) -> None:
    """Put an ``agentorchestr`` into *folder*, for agents without MCP: the one of this very installation."""
    ensure_private(folder)
    script = folder / "agentorchestr"
    words = shlex.join((sys.executable, "-P", "-m", "agentorchestr"))
    write_private(script, f'#!/bin/sh\nexec {words} "$@"\n').chmod(0o700)
