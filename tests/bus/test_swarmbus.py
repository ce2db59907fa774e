"""Agents that speak swarmbus, too, on the private broker; its side is played by raw connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agentorchestr.bus import Bus
from agentorchestr.bus.line import Place
from agentorchestr.bus.listing import list_agents_at
from agentorchestr.bus.names import address_of, short_name
from agentorchestr.bus.swarmbus_login import SwarmbusLogin, make_swarmbus_login
from agentorchestr.errors import CarrierRefused, UsageError
from agentorchestr.model.carrier import Delivered
from agentorchestr.model.mail import LetterState
from agentorchestr.mqtt.broker import ensure_broker, stop_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.logins import add_login, add_swarmbus_login, open_to_swarmbus, remove_logins
from agentorchestr.paths import Paths
from agentorchestr.process import offload
from agentorchestr.swarm import topics
from tests.bus.conftest import Shell, first, soon
from tests.bus.test_command_line import data, problem

pytestmark = pytest.mark.anyio


@pytest.fixture
def paths(env: dict[str, str]) -> Paths:
    return Paths.from_env(env)


def login_of(place: Callable[[str], Place], name: str) -> tuple[SwarmbusLogin, Login]:
    made = make_swarmbus_login(replace(place(f"swarmbus/{name}"), compat="swarmbus"))
    words = dict(line.split("=", 1) for line in made.file.read_text().splitlines())
    assert made.file.stat().st_mode & 0o077 == 0
    return made, Login(words["SWARMBUS_BROKER_USERNAME"], words["SWARMBUS_BROKER_PASSWORD"])


@asynccontextmanager
async def neighbour(place: Callable[[str], Place], name: str = "planner") -> AsyncIterator[MqttConnection]:
    """A client as swarmbus is one: over TCP, under any client id. Nothing in the block waits for ever."""
    made, login = login_of(place, name)
    endpoint = Endpoint(host="127.0.0.1", port=made.port)
    made_line = MqttConnection(endpoint, client_id=f"swarmbus-{name}", login=login, will=None)
    async with asyncio.timeout(60), made_line as line:
        assert await line.wait_connected(timeout_s=10)
        yield line


def told(**fields: object) -> bytes:
    return json.dumps({"from": "planner", "to": "ben", "subject": "s", "body": "b", **fields}).encode()


async def test_hostile_messages_disturb_nobody(env: dict[str, str], place: Callable[[str], Place]) -> None:
    async with neighbour(place) as planner, Bus("ben", env=env, compat="swarmbus") as ben:
        for payload in (b"", b"\xff", b"[]", b"[" * 90_000, told(body="x" * 70_000), told(**{"from": "a/b"})):
            await planner.publish("agents/ben/inbox", payload)
            await planner.publish("agents/broadcast", payload)
        for payload in (b"[]", b"\xff", b'{"agent": "boss", "status": "online"}'):
            await planner.publish("agents/planner/presence", payload, retain=True)
        # More than a receiver is handed before it acknowledges some.
        await asyncio.gather(*(planner.publish("agents/ben/inbox", b"[]") for _ in range(600)))
        for _ in range(3):
            await planner.publish("agents/ben/inbox", told(id="same"))
        await planner.publish("agents/ben/inbox", told(id="last", **{"from": "ben"}))
        letters = await first(ben.messages(), 2)
        assert [(short_name(one.sender), one.letter_id, one.verified) for one in letters] == [
            ("swarmbus/planner", "same", False),
            ("swarmbus/ben", "last", False),
        ]
        assert [short_name(card.address) for card in await ben.agents()] == ["ben"]


async def test_a_broadcast_of_ours_comes_once_on_either_side(
    env: dict[str, str], place: Callable[[str], Place]
) -> None:
    async with (
        neighbour(place) as planner,
        Bus("ann", env=env, compat="swarmbus") as ann,
        Bus("ben", env=env, compat="swarmbus") as ben,
    ):
        heard = planner.messages()
        await planner.subscribe(["agents/broadcast", "agents/planner/inbox"])
        for to, body in (
            ("all", "everybody"),
            ("swarmbus/broadcast", "only there"),
            ("ben", "ben alone"),
            ("swarmbus/planner", "planner alone"),
        ):
            letter = await ann.send(to, body)
            await ann.wait_for(letter.letter_id, LetterState.SENT)
        assert [one.body for one in await first(ben.messages(), 2)] == ["everybody", "ben alone"]
        bodies = []
        async for message in heard:
            bodies.append(json.loads(message.payload)["body"])
            if bodies[-1] == "planner alone":
                break
        assert bodies == ["everybody", "only there", "planner alone"]
        await planner.publish("agents/broadcast", told(to="broadcast", body="from there"))
        assert (await first(ben.messages(), 2))[1].body == "from there"
        # Nothing that came from there was said again: what comes next is what ben says next.
        await ben.send("swarmbus/planner", "end")
        echoes = [json.loads((await anext(heard)).payload)["body"] for _ in range(2)]
        assert echoes == ["from there", "end"]


async def test_presence_is_seen_both_ways_and_once(
    env: dict[str, str], place: Callable[[str], Place]
) -> None:
    async with neighbour(place) as planner:
        await planner.subscribe(["agents/+/presence"])
        seen = planner.messages()
        async with Bus("ben", env=env, compat="swarmbus") as ben:
            message = await anext(seen)
            assert message.topic == "agents/ben/presence"
            assert json.loads(message.payload)["status"] == "online"
            online = b'{"agent": "planner", "status": "online"}'
            await planner.publish("agents/planner/presence", online, retain=True)

            async def both() -> bool:
                return [short_name(card.address) for card in await ben.agents()] == [
                    "ben",
                    "swarmbus/planner",
                ]

            await soon(both)
            listed = await offload(list_agents_at, replace(place("ben"), compat="swarmbus"))
            assert [short_name(card.address) for card in listed] == ["ben", "swarmbus/planner"]
            assert [short_name(card.address) for card in await offload(list_agents_at, place("ben"))] == [
                "ben"
            ]
        async for message in seen:
            if message.topic == "agents/ben/presence" and json.loads(message.payload)["status"] == "offline":
                break


async def test_a_letter_waits_here_for_a_neighbour_that_never_ran(
    env: dict[str, str], place: Callable[[str], Place]
) -> None:
    async with Bus("ann", env=env, compat="swarmbus") as ann:
        letter = await ann.send("swarmbus/planner", "early", expires_s=600)

        async def waits() -> bool:
            standing = await ann.exchange.state_of(letter.letter_id)
            return standing is not None and standing.why == "nobody there"

        await soon(waits)
        async with neighbour(place) as planner:
            await planner.subscribe(["agents/planner/inbox"])
            online = b'{"agent": "planner", "status": "online"}'
            await planner.publish("agents/planner/presence", online, retain=True)
            message = await anext(planner.messages())
            assert json.loads(message.payload)["body"] == "early"
            standing = await ann.wait_for(letter.letter_id, LetterState.SENT)
            assert (standing.state, standing.next_try_at) == (LetterState.SENT, 0.0)


async def test_a_login_of_swarmbus_has_its_own_inbox_and_presence_only(
    env: dict[str, str], place: Callable[[str], Place]
) -> None:
    async with (
        Bus("ben", env=env, compat="swarmbus") as ben,
        neighbour(place, "coder") as coder,
        neighbour(place) as planner,
    ):
        for topic in ("agents/ben/presence", "agents/coder/presence", "agents/x/y/inbox"):
            assert await planner.publish(topic, b"{}", retain=True) is Delivered.REFUSED
        forged = topics.directed(ben.me, address_of("ann"))
        assert await planner.publish(forged, b"{}") is Delivered.REFUSED
        # Its login is no address, so what it says in our own form is nobody's.
        fields = {"v": 1, "id": "x", "from": "local/ben/planner", "to": str(ben.me), "body": "trick"}
        await planner.publish(f"agentorchestr/v1/in/{ben.me}/planner", json.dumps(fields).encode())
        fields |= {"from": "v1/all/planner", "to": "*"}
        await planner.publish("agentorchestr/v1/all/planner", json.dumps(fields).encode())
        await planner.publish("agents/ben/inbox", told(body="honest"))
        assert [one.body for one in await first(ben.messages(), 1)] == ["honest"]
        await planner.subscribe(["agents/coder/inbox", "agents/+/inbox", f"agentorchestr/v1/in/{ben.me}/#"])
        await coder.publish("agents/coder/inbox", b"secret")
        await ben.send("swarmbus/coder", "secret")
        await planner.subscribe(["agents/planner/inbox"])
        await coder.publish("agents/planner/inbox", b"for planner")
        assert (await anext(planner.messages())).payload == b"for planner"


async def test_nobody_comes_in_by_the_door_without_a_login(
    place: Callable[[str], Place], paths: Paths
) -> None:
    made, login = login_of(place, "planner")
    endpoint = Endpoint(host="127.0.0.1", port=made.port)
    for wrong in (None, Login(login.user, "guessed"), Login("", "")):
        with pytest.raises(CarrierRefused):
            async with MqttConnection(endpoint, client_id="x", login=wrong, will=None):
                pass
    remove_logins(paths, [address_of("swarmbus/planner")])
    with pytest.raises(CarrierRefused):
        async with MqttConnection(endpoint, client_id="x", login=login, will=None):
            pass


def test_the_door_is_closed_until_it_is_asked_for_and_after_down(paths: Paths) -> None:
    handle = ensure_broker(paths, stays=True)
    config = paths.state / "broker/mosquitto.conf"
    assert config.read_text().count("listener ") == 2
    add_swarmbus_login(paths, address_of("ben"))
    port = open_to_swarmbus(paths)
    assert ensure_broker(paths).pid != handle.pid
    assert ensure_broker(paths).endpoint_tcp == handle.endpoint_tcp
    assert (config.read_text().count("listener "), open_to_swarmbus(paths)) == (3, port)
    stop_broker(paths)
    ensure_broker(paths)
    assert config.read_text().count("listener ") == 2
    assert "agents/" not in (paths.state / "broker/acl").read_text()
    assert open_to_swarmbus(paths) == port


def test_a_name_there_is_for_one(paths: Paths) -> None:
    add_swarmbus_login(paths, address_of("ben"))
    with pytest.raises(UsageError, match="already the broker itself"):
        add_swarmbus_login(paths, address_of("admin"))
    with pytest.raises(UsageError, match="already agentorchestr/local/ben"):
        add_swarmbus_login(paths, address_of("swarmbus/ben"))
    remove_logins(paths, [address_of("ben")])
    add_swarmbus_login(paths, address_of("swarmbus/ben"))


async def test_connections_come_back_when_the_door_is_opened(env: dict[str, str], paths: Paths) -> None:
    async with Bus("ann", env=env) as ann, Bus("ben", env=env) as ben:
        open_to_swarmbus(paths)
        letter = await ann.send("ben", "still here")
        assert [one.body for one in await first(ben.messages(), 1)] == ["still here"]
        assert (await ann.wait_for(letter.letter_id, LetterState.RECEIVED)).state.value in {
            "received",
            "read",
        }


def test_what_cannot_be_said_is_one_clear_error(
    env: dict[str, str], place: Callable[[str], Place], shell: Shell
) -> None:
    assert "is an agent of swarmbus" in problem(shell.run("send", "swarmbus/planner", "x"))
    compat = ("--bus-compat", "swarmbus")
    assert "no name on swarmbus" in problem(
        shell.run("send", "swarmbus/planner", "x", "--agent-id", "Ann.B", *compat)
    )
    assert "not one of ours" in problem(
        shell.run("send", "swarmbus/coder", "x", "--agent-id", "swarmbus/planner", *compat)
    )
    assert "add --bus-compat" in shell.run("init", "--agent-id", "swarmbus/planner").stderr.decode()
    with pytest.raises(UsageError, match="not one of ours"):
        Bus("swarmbus/planner", env=env, compat="swarmbus")
    with pytest.raises(UsageError, match="unknown neighbour"):
        Place.of({**env, "AGENTORCHESTR_BUS_COMPAT": "pigeons"}, address_of("ben"))


async def test_tasks_are_not_given_to_a_neighbour(env: dict[str, str]) -> None:
    async with Bus("ann", env=env, compat="swarmbus") as ann:
        with pytest.raises(UsageError, match="know no tasks"):
            await ann.delegate("work", to="swarmbus/planner")


async def test_a_command_says_it_in_both_forms_without_an_instance(
    env: dict[str, str], place: Callable[[str], Place], shell: Shell
) -> None:
    made = data(
        shell.run("init", "--agent-id", "swarmbus/planner", "--bus-compat", "swarmbus", "--json"),
        "swarmbus_login",
    )
    assert (made["agent"], made["user"]) == ("planner", "planner")
    up = data(shell.run("up", "--bus-compat", "swarmbus", "--json"), "broker")
    assert up["swarmbus_port"] == made["port"]
    async with neighbour(place) as planner, Bus("ben", env=env, compat="swarmbus") as ben:
        await planner.subscribe(["agents/planner/inbox", "agents/broadcast"])
        compat = ("--agent-id", "ann", "--bus-compat", "swarmbus", "--json")
        one, _ = data(shell.run("send", "swarmbus/planner,ben", "some", *compat), "sent")["letters"]
        assert (one["to"], one["state"], one["why"]) == (
            "swarmbus/planner",
            "sent",
            "swarmbus sends no receipts",
        )
        [everybody] = data(shell.run("send", "all", "everybody", *compat), "sent")["letters"]
        assert everybody["state"] == "sent"
        heard = planner.messages()
        found = [json.loads((await anext(heard)).payload) for _ in range(2)]
        assert [(m["from"], m["to"], m["body"]) for m in found] == [
            ("ann", "planner", "some"),
            ("ann", "broadcast", "everybody"),
        ]
        assert [one.body for one in await first(ben.messages(), 2)] == ["some", "everybody"]


async def test_a_client_under_another_name_gets_nothing_that_waits_and_nothing_is_lost(
    env: dict[str, str], place: Callable[[str], Place]
) -> None:
    made, login = login_of(place, "planner")
    endpoint = Endpoint(host="127.0.0.1", port=made.port)
    async with Bus("ben", env=env) as ben:
        address = str(ben.me)
    async with asyncio.timeout(60), Bus("ann", env=env) as ann:
        letter = await ann.send("ben", "for ben")
        await ann.wait_for(letter.letter_id, LetterState.SENT)
        async with MqttConnection(endpoint, client_id=address, login=login, will=None) as thief:
            await thief.subscribe(["agents/planner/inbox"])
            await thief.publish("agents/planner/inbox", b"mine")
            async for message in thief.messages():
                # Cards are for everybody; letters are not.
                assert message.topic.startswith(("$a2a/v1/discovery/", "agents/planner/"))
                if message.payload == b"mine":
                    break
        async with Bus("ben", env=env) as ben:
            assert [one.body for one in await first(ben.messages(), 1)] == ["for ben"]


async def test_what_was_read_or_waits_is_not_told_to_a_neighbour(
    place: Callable[[str], Place], shell: Shell
) -> None:
    compat = ("--agent-id", "ben", "--bus-compat", "swarmbus", "--json")
    shell.run("init", *compat)
    waiting = data(shell.run("send", "swarmbus/planner", "early", *compat), "sent")["letters"][0]
    assert (waiting["state"], waiting["why"]) == ("stored", "nobody there")
    async with neighbour(place) as planner:
        await planner.subscribe(["agents/planner/inbox", "agents/broadcast"])
        await planner.publish("agents/ben/inbox", told(body="hello"))
        [letter] = data(shell.run("read", *compat), "letters")["letters"]
        assert letter["body"] == "hello"
        # Without the option what waits for the neighbour stays, and hinders nothing.
        [sent] = data(shell.run("send", "all", "x", "--agent-id", "ben", "--json"), "sent")["letters"]
        assert sent["state"] == "sent"
        shell.run("send", "swarmbus/planner", "late", *compat)
        heard = planner.messages()
        bodies = {json.loads((await anext(heard)).payload)["body"] for _ in range(2)}
        assert bodies == {"early", "late"}
        await planner.publish("agents/planner/inbox", told(body="end"))
        assert json.loads((await anext(heard)).payload)["body"] == "end"


async def test_what_came_while_away_outlives_new_logins_and_a_restart(
    env: dict[str, str], place: Callable[[str], Place], paths: Paths
) -> None:
    login_of(place, "planner")
    async with Bus("ben", env=env, compat="swarmbus") as ben:
        me = ben.me
    for name in ("one", "two"):
        add_login(paths, address_of(name))
        async with neighbour(place) as planner:
            said = await planner.publish("agents/ben/inbox", told(body=name))
            assert said is Delivered.ACCEPTED
    add_login(paths, address_of("three"))
    remove_logins(paths, [address_of("one"), address_of("two")])
    async with Bus("ben", env=env, compat="swarmbus") as ben:
        assert ben.me == me
        assert [one.body for one in await first(ben.messages(), 2)] == ["one", "two"]
