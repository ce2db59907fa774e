"""A broker that somebody named: letters that waited for it, other names on it, and who is believed there."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentorchestr.bus import Bus, Letter
from agentorchestr.bus.keeping import carry
from agentorchestr.bus.line import Place
from agentorchestr.bus.listing import list_agents_at
from agentorchestr.bus.names import address_of
from agentorchestr.clock import until
from agentorchestr.mqtt.broker import find_mosquitto
from agentorchestr.mqtt.broker_files import ACL, hashed
from agentorchestr.mqtt.endpoint import Login
from tests.bus.conftest import Shell, first
from tests.mqtt.secured import answers, free_port

pytestmark = pytest.mark.anyio
ANN, BEN, SESSION = "team/left/ann", "team/right/ben", "agentorchestr/s1/lead"
SHARED = "lea"
RULES = f"""{ACL}
user {SHARED}
topic readwrite agentorchestr/v1/#
topic readwrite $a2a/v1/#
"""


class Named:
    """A mosquitto with rules, started when a test says so."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.running: list[subprocess.Popen[bytes]] = []

    def login(self, user: str) -> Login:
        return Login(user, f"secret of {user}")

    def start(self) -> None:
        users = "".join(f"{hashed(user, self.login(user).password)}\n" for user in (ANN, BEN, SHARED))
        (self.folder / "passwd").write_text(users)
        (self.folder / "acl").write_text(RULES)
        config = f"listener {self.port} 127.0.0.1\nuser root\npassword_file {self.folder}/passwd\nacl_file {self.folder}/acl\n"
        (self.folder / "conf").write_text(config)
        for file in ("passwd", "acl"):
            (self.folder / file).chmod(0o600)
        argv = [find_mosquitto(""), "-c", str(self.folder / "conf")]
        self.running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        assert until(lambda: answers(self.port), within_s=10)

    def bus(self, name: str, user: str = "") -> Bus:
        return Bus(name, broker=self.url, login=self.login(user or name), env=self.env)

    def place(self, name: str, user: str) -> Place:
        return Place.of(self.env, address_of(name), broker=self.url, login=self.login(user))


@pytest.fixture
def named(private_home: dict[str, str], tmp_path: Path) -> Iterator[Named]:
    made = Named(tmp_path, private_home)
    yield made
    for child in made.running:
        child.terminate()
        child.wait(10)


async def got(bus: Bus, count: int) -> list[Letter]:
    return await first(bus.messages(), count)


async def test_what_a_command_could_not_send_goes_with_the_next_one(named: Named, tmp_path: Path) -> None:
    file = tmp_path / "ann.login"
    file.write_text(f"{ANN}:{named.login(ANN).password}\n")
    file.chmod(0o600)
    root = str(Path(__file__).parents[2])
    shell = Shell({**named.env, "PYTHONPATH": root}, tmp_path)
    words = ("--agent-id", ANN, "--broker", named.url, "--login-file", str(file), "--json")
    kept = await asyncio.to_thread(shell.run, "send", BEN, "first", *words)
    [one] = json.loads(kept.stdout)["data"]["letters"]
    assert one["state"] == "stored"
    assert "no broker answers" in one["why"]
    named.start()
    async with named.bus(BEN) as ben:
        sent = await asyncio.to_thread(shell.run, "send", BEN, "second", *words)
        assert json.loads(sent.stdout)["data"]["letters"][0]["state"] == "sent"
        assert [letter.body for letter in await got(ben, 2)] == ["first", "second"]


async def test_names_are_believed_where_logins_bind_them_and_those_of_sessions_are_not(named: Named) -> None:
    named.start()
    async with (
        named.bus(BEN) as ben,
        named.bus(ANN) as ann,
        named.bus(SESSION, SHARED) as lead,
    ):
        await ann.send(BEN, "from ann")
        await lead.send(BEN, "from a session")
        letters = await got(ben, 2)
        assert {letter.body: letter.verified for letter in letters} == {
            "from ann": True,
            "from a session": False,
        }
        await ben.send(SESSION, "hello")
        [letter] = await got(lead, 1)
        assert not letter.verified, "a login that may write under any name proves none"


async def test_with_a_login_for_many_one_agent_carries_the_mail_of_another(named: Named) -> None:
    named.start()
    async with named.bus("team/x/asleep", SHARED) as asleep:
        asleep.exchange.transport.cut(stay_away=True)
        await asleep.send("team/x/ben", "carry me")
    async with named.bus("team/x/ben", SHARED) as ben:
        await carry(ben.place)
        assert [letter.body for letter in await got(ben, 1)] == ["carry me"]


async def test_with_a_login_for_each_nobody_tries_to_carry(named: Named) -> None:
    assert not named.place(ANN, ANN).may_carry
    assert named.place("team/x/any", SHARED).may_carry


async def test_a_listing_with_an_agents_own_login_is_complete_and_takes_nothing_of_it(named: Named) -> None:
    named.start()
    async with named.bus(BEN):
        pass
    async with named.bus(ANN) as ann:
        await ann.send(BEN, "for later")
        [letter] = ann.exchange.store.outbox.recent(ann.me, limit=1)
        await ann.wait_for(letter.letter.letter_id, "sent", timeout_s=10)
        cards = await asyncio.to_thread(list_agents_at, named.place("any", BEN))
        assert {str(card.address): card.online for card in cards} == {ANN: True, BEN: False}
    # Its sender is gone: what comes now was kept at the broker.
    async with named.bus(BEN) as ben:
        assert [letter.body for letter in await got(ben, 1)] == ["for later"]
