"""A session's pools: a request to ``pool/<role>`` goes to an idle worker of that role, or waits for one.

The supervisor answers for its pools itself, under the agent id ``pool``: it picks, it tells how it goes,
and it knows the task after a restart. A shared subscription would hand a request to a dead worker, too.
"""

import logging
from collections.abc import AsyncGenerator, Sequence

from agentorchestr.a2a.background import Background
from agentorchestr.a2a.card import CardPublisher, will_for
from agentorchestr.a2a.card_json import BINDING_URI, card_json
from agentorchestr.a2a.handler import Moved, Step, rejected
from agentorchestr.a2a.limits import ResponderLimits
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.store import FolderTaskStore
from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.a2a.tasks import Json, Task
from agentorchestr.a2a.topics import PROFILE_TOPICS, Pool
from agentorchestr.a2a.turns import POOL
from agentorchestr.errors import OrchestrError, StaleGeneration
from agentorchestr.model import facts as f
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.model.states import WorkerState
from agentorchestr.model.view import MessageView, SessionView, WorkerView
from agentorchestr.paths import ensure_private
from agentorchestr.process import offload
from agentorchestr.supervisor.answers import A2A_THREAD, REQUEST_THREADS, request, request_id, standing
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.post import ORG, RETRY_S, Carrier
from agentorchestr.swarm.artifacts import Shelf, packed
from agentorchestr.swarm.card_wire import FILLER_TAG
from agentorchestr.wiring.a2a_tasks import asks_still, cancelled, carry_on, steps_of_agent

logger = logging.getLogger(__name__)

AGENT = "pool"
"""The agent id of a session's pools; the profile's topics of pools are below it."""
ROLE = (("a2a-ao-role", AGENT),)
IDLE = frozenset({WorkerState.IDLE, WorkerState.DONE})
AT_WORK = frozenset({WorkerState.STARTING, WorkerState.WORKING})
GOING = frozenset({WorkerState.DEAD, WorkerState.FAILED})
OPEN = 1000
"""Requests that are worked on or wait, at most; the next one is told to come back later."""


def address_of_pools(session_id: str) -> Address:
    """Who answers for the pools of a session."""
    return Address(ORG, session_id, AGENT)


async def serve_pools(gear: Gear, carrier: Carrier) -> None:
    """Answer for the session's pools while it lives; runs until cancelled."""
    while True:
        try:
            await _serve(gear, carrier)
        except* StaleGeneration:
            raise
        except* OrchestrError as group:
            detail = "; ".join(str(exc) for exc in group.exceptions)
            logger.warning("pools not on the bus", extra={"detail": detail})
        await gear.clock.pause(RETRY_S)


async def _serve(gear: Gear, carrier: Carrier) -> None:
    me = address_of_pools(gear.session_id)
    card = pool_card(me, gear.view, _titles(gear))
    handler = PoolTasks(gear.book, gear.shelf)
    store = FolderTaskStore(ensure_private(gear.folder / "a2a" / AGENT))
    limits = ResponderLimits(max_running=OPEN, max_open=OPEN)
    filters = [PROFILE_TOPICS.pool_requests(me.org, me.unit)]
    async with carrier.dial(me, will_for(me, card, user=ROLE)) as line, Switchboard(line) as board:
        tasks, cards = board.branch(), board.branch()
        responder = Responder(
            tasks, me, handler, store=store, limits=limits, more_filters=filters, resume=True
        )
        async with (
            responder,
            Background(carry_on(gear.book, responder, store, handler.asks)),
            CardPublisher(cards, me, card, user=ROLE) as shown,
        ):
            await _keep_card(gear, me, shown, card)


async def _keep_card(gear: Gear, me: Address, shown: CardPublisher, card: Json) -> None:
    """Show which pools there are, as workers come and go."""
    while True:
        seq = gear.view.last_seq
        now = pool_card(me, gear.view, _titles(gear))
        if now != card:
            card = now
            await shown.update(card)
        await gear.book.next_after(seq)


def _titles(gear: Gear) -> dict[str, str]:
    return {name: role.title for name, role in gear.roles.items()}


def pools_of(view: SessionView) -> tuple[str, ...]:
    """The names of the pools there are now: roles and agent programs of workers that are there or coming."""
    return tuple(sorted({name for worker in _members(view) for name in (worker.role, worker.agent) if name}))


def pool_card(me: Address, view: SessionView, titles: dict[str, str]) -> Json:
    """The card of a session's pools: each is a skill, and a request topic in our extension's parameters."""
    told = f"the pools of agentorchestr session {me.unit}: A2A requests for whichever worker is free"
    card = card_json(AgentCard(me, description=told), broker_url="mqtt://localhost")
    names = pools_of(view)
    # A delegated task is for a worker's own card: the tag keeps these skills out of that choice.
    skills = [
        {"id": name, "name": name, "description": titles.get(name, f"any {name}"), "tags": [name, FILLER_TAG]}
        for name in names
    ]
    card["skills"] = skills or card["skills"]
    topics = {name: PROFILE_TOPICS.request(Pool(me.org, me.unit, name)) for name in names}
    for extension in card["capabilities"]["extensions"]:
        if extension["uri"] == BINDING_URI:
            extension["params"]["pools"] = topics
    return card


class PoolTasks:
    """Gives each request of a pool to one worker: an ``AgentHandler``.

    Which one is the journal's to know: the message that put the request to it.
    """

    def __init__(self, book: Book, shelf: Shelf) -> None:
        self._book = book
        self._shelf = shelf

    async def start(self, task: Task) -> AsyncGenerator[Step]:
        """Wait for a worker that is idle, put the newest turn to it, and tell what comes of it.

        What a requester says to a worker that asked is for that worker, idle or not.
        """
        pool, text = str((task.metadata or {}).get(POOL, "")), task.turns[-1].text
        if not pool:
            yield rejected(f"ask one of the pools: {_named(pools_of(self._book.view))}")
            return
        body, told = await offload(packed, self._shelf, text), False
        while True:
            seq = self._book.view.last_seq
            given = await self._given(task, pool, body)
            if given is not None and not _lost(self._book.view, given):
                break
            if not any(fits(worker, pool) for worker in _members(self._book.view)):
                yield rejected(
                    f"no {pool} is in this session; its pools: {_named(pools_of(self._book.view))}"
                )
                return
            if not told:
                told = True
                yield Moved(TaskState.SUBMITTED, f"waiting for an idle {pool}")
            await self._book.next_after(seq)
        async for step in steps_of_agent(self._book, self._shelf, given.receiver, given.message_id):
            yield step

    async def cancel(self, task: Task) -> None:
        """Tell the worker that has it, if one has."""
        given = _latest(self._book.view, task)
        if given is not None and not _stands(self._book.view, given).ended:
            await self._book.record(cancelled(task, given.receiver, given.message_id))

    def asks(self, task: Task) -> bool:
        """Whether the worker that has it waits for the requester."""
        given = _latest(self._book.view, task)
        return given is None or asks_still(self._book.view, given.receiver, given.message_id)

    async def _given(self, task: Task, pool: str, body: str) -> MessageView | None:
        """The message that put the turn to a worker; None while there is none that could take it."""

        def choose(view: SessionView) -> Sequence[f.Fact]:
            before = _latest(view, task)
            if before is not None and not _lost(view, before):
                return []
            worker = _asker(view, task) or next(
                (one for one in view.team if fits(one, pool) and is_free(view, one)), None
            )
            if worker is None:
                return []
            number = len(_all(view, task)) + 1
            name = f"{_prefix(task, len(task.turns))}{number}"
            return [
                request(name, f"a2a/{task.id}", worker.worker_id, body, thread=A2A_THREAD, verified=False)
            ]

        await self._book.decide(choose)
        return _latest(self._book.view, task)


def fits(worker: WorkerView, pool: str) -> bool:
    """Whether a worker is of a pool: by its role, or by the program it is."""
    return pool in {worker.role, worker.agent}


def is_free(view: SessionView, worker: WorkerView) -> bool:
    """Whether a worker waits for work: it ended its turn, and nobody waits for it.

    One that asked back may have other work until its question is answered.
    """
    # Of a task of several turns the newest counts.
    waiting = {
        message.sender if message.thread == A2A_THREAD else message.message_id: message
        for message in view.messages.values()
        if message.receiver == worker.worker_id
        and (message.read_at is None or message.thread in REQUEST_THREADS)
    }
    return (
        worker.alive
        and worker.ready
        and worker.state in IDLE
        and not any(
            message.read_at is None or _stands(view, message) in AT_WORK for message in waiting.values()
        )
    )


def _members(view: SessionView) -> list[WorkerView]:
    return [worker for worker in view.team if worker.state not in GOING]


def _prefix(task: Task, turn: int) -> str:
    """What begins the ids of messages that put a turn of *task* to workers."""
    return f"{request_id('pool', task.id, turn)}-"


def _all(view: SessionView, task: Task, turn: int = 0) -> list[MessageView]:
    prefix = _prefix(task, turn or len(task.turns))
    return [message for name, message in view.messages.items() if name.startswith(prefix)]


def _latest(view: SessionView, task: Task) -> MessageView | None:
    found = _all(view, task)
    return found[-1] if found else None


def _asker(view: SessionView, task: Task) -> WorkerView | None:
    """The worker that had the turn before this one, while it lives."""
    before = _all(view, task, len(task.turns) - 1) if len(task.turns) > 1 else []
    worker = view.workers[before[-1].receiver] if before else None
    return worker if worker is not None and worker.alive else None


def _stands(view: SessionView, given: MessageView) -> WorkerState:
    return standing(view, given.receiver, given.message_id).state


def _lost(view: SessionView, given: MessageView) -> bool:
    """Whether its worker ended before it read the request: another one may have it."""
    return given.read_at is None and not view.workers[given.receiver].alive


def _named(pools: Sequence[str]) -> str:
    return ", ".join(f"pool/{name}" for name in pools) or "there is none now"
