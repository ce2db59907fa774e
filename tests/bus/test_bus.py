"""The Python API on a real broker."""

import asyncio
import subprocess
import sys
import time

import pytest

from agentorchestr.bus import Bus, InstanceRuns, LetterState, NoAnswer
from agentorchestr.bus.home import InstanceLock
from agentorchestr.bus.letters import make_letter
from agentorchestr.bus.names import address_of
from agentorchestr.bus.quick import send_now
from agentorchestr.errors import BusError, UsageError
from agentorchestr.mqtt.broker import ensure_broker, stop_broker
from agentorchestr.paths import Paths
from tests.bus.conftest import ROOT, beside, first, soon

pytestmark = pytest.mark.anyio


async def test_a_letter_arrives_with_all_that_was_said_of_it(env):
    async with Bus("ann", env=env) as ann, Bus("ben", env=env) as ben:
        sent = await ann.send(
            "ben",
            "look at this",
            subject="a subject",
            priority="high",
            content_type="text/markdown",
            reply_to="cat",
            thread="t1",
            answers="m1",
            expires_s=60,
        )
        # An answer nobody waits for is for `read`; it does not come out as a message.
        note = await ann.send("ben", "plain")
        [got] = await first(ben.messages(), 1)
        assert (got.letter_id, got.body, got.verified) == (note.letter_id, "plain", True)
        assert (await ann.wait_for(note.letter_id, "read", timeout_s=10)).state is LetterState.READ
        [answer] = ben.exchange.store.inbox.answers_to(ben.me, "m1")
        assert answer.letter == sent.__class__(**{**vars(sent), "verified": True})


async def test_many_get_one_letter_each_and_all_reaches_everybody(env):
    async with Bus("ann", env=env) as ann, Bus("ben", env=env) as ben, Bus("cat", env=env) as cat:
        await ann.send_many(["ben", "cat", "ben"], "to both")
        await ann.send("all", "to all")
        assert [letter.body for letter in await first(ben.messages(), 2)] == ["to both", "to all"]
        assert [letter.body for letter in await first(cat.messages(), 2)] == ["to both", "to all"]
        with pytest.raises(UsageError, match="other receivers"):
            await ann.send_many(["all", "ben"], "x")


async def test_a_question_is_answered_by_plain_and_async_functions(env):
    async def slow(letter):
        await asyncio.sleep(0)
        return letter.body.upper()

    async with (
        Bus("ann", env=env) as ann,
        Bus("ben", env=env) as ben,
        Bus("cat", env=env) as cat,
        beside(ben.serve(slow)),
        beside(cat.serve(lambda letter: letter.body * 2)),
    ):
        assert (await ann.request("ben", "what", timeout_s=10)).body == "WHAT"
        assert (await ann.request("cat", "ab", timeout_s=10)).body == "abab"
        began = time.monotonic()
        for _ in range(10):
            await ann.request("ben", "again", timeout_s=10)
        # Nagle against delayed acknowledgement would be 88 ms each.
        assert (time.monotonic() - began) / 10 < 0.08


async def test_a_handler_that_fails_is_told_to_who_asked_and_harms_nobody_else(env, caplog):
    def broken(letter):
        if letter.body == "bad":
            raise ValueError("not that one")
        return "fine"

    async with Bus("ann", env=env) as ann, Bus("ben", env=env) as ben, beside(ben.serve(broken)):
        with pytest.raises(NoAnswer, match="ValueError: not that one"):
            await ann.request("ben", "bad", timeout_s=10)
        assert (await ann.request("ben", "good", timeout_s=10)).body == "fine"
    assert "handler failed" in caplog.text


async def test_a_question_to_nobody_ends_with_its_time(env):
    async with Bus("ann", env=env) as ann:
        with pytest.raises(NoAnswer, match=r"within 0\.3 s|nobody there"):
            await ann.request("nobody", "there?", timeout_s=0.3)


async def test_at_most_the_limit_is_served_at_a_time(env):
    running, most = 0, 0

    async def work(_letter):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        return "done"

    async with (
        Bus("ann", env=env) as ann,
        Bus("ben", env=env) as ben,
        beside(ben.serve(work, limit=3)),
        asyncio.TaskGroup() as group,
    ):
        for _ in range(9):
            group.create_task(ann.request("ben", "go", timeout_s=20))
    assert most == 3


async def test_what_waits_for_an_agent_that_never_ran_arrives_when_it_starts(env):
    async with Bus("ann", env=env) as ann:
        sent = [await ann.send("later", f"letter {number}") for number in range(20)]
        async with Bus("later", env=env) as later:
            got = await first(later.messages(), 20)
            assert [letter.letter_id for letter in got] == [letter.letter_id for letter in sent]


async def test_the_mail_of_a_sleeper_is_carried_by_who_is_awake(env, place):
    ann = place("ann")
    letters = [make_letter(ann.me, address_of("ben"), f"letter {number}") for number in range(5)]
    standings = await asyncio.to_thread(send_now, ann, letters)
    assert {(standing.state, standing.why) for standing in standings} == {
        (LetterState.STORED, "nobody there")
    }
    async with Bus("ben", env=env) as ben:
        assert len(await first(ben.messages(), 5)) == 5

        def settled():
            with ann.home.open_store() as store:
                return store.outbox.next_due(ann.me) is None

        await soon(settled)
        # The sleeper was not shown as awake for it.
        assert [str(card.address.agent) for card in await ben.agents()] == ["ben"]


async def test_agents_are_listed_with_what_they_can_do(env):
    async with Bus("ann", env=env) as ann:
        async with Bus("ben", env=env, skills=["review"], description="reads code"):
            [card] = await ann.agents("review")
            assert (card.address.agent, card.online, card.description) == ("ben", True, "reads code")
        await soon(lambda: ann.delegation._directory.agents("review", online=False))


async def test_two_of_one_name_do_not_fight(env):
    async with Bus("ann", env=env):
        with pytest.raises(InstanceRuns, match="an instance of ann runs already"):
            async with Bus("ann", env=env):
                pass
    async with Bus("ann", env=env):
        pass


async def test_an_instance_waits_for_who_holds_its_mail_for_a_moment(env, place):
    """A command that sends, or another agent that carries its mail: neither can be rung."""
    carrier = InstanceLock(place("ann").home)
    assert carrier.try_lock()

    async def lets_go() -> None:
        await asyncio.sleep(0.3)
        carrier.release()

    async with asyncio.TaskGroup() as group:
        group.create_task(lets_go())
        async with Bus("ann", env=env) as ann:
            assert carrier._fd < 0
            assert await ann.agents()


async def test_an_error_inside_the_block_comes_out_as_it_was(env):
    with pytest.raises(KeyError, match="mine"):
        async with Bus("ann", env=env):
            raise KeyError("mine")


async def test_a_broker_that_was_killed_is_started_again_and_nothing_is_lost(env):
    paths = Paths.from_env(env)
    async with Bus("ann", env=env) as ann, Bus("ben", env=env) as ben:
        await ann.send("ben", "before")
        await asyncio.to_thread(stop_broker, paths)
        for number in range(10):
            await ann.send("ben", f"without {number}")
        got = await first(ben.messages(), 11, within_s=30)
        assert len({letter.letter_id for letter in got}) == 11
        assert ensure_broker(paths).pid


async def test_a_letter_of_another_process_goes_out_at_once(env, place):
    async with Bus("ann", env=env), Bus("ben", env=env) as ben:
        letter = make_letter(place("ann").me, ben.me, "from the side")
        [standing] = await asyncio.to_thread(send_now, place("ann"), [letter])
        assert standing.state in {LetterState.SENT, LetterState.RECEIVED}
        [got] = await first(ben.messages(), 1)
        assert got.letter_id == letter.letter_id


async def test_what_cannot_travel_is_refused_before_it_is_stored(env):
    async with Bus("ann", env=env) as ann:
        for words in ({"subject": "two\nlines"}, {"subject": "x" * 201}, {"thread": "a b"}, {"priority": ""}):
            with pytest.raises(UsageError):
                await ann.send("ben", "x", **words)
        with pytest.raises(UsageError, match="16,777,217 bytes"):
            await ann.send("ben", "x" * 16_777_217)
        with pytest.raises(UsageError, match="UTF-8"):
            await ann.send("ben", "\ud800")
        for name in ("", "a b", "../x", "..", "a/b/c/d", "x\n", "a" * 65):
            with pytest.raises(UsageError, match="not the name"):
                await ann.send(name, "x")
        assert ann.exchange.store.outbox.recent(ann.me, limit=10) == []


async def test_a_bus_is_used_inside_its_block_only(env):
    with pytest.raises(UsageError, match="inside of"):
        await Bus("ann", env=env).send("ben", "x")
    async with Bus("ann", env=env) as ann:
        with pytest.raises(BusError, match="no letter of ours"):
            await ann.wait_for("unknown", "read", timeout_s=0.1)


def test_importing_the_package_is_cheap():
    shown = "import sys, agentorchestr.bus; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, check=True, text=True, cwd=ROOT, timeout=60
    )
    assert not {"asyncio", "pydantic", "paho", "sqlite3", "click"} & set(done.stdout.split())


def test_every_name_of_the_package_is_there():
    import agentorchestr.bus as package

    assert {name for name in package.__all__ if getattr(package, name, None) is None} == set()
    assert set(package.__all__) == set(package._HOMES)
    with pytest.raises(AttributeError):
        _ = package.nothing
