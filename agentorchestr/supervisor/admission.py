"""Let an agent start only when there is memory for it: better later than a machine that swaps to death."""

import logging
from collections.abc import Callable

from agentorchestr.config.user import UserConfig, load_user_config
from agentorchestr.errors import UsageError
from agentorchestr.memory_room import free_bytes, used_bytes
from agentorchestr.model import facts as f
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.process_table import family
from agentorchestr.supervisor.gear import Gear

logger = logging.getLogger(__name__)

MEGABYTE = 1_000_000
SETTLED_S = 60.0
"""A younger agent may still grow to what its kind needs; an older one shows what that is."""
LOOK_S = 2.0
HELD_LIMIT_S = 1800.0
"""How long a worker waits for memory that nobody gives back."""


class Admission:
    """Says whether one more agent fits. The lead always does: without it there is no session."""

    def __init__(self, gear: Gear, *, room: Callable[[], int] = free_bytes) -> None:
        self._gear = gear
        self._room = room
        self._admitted: set[str] = set()
        try:
            reserve_mb = load_user_config(gear.paths.config).memory_reserve_mb
        except UsageError as exc:
            logger.warning("settings not read", extra={"detail": str(exc)})
            reserve_mb = UserConfig().memory_reserve_mb
        self._reserve = reserve_mb * MEGABYTE

    async def why_held(self, agent: str) -> str:
        """Why an agent of this kind cannot start now; empty when it can."""
        if not self._reserve:
            return ""
        return await offload(self._why_held, agent, self._gear.view)

    def _why_held(self, agent: str, view: SessionView) -> str:
        living = [worker for worker in view.workers.values() if worker.alive and worker.pid]
        used = {worker.worker_id: used_bytes(family({worker.pid: worker.pid_started})) for worker in living}
        needed = self._estimate(agent, living, used)
        free, promised = self._room(), self._promised(view, living, used)
        if free - promised - self._reserve >= needed:
            return ""
        return (
            f"waits for memory: {agent} needs about {needed // MEGABYTE} MB, {free // MEGABYTE} MB are free, "
            f"of which {(promised + self._reserve) // MEGABYTE} MB are kept"
        )

    def _estimate(self, agent: str, living: list[WorkerView], used: dict[str, int]) -> int:
        """What one of this kind needs: what those that run use, else what its spec says."""
        now = self._gear.clock.now()
        seen = [
            used[worker.worker_id]
            for worker in living
            if worker.agent == agent and now - worker.pid_started > SETTLED_S
        ]
        return max(seen) if seen else self._gear.catalogue[agent].memory_mb * MEGABYTE

    def _promised(self, view: SessionView, living: list[WorkerView], used: dict[str, int]) -> int:
        """What agents that are starting, or have just started, may still take."""
        now, total = self._gear.clock.now(), 0
        for worker in view.workers.values():
            starting = not worker.pid and worker.worker_id in self._admitted and not worker.state.ended
            young = worker.alive and now - worker.pid_started <= SETTLED_S
            if starting or young:
                estimate = self._estimate(worker.agent, living, used)
                total += max(0, estimate - used.get(worker.worker_id, 0))
        return total

    async def admit(self, worker_id: str) -> bool:
        """Wait until there is memory for *worker_id*; False when it was ended, or waited in vain."""
        gear = self._gear
        worker = gear.view.workers[worker_id]
        began = gear.clock.monotonic()
        while not worker.is_lead and (why := await self.why_held(worker.agent)):
            if not worker.queued:
                await gear.book.record(f.SpawnHeld(worker_id, why))
            if gear.clock.monotonic() - began > HELD_LIMIT_S:
                await gear.book.record(f.SpawnFailed(worker_id, f"no memory came free for it: {why}"))
                return False
            await gear.book.wait_until(lambda view: _is_over(view, worker_id), timeout_s=LOOK_S)
            worker = gear.view.workers[worker_id]
            if _is_over(gear.view, worker_id):
                return False
        self._admitted.add(worker_id)
        if worker.queued:
            await gear.book.record(f.SpawnAdmitted(worker_id))
        return True


def _is_over(view: SessionView, worker_id: str) -> bool:
    return view.workers[worker_id].killed or view.ending
