"""Letters on their way in: on disk first, then acknowledged, then told and handed out."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from agentorchestr.clock import Clock
from agentorchestr.errors import JournalError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_outbox import Receipt
from agentorchestr.model.carrier import Incoming
from agentorchestr.model.mail import Address, Arrived, Letter, LetterKind, LetterState
from agentorchestr.swarm import topics
from agentorchestr.swarm.lane import ROW_BYTES, Lane
from agentorchestr.swarm.moves import Moves
from agentorchestr.swarm.receipts import QuickReceipts
from agentorchestr.swarm.wire import Unreadable, decode_letter, decode_receipt

DISK_PAUSE_S = 1.0
"""Between two tries to write what came in, while the disk refuses."""

logger = logging.getLogger(__name__)


class Reader:
    """Takes letters from the carrier. What arrives during one commit goes into the next, together."""

    def __init__(
        self,
        store: MailStore,
        me: Address,
        *,
        lane: Lane,
        moves: Moves,
        receipts: QuickReceipts,
        clock: Clock,
        names_bound: bool,
        unbound_org: str,
        hand_out: Callable[[Arrived], None],
    ) -> None:
        self._inbox = store.inbox
        self._me = me
        self._lane = lane
        self._moves = moves
        self._receipts = receipts
        self._clock = clock
        self._names_bound = names_bound
        self._unbound_org = unbound_org
        self._hand_out = hand_out
        self._came: list[Incoming] = []
        self._wake = asyncio.Event()

    def take(self, message: Incoming) -> None:
        """Take one message of an inbox topic."""
        self._came.append(message)
        self._wake.set()

    async def run(self) -> None:
        """Work for ever. What is not on disk is never acknowledged."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._came = self._came, []
            await self._keep(batch)

    async def _keep(self, batch: Sequence[Incoming]) -> None:
        letters, receipts = self._read(batch)
        while True:
            try:
                fresh = await self._store(letters)
                if receipts:
                    await self._moves.apply(receipts)
                break
            except JournalError:
                logger.exception("letters not taken, trying again")
                await self._clock.pause(DISK_PAUSE_S)
        for arrived in fresh:
            self._hand_out(arrived)
        # Behind the readers that were just woken: what waits for the carrier need not wait for this.
        asyncio.get_running_loop().call_soon(self._acknowledge, batch, letters)

    def _acknowledge(self, batch: Sequence[Incoming], letters: Sequence[Letter]) -> None:
        for message in batch:
            message.acknowledge()
        for letter in letters:
            self._receipts.owe(letter.sender, letter.letter_id, LetterState.RECEIVED)

    async def _store(self, letters: Sequence[Letter]) -> list[Arrived]:
        if not letters:
            return []
        now = self._clock.now()
        weighs = sum(ROW_BYTES + len(letter.body) for letter in letters)
        return await self._lane.do(partial(self._inbox.receive, self._me, letters, now=now), weighs=weighs)

    def _read(self, batch: Sequence[Incoming]) -> tuple[list[Letter], list[tuple[Address, Receipt]]]:
        letters: list[Letter] = []
        receipts: list[tuple[Address, Receipt]] = []
        for message in batch:
            try:
                letter = decode_letter(
                    message.topic, message.payload, me=self._me, verified=self._is_proven(message.topic)
                )
                if letter.kind is LetterKind.RECEIPT:
                    receipts.append((letter.sender, self._receipt(letter)))
                elif letter.receiver is not None or letter.sender != self._me:
                    letters.append(letter)
            except Unreadable as exc:
                self._refuse(message, exc)
        return letters, receipts

    def _is_proven(self, topic: str) -> bool:
        """Whether who stands in *topic* wrote there; a topic ends with its sender's three levels."""
        if not self._unbound_org:
            return self._names_bound
        return self._names_bound and topic.split("/")[-3:-2] != [self._unbound_org]

    def _receipt(self, letter: Letter) -> Receipt:
        receipt = decode_receipt(letter)
        if receipt.state not in {LetterState.RECEIVED, LetterState.REFUSED}:
            # A later state has a row at its sender, which stays until this.
            self._receipts.owe(letter.sender, letter.letter_id, LetterState.RECEIVED)
        return receipt

    def _refuse(self, message: Incoming, fault: Unreadable) -> None:
        logger.warning("letter refused", extra={"topic": message.topic, "why": str(fault)})
        if not fault.letter_id:
            return
        try:
            sender = topics.sender_of(message.topic)
        except (ValueError, TypeError):
            return
        self._receipts.owe(sender, fault.letter_id, LetterState.REFUSED, str(fault))
