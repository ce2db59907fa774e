"""Tasks given away by a process that is not the running instance of its agent."""

import time

from agentorchestr.bus.line import Place
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import Address, DelegatedTask
from agentorchestr.swarm.task_wire import fit, new_task


def leave_task(
    place: Place, text: str, *, capability: str = "", to: Address | None = None, ttl_s: float
) -> DelegatedTask:
    """Store a task of *place*'s agent; its running instance, or the next one, offers and follows it.

    Raises ``UsageError`` for a task that cannot travel. Blocking.
    """
    packed = fit(place.shelf, text)
    task = new_task(place.me, packed, capability=capability, to=to, ttl_s=ttl_s, now=time.time())
    with place.home.open_store() as store:
        store.tasks.save(place.me, Side.REQUESTER, task)
    place.home.ring()
    return task
