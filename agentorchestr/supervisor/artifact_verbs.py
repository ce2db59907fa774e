"""What lead and workers get of messages and results that are too large to stand in a reply."""

from functools import partial

from agentorchestr.errors import ToolRefused
from agentorchestr.process import offload
from agentorchestr.supervisor.desk import Reply
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.membership import Member
from agentorchestr.supervisor.post import read_address
from agentorchestr.swarm.artifacts import ArtifactRef, excerpt, ref_of

FETCH_S = 20.0
"""How long a fetch over the bus may hold a tool call; it goes on after that."""


async def fetched(
    gear: Gear, member: Member | None, worker_id: str, some_id: str, *, offset: int, limit_s: float
) -> Reply:
    """The file of what a message to *worker_id*, or a task of its, names, and its text from *offset* on.

    Raises ``ToolRefused`` when it names nothing, ``NotFetched`` when it does not come now.
    """
    owner, ref = await _named(gear, member, worker_id, some_id)
    path = await offload(gear.shelf.find, ref)
    if path is None and member is not None and "/" in owner:
        path = await member.artifacts.fetch(read_address(owner), ref, timeout_s=min(limit_s, FETCH_S))
    if path is None:
        raise ToolRefused("it is kept no longer", hint=f"Ask {owner} to send it again.")
    return await offload(partial(excerpt, path, ref, offset=offset))


async def _named(gear: Gear, member: Member | None, worker_id: str, some_id: str) -> tuple[str, ArtifactRef]:
    """Who has it, and what it is."""
    message = gear.view.messages.get(some_id)
    if message is not None and message.receiver == worker_id:
        ref = ref_of(message.body)
        if ref is not None:
            return message.sender, ref
    task = await member.given.task(some_id) if member is not None else None
    ref = ref_of(task.result) if task is not None else None
    if task is None or ref is None:
        raise ToolRefused(f"nothing to fetch for {some_id!r}", hint="read_inbox shows what is an artifact.")
    return str(task.assignee), ref
