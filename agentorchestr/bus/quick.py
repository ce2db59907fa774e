"""Send from a command that ends at once: on disk first, then through whoever is fastest.

A running instance of the sender is rung and sends what it finds in the mail file. Without one we post
ourselves, by hand. What cannot go out now stays in the mail file for the next of either.
"""

import json
import math
import time
from collections.abc import Sequence
from functools import partial

from agentorchestr.bus.home import InstanceLock
from agentorchestr.bus.line import SESSION_EXPIRY_S, Line, Place, known_login, open_line
from agentorchestr.bus.neighbours import check_speech, refuse_neighbour
from agentorchestr.clock import until
from agentorchestr.errors import BusError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_outbox import Mark
from agentorchestr.model.carrier import Delivered
from agentorchestr.model.mail import Letter, LetterState, Standing
from agentorchestr.model.swarmbus import EVERYBODY, is_neighbour, is_to_all
from agentorchestr.mqtt.endpoint import Endpoint
from agentorchestr.mqtt.post import Parcel, post
from agentorchestr.swarm import topics
from agentorchestr.swarm.letter_fields import letter_fields

ANSWER_S = 5.0
SETTLES_S = 0.3
"""A running instance may take this long to hand a letter to the broker before we go."""
BUSY_S = 5.0
RECEIPT_S = 15.0
NOBODY_S = 1.0
AT_ONCE = 100
"""Letters of earlier commands that one command sends."""
NOBODY = "nobody there"
NO_RECEIPTS = "swarmbus sends no receipts"


def send_now(place: Place, letters: Sequence[Letter]) -> list[Standing]:
    """Store *letters* and see them off; how far each one is then.

    ``STORED`` with a reason means that it waits in the mail file: it goes out with the next command or
    instance of this agent, or is carried by another agent's. Raises ``UsageError`` and ``JournalError``.
    """
    refuse_neighbour(place.me)
    check_speech(place, letters)
    with place.home.open_store() as store:
        now = time.time()
        store.outbox.put(letters, next_try_at=now, now=now)
        _see_off(place, store, letters)
        return [_standing(store, letter) for letter in letters]


def wait_in_store(store: MailStore, letter: Letter, state: LetterState, *, timeout_s: float) -> Standing:
    """How far a letter is once it got to *state* or its end, at the latest after *timeout_s*."""
    until(partial(_is_at, store, letter, state), within_s=timeout_s, every_s=0.005)
    return _standing(store, letter)


def _see_off(place: Place, store: MailStore, letters: Sequence[Letter]) -> None:
    lock = InstanceLock(place.home)
    mine = [False]

    def rung_or_locked() -> bool:
        if place.home.ring():
            return True
        mine[0] = lock.try_lock()
        return mine[0]

    # Who holds the lock and cannot be rung is another command that sends, or an instance that starts.
    if not until(rung_or_locked, within_s=BUSY_S):
        return
    if mine[0]:
        try:
            _post(place, store, [*_left_over(place, store, letters), *letters])
        finally:
            lock.release()
    else:
        until(lambda: all(_moved(store, letter) for letter in letters), within_s=SETTLES_S, every_s=0.004)


def _left_over(place: Place, store: MailStore, letters: Sequence[Letter]) -> list[Letter]:
    """What earlier commands could not send, and can be said now; it goes first."""
    ours = {letter.letter_id for letter in letters}
    waiting = store.outbox.never_sent(place.me, now=time.time(), limit=AT_ONCE)
    return [
        letter
        for letter in waiting
        if letter.letter_id not in ours and (place.compat or not is_neighbour(letter.receiver))
    ]


def _post(place: Place, store: MailStore, letters: Sequence[Letter]) -> None:
    try:
        said = _post_on_known_line(place, letters)
        if said is None:
            with open_line(place) as line:
                said = _post_on(line, letters, compat=place.compat)
    except BusError as exc:
        _mark(place, store, [_waiting(letter, str(exc)) for letter in letters])
        return
    _mark(place, store, [_mark_of(letter, answer) for letter, answer in zip(letters, said, strict=True)])


def _post_on_known_line(place: Place, letters: Sequence[Letter]) -> list[Delivered] | None:
    """Try without asking who runs; None when nobody answers there, or we were never let in."""
    login = known_login(place)
    if login is None:
        return None
    endpoint = Endpoint(unix=place.paths.run / "mqtt.sock") if place.is_private else place.foreign_endpoint()
    try:
        return _post_on(Line(endpoint, login, names_bound=place.is_private), letters, compat=place.compat)
    except BusError:
        if place.is_private:
            return None  # it was ended, or its logins were made anew
        raise


def _post_on(line: Line, letters: Sequence[Letter], *, compat: str) -> list[Delivered]:
    """Publish, and give the better answer for a letter that goes out in two forms."""
    written = [parcels_of(letter, compat=compat) for letter in letters]
    parcels = [parcel for every in written for parcel in every]
    if line.endpoint.tls is not None or line.login is None:
        from agentorchestr.bus.slow import publish_on

        said = iter(publish_on(line, str(letters[0].sender), parcels))
    else:
        said = iter(
            post(line.endpoint, line.login, parcels, session_expiry_s=SESSION_EXPIRY_S, timeout_s=ANSWER_S)
        )
    answers = [[next(said) for _ in every] for every in written]
    return [Delivered.ACCEPTED if Delivered.ACCEPTED in every else every[0] for every in answers]


def parcels_of(letter: Letter, *, compat: str = "") -> list[Parcel]:
    """*letter* as it is published: for a neighbour in its form, for all in both if *compat* is on."""
    fields = letter_fields(letter)
    left_s = max(math.ceil(letter.expires_at - time.time()), 1) if letter.expires_at else None
    parcels = []
    if not is_neighbour(letter.receiver):
        topic = (
            topics.directed(letter.receiver, letter.sender)
            if letter.receiver
            else topics.broadcast(letter.sender)
        )
        payload = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        parcels.append(Parcel(topic, payload.encode(), left_s))
    if compat and (letter.receiver is None or is_neighbour(letter.receiver)):
        from agentorchestr.swarm.swarmbus_wire import written

        to = letter.receiver.agent if letter.receiver else EVERYBODY
        parcels.append(Parcel(*written(fields, sender=letter.sender, to=to), left_s))
    return parcels


def _mark(place: Place, store: MailStore, marks: Sequence[Mark]) -> None:
    store.outbox.mark(place.me, marks, now=time.time())


def _mark_of(letter: Letter, said: Delivered) -> Mark:
    now = time.time()
    if said is Delivered.REFUSED:
        return Mark(letter.letter_id, LetterState.REFUSED, "refused by the carrier", 1, None)
    if is_to_all(letter.receiver):
        why = "" if said is Delivered.ACCEPTED else NOBODY
        return Mark(letter.letter_id, LetterState.SENT, why, 1, None)
    if said is Delivered.NOBODY_THERE:
        return Mark(letter.letter_id, LetterState.STORED, NOBODY, 1, now + NOBODY_S)
    if is_neighbour(letter.receiver):
        return Mark(letter.letter_id, LetterState.SENT, NO_RECEIPTS, 1, None)
    return Mark(letter.letter_id, LetterState.SENT, "", 1, now + RECEIPT_S)


def _waiting(letter: Letter, why: str) -> Mark:
    return Mark(letter.letter_id, LetterState.STORED, why, 0, time.time())


def _standing(store: MailStore, letter: Letter) -> Standing:
    found = store.outbox.find(letter.sender, letter.letter_id)
    return found if found is not None else Standing(letter, LetterState.STORED)


def _moved(store: MailStore, letter: Letter) -> bool:
    standing = _standing(store, letter)
    return standing.state is not LetterState.STORED or bool(standing.why)


def _is_at(store: MailStore, letter: Letter, state: LetterState) -> bool:
    order = list(LetterState)
    now = _standing(store, letter).state
    return now.final or order.index(now) >= order.index(state)
