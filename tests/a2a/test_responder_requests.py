"""The R rules about requests: which are taken, which are refused and with what words."""

import json
import re
from typing import Any

import pytest

from agentorchestr.a2a.handler import completed, working
from agentorchestr.a2a.limits import ResponderLimits
from agentorchestr.a2a.tokens import Gate, TokenRules
from agentorchestr.model.carrier import Properties
from tests.a2a.agents import Puppet
from tests.a2a.answering import answering, error_of, told
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, CONTEXT, TASK, Raw, message, read, request, send, states

pytestmark = pytest.mark.anyio
OTHER = "0d0d0d0d-3c1b-4d7e-8a55-0d1e2f3a4b5c"
UUID1 = "6fa459ea-ee8a-11ec-8ea0-0242ac120002"


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
