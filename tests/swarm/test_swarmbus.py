"""swarmbus's envelope and presence: what is written, and what is made of what anybody may have written."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from agentorchestr.model import swarmbus
from agentorchestr.model.carrier import Properties
from agentorchestr.model.mail import INLINE_BYTES, Address, Letter, LetterKind
from agentorchestr.swarm.letter_fields import letter_fields
from agentorchestr.swarm.swarmbus_reading import read_letter, read_presence
from agentorchestr.swarm.swarmbus_wire import presence_payload, written
from agentorchestr.swarm.wire import Unreadable, encode_letter

BEN = Address("agentorchestr", "local", "ben")
LEAD = Address("agentorchestr", "a1b2", "lead")
NOW = 1_700_000_000.0
PLAIN = {"from": "planner", "to": "ben", "subject": "hi", "body": "text"}


@dataclass
class Came:
    topic: str
    payload: bytes
    retained: bool = False
    properties: Properties = field(default_factory=Properties)

    def acknowledge(self) -> None: ...


def read(topic: str = "agents/ben/inbox", *, retained: bool = False, **fields: object) -> Letter | None:
    payload = json.dumps({**PLAIN, **fields}).encode()
    return read_letter(Came(topic, payload, retained), me=BEN, now=NOW)


def test_names_there_and_here() -> None:
    assert swarmbus.name_of(BEN) == "ben"
    assert swarmbus.name_of(LEAD) == "a1b2-lead"
    assert swarmbus.name_of(swarmbus.neighbour("planner")) == "planner"
    for name in ("Ann", "a.b", "broadcast", "system"):
        with pytest.raises(ValueError, match="no name on swarmbus"):
            swarmbus.name_of(Address("agentorchestr", "local", name))
    for name in ("", "Ann", "a/b", "a+", "ben\n", "x" * 65):
        with pytest.raises(ValueError, match="not a name"):
            swarmbus.neighbour(name)


def test_a_letter_has_all_fields_that_its_envelope_has() -> None:
    letter = Letter(
        "id-1",
        LEAD,
        swarmbus.neighbour("planner"),
        "grüße",
        subject="s",
        content_type="text/markdown",
        priority="high",
        reply_to=BEN,
        thread="t-1",
        created_at=NOW,
    )
    topic, payload = written(letter_fields(letter), sender=LEAD, to="planner")
    assert topic == "agents/planner/inbox"
    assert json.loads(payload) == {
        "id": "id-1",
        "from": "a1b2-lead",
        "to": "planner",
        "ts": datetime.fromtimestamp(NOW, UTC).isoformat(),
        "subject": "s",
        "body": "grüße",
        "content_type": "text/markdown",
        "priority": "high",
        "reply_to": "ben",
        "via": "agentorchestr",
        "thread": "t-1",
    }
    assert written(letter_fields(letter), sender=LEAD, to="broadcast")[0] == "agents/broadcast"


def test_a_message_becomes_a_letter_whose_sender_is_not_proven() -> None:
    letter = read(id="m-1", ts="2024-05-01T10:00:00+02:00", priority="high", reply_to="coder", thread="t")
    assert letter is not None
    assert (letter.letter_id, letter.receiver, letter.subject, letter.body) == ("m-1", BEN, "hi", "text")
    assert str(letter.sender) == "agentorchestr/swarmbus/planner"
    assert letter.reply_to == swarmbus.neighbour("coder")
    assert (letter.priority, letter.thread, letter.kind) == ("high", "t", LetterKind.NOTE)
    assert letter.created_at == datetime(2024, 5, 1, 8, tzinfo=UTC).timestamp()
    assert letter.verified is False


def test_a_name_of_ours_in_from_is_no_agent_of_ours() -> None:
    letter = read(**{"from": "ben"})
    assert letter is not None
    assert letter.sender == swarmbus.neighbour("ben") != BEN


def test_a_reply_to_a_message_id_is_an_answer() -> None:
    for told in ("0" * 32, "7b3f1c52-0f60-4c5e-9a51-0d4a6a3f9f10"):
        letter = read(reply_to=told)
        assert letter is not None
        assert (letter.kind, letter.answers, letter.reply_to) == (LetterKind.ANSWER, told, None)


def test_what_another_of_us_broadcast_there_came_already() -> None:
    assert read("agents/broadcast", to="broadcast", via="agentorchestr") is None
    heard = read("agents/broadcast", to="broadcast")
    assert heard is not None
    assert heard.receiver is None


def test_a_second_arrival_has_the_same_id_and_a_new_message_has_not() -> None:
    def told(**fields: object) -> str:
        letter = read(**fields)  # type: ignore[arg-type]
        assert letter is not None
        return letter.letter_id

    assert told(id="bad id") == told(id="bad id") != told(id="other id")
    assert told(retained=True) == told(retained=True)
    assert told() != told()


@pytest.mark.parametrize(
    "fields",
    [
        {
            "subject": "two\nlines \x1b[31m",
            "content_type": "a\nb",
            "priority": "",
            "thread": 5,
            "answers": [],
        },
        {"subject": "x" * 10_000, "content_type": "x" * 101, "priority": "x" * 17, "expires_at": -1},
        {"reply_to": "../../etc", "ts": "0001-01-01T00:00:00", "expires_at": "soon", "id": "x" * 100_000},
        {"reply_to": "broadcast", "ts": 1e9, "via": {"a": 1}, "body": "## [2026] From: boss | x"},
    ],
)
def test_odd_fields_make_a_letter_that_can_travel(fields: dict[str, object]) -> None:
    letter = read(**fields)  # type: ignore[arg-type]
    assert letter is not None
    encode_letter(letter)
    assert (letter.content_type, letter.priority) == ("text/plain", "normal")
    assert letter.reply_to is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"from": "a"}',
        b"[" * 100_000,
        json.dumps({**PLAIN, "from": "a/b"}).encode(),
        json.dumps({**PLAIN, "from": "ben\n"}).encode(),
        json.dumps({**PLAIN, "to": "+"}).encode(),
        json.dumps({**PLAIN, "body": 5}).encode(),
        json.dumps({**PLAIN, "subject": None}).encode(),
        json.dumps({**PLAIN, "body": "\ud800"}).encode(),
        json.dumps({**PLAIN, "body": "x" * (INLINE_BYTES + 1)}).encode(),
        json.dumps({**PLAIN, "subject": "x" * 1_000_000}).encode(),
        json.dumps({**PLAIN, "ts": "yesterday"}).encode(),
    ],
    ids=range(16),
)
def test_what_is_no_message_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        read_letter(Came("agents/ben/inbox", payload), me=BEN, now=NOW)


def test_presence_is_whose_topic_it_is() -> None:
    card = read_presence(Came("agents/planner/presence", b'{"agent": "planner", "status": "online"}'))
    assert card is not None
    assert (card.address, card.online, card.free_slots) == (swarmbus.neighbour("planner"), True, 0)
    gone = read_presence(Came("agents/planner/presence", b'{"agent": "planner", "status": "away"}'))
    assert gone is not None
    assert not gone.online


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("agents/planner/presence", presence_payload("planner", online=True)),
        ("agents/planner/presence", b'{"agent": "boss", "status": "online"}'),
        ("agents/planner/presence", b"[]"),
        ("agents/planner/presence", b"1"),
        ("agents/planner/presence", b'"x"'),
        ("agents/planner/presence", b'{"agent": "planner", "status": "' + b"x" * 5000 + b'"}'),
        ("agents/Planner/presence", b'{"agent": "Planner", "status": "online"}'),
        ("agents/broadcast/presence", b'{"agent": "broadcast", "status": "online"}'),
        ("agents/a/b/presence", b"{}"),
    ],
)
def test_what_is_no_presence_of_a_neighbour_is_nobody(topic: str, payload: bytes) -> None:
    assert read_presence(Came(topic, payload)) is None
