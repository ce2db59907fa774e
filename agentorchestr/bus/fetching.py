"""Artifacts that an agent's mail names, also for a process beside the agent's running instance."""

import time

from agentorchestr.bus.line import Place
from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import Address
from agentorchestr.swarm.artifacts import KEPT_S, ArtifactRef, Want, ref_of


def named_in(store: MailStore, me: Address, some_id: str) -> tuple[Address, ArtifactRef]:
    """Who has what a letter we got, or a task of ours, names, and what it is. Raises ``UsageError``."""
    letters = [arrived.letter for arrived in store.inbox.find(me, some_id)]
    told = [(letter.sender, letter.body) for letter in letters]
    if (given := store.tasks.find(me, Side.REQUESTER, some_id)) is not None and given.assignee is not None:
        told.append((given.assignee, given.result))
    if (taken := store.tasks.find(me, Side.ASSIGNEE, some_id)) is not None:
        told.append((taken.requester, taken.text))
    for owner, text in told:
        ref = ref_of(text)
        if ref is not None:
            return owner, ref
    why = "all of it stands in it" if told else "no message or task of yours"
    raise UsageError(
        f"nothing to fetch for {some_id!r}: {why}", hint="messages and tasks show what is an artifact"
    )


def ask_instance(place: Place, owner: Address, ref: ArtifactRef) -> bool:
    """Have the running instance of *place*'s agent fetch *ref* from *owner*; False when none runs."""
    want = Want(place.me, owner, ref, time.time() + KEPT_S)
    place.shelf.note(want)
    if place.home.ring():
        return True
    place.shelf.forget(want)
    return False
