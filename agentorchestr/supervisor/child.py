"""An agent as a plain child of this process, for a manual session without tmux."""

import asyncio

from agentorchestr.agents.launch import Launch, LaunchRequest, one_shot
from agentorchestr.model import facts as f
from agentorchestr.model.view import WorkerView
from agentorchestr.process import offload, start_time
from agentorchestr.supervisor.spawner import Spawner, first_line


class ChildSpawner(Spawner):
    """Runs the agent in this terminal, to the end of its one prompt."""

    _child: asyncio.subprocess.Process | None = None

    async def carry_out(self, worker_id: str) -> None:
        """Start the agent and stay until it ends; the end is the same fact that a dead pane is."""
        await super().carry_out(worker_id)
        # Outside the spawn and its undo: an agent that has begun is not taken back with its work.
        if self._child is not None:
            status = await self._child.wait()
            await self._gear.book.record(f.PaneDied(worker_id, status, ""))

    def _launch(self, request: LaunchRequest) -> Launch:
        return one_shot(request, first_line(request.brief))

    async def _start(self, worker: WorkerView, launch: Launch) -> None:
        child = await asyncio.create_subprocess_exec(
            *launch.argv, cwd=launch.cwd, env=launch.env, stdin=asyncio.subprocess.DEVNULL
        )
        started = await offload(start_time, child.pid) or 0.0
        opened = f.PaneOpened(worker.worker_id, "", child.pid, started, launch.agent_session)
        await self._gear.book.record(opened)
        self._child = child

    async def end(self, worker_id: str) -> None:
        """End the child and what it started."""
        await offload(self.ledger.end, worker_id)
