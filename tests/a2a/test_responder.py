"""The R rules: what a responder takes, answers and keeps. The opposite side is a raw client."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.a2a.handler import artifact, asks, completed, failed, rejected, working
from agentorchestr.a2a.limits import ResponderLimits
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.store import FolderTaskStore, MemoryTaskStore
from agentorchestr.a2a.tokens import Gate, TokenRules
from agentorchestr.errors import AgentError
from agentorchestr.model.carrier import Properties
from tests.a2a.agents import Puppet
from tests.a2a.bus import Bus, Packet
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, CONTEXT, TASK, Raw, message, read, request, send, states

pytestmark = pytest.mark.anyio
OTHER = "0d0d0d0d-3c1b-4d7e-8a55-0d1e2f3a4b5c"
UUID1 = "6fa459ea-ee8a-11ec-8ea0-0242ac120002"


@asynccontextmanager
async def answering(bus: Bus, clock: FakeClock, puppet: Puppet, **options: Any) -> AsyncIterator[Raw]:
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(bus.wire(str(BEN)))
        await stack.enter_async_context(Responder(wire, BEN, puppet, clock=clock, **options))
        ann = await stack.enter_async_context(Raw(bus, ANN))
        await ann.listen()
        yield ann
        await clock.settle()


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()


async def told(ann: Raw, clock: FakeClock) -> list[Packet]:
    await clock.settle()
    return ann.taken()


def error_of(packet: Packet) -> dict[str, Any]:
    found: dict[str, Any] = read(packet)["error"]
    return found


async def test_R2_a_request_without_a_way_back_is_refused_or_dropped(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"")
        (refused,) = await told(ann, clock)
        assert error_of(refused)["code"] == -32005
        assert error_of(refused)["data"] == {"a2a_error": "transport_protocol_error"}
        assert read(refused)["id"] == "r1"
        for properties in (Properties(correlation=b"c"), Properties()):
            await ann.wire.publish(f"$a2a/v1/request/{BEN}", send(), properties=properties)
        assert not await told(ann, clock)
    assert not puppet.started


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", -32700),
        (b"\xff\xfe\x00", -32700),
        (b"", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b"1", -32600),
        (json.dumps({"id": "r1", "method": "GetTask"}).encode(), -32600),
        (json.dumps({"jsonrpc": "2.0", "method": "GetTask"}).encode(), -32600),
        (json.dumps({"jsonrpc": "2.0", "id": True, "method": "GetTask"}).encode(), -32600),
        (json.dumps({"jsonrpc": "2.0", "id": "r1", "method": 5}).encode(), -32600),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": "' + b"x" * 1024 * 1024 + b'"}',
            -32600,
        ),
        (json.dumps({"jsonrpc": "2.0", "id": "r1", "method": "GetTask", "params": [1]}).encode(), -32602),
        (request("message/send", {"message": message()}), -32601),
        (request("Sing"), -32601),
        (request("GetTask"), -32602),
        (request("GetTask", {"id": 5}), -32602),
        (request("SendMessage", {"message": {"taskId": TASK}}), -32602),
        (request("SendMessage", {"message": message() | {"parts": []}}), -32602),
        (request("SendMessage", {"message": message() | {"parts": [{"text": "a", "url": "b"}]}}), -32602),
        (request("SendMessage", {"message": message() | {"messageId": ""}}), -32602),
    ],
)
async def test_R3_R17_what_is_wrong_is_answered_with_its_code(
    bus: Bus, clock: FakeClock, puppet: Puppet, payload: bytes, code: int
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, payload, correlation=b"\x00\xff")
        (packet,) = await told(ann, clock)
        assert error_of(packet)["code"] == code
        assert packet.properties.correlation == b"\x00\xff"
        assert read(packet)["jsonrpc"] == "2.0"
        # Nobody else is disturbed by it.
        await ann.ask(BEN, send(), correlation=b"good")
        assert states(await told(ann, clock)) == ["SUBMITTED"]


@pytest.mark.parametrize("task_id", ["", "abc", UUID1, TASK.replace("-", ""), f"{TASK}\n"])
async def test_R4_the_task_id_is_a_uuid4_of_the_requester(
    bus: Bus, clock: FakeClock, puppet: Puppet, task_id: str
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(task_id=task_id))
        (packet,) = await told(ann, clock)
    assert error_of(packet)["code"] == -32602
    assert not puppet.started


async def test_R4_R5_R9_R14_R15_every_item_names_task_and_context(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        puppet.do(working("on it"), artifact("out", artifact_id="a1"), completed("done"))
        items = await told(ann, clock)
    assert states(items) == ["SUBMITTED", "WORKING", "artifact", "COMPLETED"]
    for packet in items:
        body = read(packet)["result"]
        assert len(body) == 1
        (held,) = body.values()
        assert held.get("taskId", held.get("id")) == TASK
        assert held["contextId"] == CONTEXT
        assert packet.properties.correlation == b"c1"
        assert packet.properties.content_type == "application/json"
        assert packet.properties.utf8
        assert not packet.retained


async def test_R6_correlation_is_echoed_byte_for_byte(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    puppet.do(completed(), completed(), completed())
    async with answering(bus, clock, puppet) as ann:
        for number, correlation in enumerate((b"\x00", b"\xff\xfe\x00\x01", bytes(range(256)) * 255)):
            await ann.ask(BEN, send(task_id=TASK[:-1] + str(number)), correlation=correlation)
            items = await told(ann, clock)
            assert len(items) == 2
            assert {packet.properties.correlation for packet in items} == {correlation}


async def test_R7_replies_go_to_the_response_topic_whatever_it_is(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    puppet.do(completed())
    async with answering(bus, clock, puppet) as ann:
        ann.reply_topic = "somewhere/else entirely"
        await ann.listen("somewhere/#")
        await ann.ask(BEN, send())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]


async def test_R8_a_retry_during_the_work_joins_it(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        await clock.settle()
        puppet.do(working("half"))
        await told(ann, clock)
        await ann.ask(BEN, send(), correlation=b"two")
        (snapshot,) = await told(ann, clock)
        assert snapshot.properties.correlation == b"two"
        assert states([snapshot]) == ["WORKING"]
        puppet.do(completed())
        ends = await told(ann, clock)
        assert sorted(packet.properties.correlation for packet in ends) == [b"one", b"two"]
    assert len(puppet.started) == 1


@pytest.mark.parametrize("end", [completed("ok"), failed("broke"), rejected("no")])
async def test_R8_a_retry_after_the_end_is_told_the_end(
    bus: Bus, clock: FakeClock, puppet: Puppet, end: Any
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(artifact("out", artifact_id="a"), end)
        await ann.ask(BEN, send(), correlation=b"one")
        await told(ann, clock)
        await ann.ask(BEN, send(), correlation=b"two")
        (packet,) = await told(ann, clock)
        task = read(packet)["result"]["task"]
        assert task["status"]["state"] == end.state
        assert task["artifacts"][0]["parts"] == [{"text": "out"}]
    assert len(puppet.started) == 1


async def test_R8_a_retry_after_a_restart_is_told_the_end(bus: Bus, clock: FakeClock, tmp_path: Path) -> None:
    first, second = Puppet(), Puppet()
    async with answering(bus, clock, first, store=FolderTaskStore(tmp_path)) as ann:
        first.do(artifact("out", artifact_id="a"), completed())
        await ann.ask(BEN, send())
        await told(ann, clock)
    async with answering(bus, clock, second, store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send(), correlation=b"later")
        (packet,) = await told(ann, clock)
        assert read(packet)["result"]["task"]["artifacts"][0]["parts"] == [{"text": "out"}]
    assert not second.started


async def test_R8_what_a_restart_interrupted_has_failed_and_says_so(
    bus: Bus, clock: FakeClock, tmp_path: Path
) -> None:
    async with answering(bus, clock, Puppet(), store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send())
        await told(ann, clock)
    async with answering(bus, clock, Puppet(), store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send(), correlation=b"later")
        assert states(await told(ann, clock)) == ["FAILED"]


async def test_R8_a_handler_that_can_is_given_its_task_again(
    bus: Bus, clock: FakeClock, tmp_path: Path
) -> None:
    again = Puppet()
    async with answering(bus, clock, Puppet(), store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send())
        await told(ann, clock)
    async with answering(bus, clock, again, store=FolderTaskStore(tmp_path), resume=True) as ann:
        await clock.settle()
        await ann.ask(BEN, send(), correlation=b"later")
        again.do(completed())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]
    assert [task.id for task in again.started] == [TASK]


async def test_R10_a_missing_context_is_made_and_told(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(context_id=""))
        puppet.do(completed())
        first, last = await told(ann, clock)
    made = read(first)["result"]["task"]["contextId"]
    assert re.fullmatch(r"[0-9a-f-]{36}", made)
    assert read(last)["result"]["statusUpdate"]["contextId"] == made


async def test_R11_a_known_task_in_another_context_is_refused(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        await told(ann, clock)
        await ann.ask(BEN, send(context_id=OTHER), correlation=b"c2")
        (packet,) = await told(ann, clock)
    assert error_of(packet)["code"] == -32602


class Reader:
    """Believes every token, and has the claims it was given."""

    def __init__(self, **claims: Any) -> None:
        self.found = claims

    async def claims(self, token: str) -> dict[str, Any]:
        return self.found if token == "good-secret" else {}


RULES = TokenRules(issuer="us", audience="ben", scopes=frozenset({"work"}))
GOOD = {"iss": "us", "aud": ["ben", "cat"], "exp": 1_700_000_100, "scope": "read work"}


@pytest.mark.parametrize(
    ("claims", "authorization", "let_in"),
    [
        (GOOD, "Bearer good-secret", True),
        (GOOD | {"aud": "ben"}, "Bearer good-secret", True),
        (GOOD, "", False),
        (GOOD, "good-secret", False),
        (GOOD, "Bearer forged", False),
        (GOOD | {"exp": 1_699_999_999}, "Bearer good-secret", False),
        (GOOD | {"exp": None}, "Bearer good-secret", False),
        (GOOD | {"iss": "them"}, "Bearer good-secret", False),
        (GOOD | {"aud": "cat"}, "Bearer good-secret", False),
        (GOOD | {"aud": None}, "Bearer good-secret", False),
        (GOOD | {"scope": "read"}, "Bearer good-secret", False),
    ],
)
async def test_R12_R13_a_token_is_checked_before_the_work_and_never_echoed(
    bus: Bus, clock: FakeClock, puppet: Puppet, *, claims: dict[str, Any], authorization: str, let_in: bool
) -> None:
    async with answering(bus, clock, puppet, gate=Gate(Reader(**claims), RULES)) as ann:
        puppet.do(completed())
        await ann.ask(BEN, send(), user=(("a2a-authorization", authorization),))
        replies = await told(ann, clock)
        assert bool(puppet.started) is let_in
        assert ("-32600" in states(replies)) is not let_in
    for packet in bus.published(sender=str(BEN)):
        assert b"secret" not in packet.payload
        assert "secret" not in str(packet.properties)


async def test_R16_a_request_that_expired_is_told_so(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), expiry_s=0)
        (packet,) = await told(ann, clock)
    assert error_of(packet) == {
        "code": -32003,
        "message": "the request was too old when it came",
        "data": {"a2a_error": "request_expired"},
    }
    assert not puppet.started


async def test_R18_more_than_enough_to_do_is_responder_unavailable(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet, limits=ResponderLimits(max_running=1, max_open=2)) as ann:
        for number in range(3):
            await ann.ask(BEN, send(task_id=TASK[:-1] + str(number)), correlation=b"c%d" % number)
        replies = await told(ann, clock)
        assert sorted(states(replies)) == ["-32004", "SUBMITTED", "SUBMITTED"]
        (refused,) = [packet for packet in replies if "error" in read(packet)]
        assert error_of(refused)["data"] == {"a2a_error": "responder_unavailable"}
        assert len(puppet.started) == 1


@pytest.mark.parametrize(
    ("method", "params", "code", "reason"),
    [
        ("GetTask", {"id": OTHER}, -32001, "TASK_NOT_FOUND"),
        ("CancelTask", {"id": OTHER}, -32001, "TASK_NOT_FOUND"),
        ("SubscribeToTask", {"id": OTHER}, -32001, "TASK_NOT_FOUND"),
        ("CancelTask", {"id": TASK}, -32002, "TASK_NOT_CANCELABLE"),
        ("SubscribeToTask", {"id": TASK}, -32004, "UNSUPPORTED_OPERATION"),
        ("SendMessage", {"message": message(message_id="m2")}, -32004, "UNSUPPORTED_OPERATION"),
        ("CreateTaskPushNotificationConfig", {}, -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
        ("ListTaskPushNotificationConfigs", {}, -32003, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
        ("GetExtendedAgentCard", {}, -32004, "UNSUPPORTED_OPERATION"),
        (
            "SendMessage",
            {"message": message(task_id=OTHER), "configuration": {"acceptedOutputModes": ["image/png"]}},
            -32005,
            "CONTENT_TYPE_NOT_SUPPORTED",
        ),
        (
            "SendMessage",
            {
                "message": message(task_id=OTHER),
                "configuration": {"taskPushNotificationConfig": {"url": "x"}},
            },
            -32003,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
    ],
)
async def test_R19_G2_G3_G18_core_errors_have_the_shape_of_core(
    bus: Bus, clock: FakeClock, puppet: Puppet, *, method: str, params: dict[str, Any], code: int, reason: str
) -> None:
    async with answering(bus, clock, puppet, output_modes=["text/plain"]) as ann:
        puppet.do(completed())
        await ann.ask(BEN, send(), correlation=b"first")
        await told(ann, clock)
        await ann.ask(BEN, request(method, params), correlation=b"second")
        (packet,) = await told(ann, clock)
    assert error_of(packet)["code"] == code
    (typed,) = error_of(packet)["data"]
    assert typed["@type"].endswith("ErrorInfo")
    assert typed["reason"] == reason


async def test_R21_events_are_told_when_wanted(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet, events=True) as ann:
        puppet.do(working(), completed())
        await ann.ask(BEN, send())
        await told(ann, clock)
    events = [json.loads(packet.payload) for packet in bus.published(f"$a2a/v1/event/{BEN}")]
    assert [event["statusUpdate"]["status"]["state"] for event in events] == [
        "TASK_STATE_WORKING",
        "TASK_STATE_COMPLETED",
    ]


async def test_C10_a_request_packet_that_comes_twice_is_one_task_and_one_stream(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    bus.twice = lambda packet: "/request/" in packet.topic
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]
    assert len(puppet.started) == 1


async def test_C11_unknown_properties_are_passed_over(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), user=(("a2a-zzz", "1"), ("other", "2")))
        assert states(await told(ann, clock)) == ["SUBMITTED"]


async def test_C7_our_properties_begin_with_a2a(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(completed())
        await ann.ask(BEN, send())
        await told(ann, clock)
    names = {name for packet in bus.published(sender=str(BEN)) for name, _ in packet.properties.user}
    assert names
    assert all(name.startswith("a2a-") for name in names)


async def test_T2_two_tasks_of_one_context_end_each_on_their_own(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        await ann.ask(BEN, send(task_id=OTHER, message_id="m2"), correlation=b"two")
        await told(ann, clock)
        puppet.do(completed())
        (first,) = await told(ann, clock)
        puppet.do(failed("no"))
        (second,) = await told(ann, clock)
        assert states([first, second]) == ["COMPLETED", "FAILED"]
        assert first.properties.correlation != second.properties.correlation


async def test_Q10_a_context_property_must_be_that_of_the_payload(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"c1", user=(("a2a-context-id", OTHER),))
        assert states(await told(ann, clock)) == ["-32602"]
        await ann.ask(BEN, send(), correlation=b"c2", user=(("a2a-context-id", CONTEXT),))
        assert states(await told(ann, clock)) == ["SUBMITTED"]


@pytest.mark.parametrize("mode", ["json", "binary", "whatever"])
async def test_B1_B2_artifacts_are_json_and_the_reply_says_so(
    bus: Bus, clock: FakeClock, puppet: Puppet, mode: str
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(completed())
        await ann.ask(BEN, send(), user=(("a2a-artifact-mode", mode),))
        items = await told(ann, clock)
    assert {packet.properties.user_value("a2a-artifact-mode") for packet in items} == {"json"}


async def test_U1_U3_a_security_profile_we_do_not_speak_is_refused(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), user=(("a2a-security-profile", "ubsp-v1"),))
        (packet,) = await told(ann, clock)
    assert error_of(packet)["data"] == {"a2a_error": "transport_protocol_error"}
    assert not puppet.started


async def test_G4_a_new_message_goes_on_with_an_interrupted_task(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(asks("red or blue?"))
        await ann.ask(BEN, send(), correlation=b"one")
        assert states(await told(ann, clock)) == ["SUBMITTED", "INPUT_REQUIRED"]
        await ann.ask(BEN, send(), correlation=b"retry")
        assert states(await told(ann, clock)) == ["INPUT_REQUIRED"]
        await ann.ask(BEN, send(text="blue", message_id="m2"), correlation=b"two")
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]
    turns = [[said.text for said in task.history] for task in puppet.started]
    assert turns == [["do it"], ["do it", "red or blue?", "blue"]]


async def test_G4_a_new_message_for_a_running_task_is_refused(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        await told(ann, clock)
        await ann.ask(BEN, send(message_id="m2"), correlation=b"two")
        assert states(await told(ann, clock)) == ["-32004"]


async def test_G5_a_plain_send_is_answered_when_it_is_over(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(artifact("out", artifact_id="a"), completed())
        await ann.ask(BEN, send("SendMessage"))
        (packet,) = await told(ann, clock)
    assert read(packet)["result"]["task"]["artifacts"][0]["artifactId"] == "a"
    assert states([packet]) == ["COMPLETED"]


async def test_G5_a_plain_send_is_answered_within_2_s_and_the_rest_follows(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send("SendMessage"))
        puppet.do(working("half"))
        assert not await told(ann, clock)
        await clock.advance(2)
        assert states(await told(ann, clock)) == ["WORKING"]
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["COMPLETED"]


async def test_G5_return_immediately_is_one_answer(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        params = {"message": message(), "configuration": {"returnImmediately": True}}
        await ann.ask(BEN, request("SendMessage", params))
        assert states(await told(ann, clock)) == ["SUBMITTED"]
        puppet.do(completed())
        assert not await told(ann, clock)


@pytest.mark.parametrize(("version", "spoken"), [("", True), ("1.0", True), ("1.0.1", True), ("0.3", False)])
async def test_G7_another_version_is_refused(
    bus: Bus, clock: FakeClock, puppet: Puppet, *, version: str, spoken: bool
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), user=(("a2a-version", version),) if version else ())
        assert states(await told(ann, clock)) == (["SUBMITTED"] if spoken else ["-32009"])


async def test_G11_a_retained_request_is_dropped(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    properties = Properties(response_topic=f"$a2a/v1/reply/{ANN}/s1", correlation=b"c")
    async with Raw(bus, ANN) as raw:
        await raw.wire.publish(f"$a2a/v1/request/{BEN}", send(), properties=properties, retain=True)
    async with answering(bus, clock, puppet) as ann:
        assert not await told(ann, clock)
    assert not puppet.started


@pytest.mark.parametrize("rpc_id", ["text", "", 0, 17])
async def test_G14_the_json_rpc_id_is_echoed_as_it_was(
    bus: Bus, clock: FakeClock, puppet: Puppet, rpc_id: object
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, request("GetTask", {"id": TASK}, rpc_id=rpc_id))
        (packet,) = await told(ann, clock)
    assert read(packet)["id"] == rpc_id
    assert type(read(packet)["id"]) is type(rpc_id)


async def test_G16_a_silent_task_shows_that_it_lives_every_10_s(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        puppet.do(working())
        await told(ann, clock)
        await clock.advance(31)
        beats = await told(ann, clock)
        assert states(beats) == ["WORKING"] * 3
        for beat in beats:
            assert read(beat)["result"]["statusUpdate"]["metadata"] == {"heartbeat": True}
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["COMPLETED"]
        await clock.advance(100)
        assert not await told(ann, clock)


async def test_G17_a_long_text_goes_out_in_pieces(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    text = "".join(str(number % 10) for number in range(200_000))
    async with answering(bus, clock, puppet) as ann:
        puppet.do(artifact(text, artifact_id="a"), completed())
        await ann.ask(BEN, send())
        items = await told(ann, clock)
    pieces = [read(packet)["result"]["artifactUpdate"] for packet in items[1:-1]]
    assert len(pieces) > 1
    assert "".join(piece["artifact"]["parts"][0]["text"] for piece in pieces) == text
    assert [piece.get("append", False) for piece in pieces] == [False] + [True] * (len(pieces) - 1)
    assert [piece.get("lastChunk", False) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(packet.payload) < 256 * 1024 for packet in items)


async def test_cancel_stops_the_work_and_tells_everybody(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"stream")
        await told(ann, clock)
        await ann.ask(BEN, request("CancelTask", {"id": TASK}), correlation=b"cancel")
        replies = await told(ann, clock)
        assert {packet.properties.correlation: states([packet])[0] for packet in replies} == {
            b"stream": "CANCELED",
            b"cancel": "CANCELED",
        }
        await ann.ask(BEN, send(), correlation=b"retry")
        assert states(await told(ann, clock)) == ["CANCELED"]
    assert puppet.cancelled == [TASK]
    assert puppet.closed == 1


async def test_cancel_ends_a_task_that_asks(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(asks("?"))
        await ann.ask(BEN, send(), correlation=b"one")
        await told(ann, clock)
        await ann.ask(BEN, request("CancelTask", {"id": TASK}), correlation=b"cancel")
        assert states(await told(ann, clock)) == ["CANCELED"]


async def test_a_handler_that_breaks_fails_its_task_alone(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        for number, fault in enumerate((AgentError("no login"), RuntimeError("token=secret"))):
            puppet.do(fault)
            await ann.ask(BEN, send(task_id=TASK[:-1] + str(number)), correlation=b"c%d" % number)
            *_, last = await told(ann, clock)
            said = read(last)["result"]["statusUpdate"]["status"]
            assert said["state"] == "TASK_STATE_FAILED"
            text = said["message"]["parts"][0]["text"]
            assert text == ("the agent failed: no login", "the agent failed: RuntimeError")[number]


async def test_work_without_a_last_word_is_completed(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(None)
        await ann.ask(BEN, send())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]


async def test_subscribing_begins_with_the_task(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        puppet.do(working())
        await told(ann, clock)
        await ann.ask(BEN, request("SubscribeToTask", {"id": TASK}), correlation=b"two")
        (first,) = await told(ann, clock)
        assert "task" in read(first)["result"]
        puppet.do(completed())
        ends = await told(ann, clock)
        assert sorted(packet.properties.correlation for packet in ends) == [b"one", b"two"]


async def test_listing_shows_the_asker_its_own_tasks_newest_first(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        for number in range(3):
            puppet.do(artifact("x", artifact_id="a"), completed())
            await ann.ask(BEN, send(task_id=TASK[:-1] + str(number)), correlation=b"c%d" % number)
            await clock.advance(1)
        await told(ann, clock)
        await ann.ask(BEN, request("ListTasks", {"pageSize": 2}), correlation=b"p1")
        page = read((await told(ann, clock))[0])["result"]
        assert [task["id"][-1] for task in page["tasks"]] == ["2", "1"]
        assert page["totalSize"] == 3
        assert all("artifacts" not in task for task in page["tasks"])
        params = {"pageSize": 2, "pageToken": page["nextPageToken"], "includeArtifacts": True}
        await ann.ask(BEN, request("ListTasks", params), correlation=b"p2")
        page = read((await told(ann, clock))[0])["result"]
        assert [task["id"][-1] for task in page["tasks"]] == ["0"]
        assert page["tasks"][0]["artifacts"]
        assert page["nextPageToken"] == ""
        ann.reply_topic = "$a2a/v1/reply/acme/lab/eve/s"
        await ann.listen()
        await ann.ask(BEN, request("ListTasks"), correlation=b"p3")
        assert read((await told(ann, clock))[0])["result"]["tasks"] == []


async def test_replies_wait_for_the_connection(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        await told(ann, clock)
        wire = next(wire for wire in bus.wires if wire.client_id == str(BEN))
        wire.cut()
        puppet.do(completed())
        assert not await told(ann, clock)
        wire.back()
        assert states(await told(ann, clock)) == ["COMPLETED"]


async def test_requests_are_acknowledged_after_the_task_is_stored(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    order: list[str] = []

    class Noting(MemoryTaskStore):
        def save(self, record: Any) -> None:
            order.append("stored")
            super().save(record)

    class Marked(Packet):
        def acknowledge(self) -> None:
            order.append("acknowledged")

    async with answering(bus, clock, puppet, store=Noting()) as ann:
        wire = next(wire for wire in bus.wires if wire.client_id == str(BEN))
        properties = Properties(response_topic=ann.reply_topic, correlation=b"c")
        wire.put(Marked(f"$a2a/v1/request/{BEN}", send(), properties))
        await told(ann, clock)
    assert order[:2] == ["stored", "acknowledged"]


async def test_old_tasks_are_forgotten(bus: Bus, clock: FakeClock, tmp_path: Path) -> None:
    store = FolderTaskStore(tmp_path)
    puppet = Puppet()
    async with answering(bus, clock, puppet, store=store) as ann:
        puppet.do(completed())
        await ann.ask(BEN, send())
        await told(ann, clock)
    await clock.advance(8 * 24 * 3600)
    async with answering(bus, clock, puppet, store=store):
        assert not list(FolderTaskStore(tmp_path).all())
