"""Each of the ten documented types: what is right, malformed, in a wrong state, or about unknown ids."""

import asyncio
import uuid

import pytest

from agentorchestr.bus import Agent, Bus, DelegatedState, NoAnswer
from tests.bus.conftest import beside, soon
from tests.hub.conftest import HubClient

pytestmark = pytest.mark.anyio


def fault(frame):
    assert frame["type"] == "error", frame
    assert frame["from"] == "hub"
    assert set(frame["payload"]) == {"error", "details"}
    return frame["payload"]["error"]


async def found(client, capability=""):
    frame = await client.ask("discover", {"capability": capability})
    assert (frame["type"], frame["from"], frame["to"]) == ("discover", "hub", client.client_id)
    return {agent["id"]: agent for agent in frame["payload"]["agents"]}


async def test_register_makes_an_agent_of_the_bus(hub, env):
    async with Bus("ann", env=env) as ann, hub.client("echo", "echo", "Say-It") as echo:
        await soon(lambda: ann.agents("echo"))
        [card] = await ann.agents("echo")
        assert (str(card.address), card.program) == ("agentorchestr/local/echo", "a2a-hub")
        assert card.description.startswith("Echo. ")
        assert "token" not in card.description
        again = await echo.ask(
            "register", {"name": "Echo", "capabilities": ["sing"], "metadata": {"token": hub.token("echo")}}
        )
        assert again["payload"]["status"] == "ok"
        await soon(lambda: ann.agents("sing"))
        assert not await ann.agents("echo")


async def test_register_is_refused_without_a_token_of_that_name(hub):
    async with hub.socket() as socket:
        client = HubClient(socket, "echo")
        for metadata in ({}, {"token": ""}, {"token": 7}, {"token": hub.token("other") + "x"}):
            said = await client.ask("register", {"name": "e", "metadata": metadata})
            assert "no valid token" in fault(said)
        said = await client.ask("register", {"name": "e", "metadata": {"token": hub.token("other")}})
        assert "not for echo" in fault(said)
        for capabilities in ("echo", [1], [""], ["x" * 65], ["a\nb"], ["x"] * 101):
            said = await client.ask("register", {"name": "e", "capabilities": capabilities})
            assert "capabilities" in fault(said)
        client.client_id = "a b"
        assert "not for" in fault(await client.ask("register", {"metadata": {"token": hub.token("echo")}}))


async def test_the_sdk_s_own_ids_are_covered_by_the_token_of_their_name(hub):
    async with hub.socket() as socket:
        client = HubClient(socket, "echo-0a1b2c3d")
        said = await client.ask("register", {"metadata": {"token": hub.token("echo")}})
        assert said["payload"] == {"status": "ok", "agent_id": "echo-0a1b2c3d"}
    async with hub.socket() as socket:
        client = HubClient(socket, "echo-other")
        assert "not for" in fault(await client.ask("register", {"metadata": {"token": hub.token("echo")}}))


async def test_nothing_is_done_before_register(hub):
    async with hub.socket() as socket:
        client = HubClient(socket, "echo")
        for kind in ("deregister", "discover", "delegate", "result", "status", "broadcast", "heartbeat"):
            assert fault(await client.ask(kind)) == "register first"


async def test_deregister_takes_the_agent_away_until_it_registers_again(hub, env):
    async with Bus("ann", env=env) as ann, hub.client("echo", "echo") as echo:
        assert (await echo.ask("deregister"))["payload"] == {"status": "ok"}
        await soon(lambda: all(not card.online for card in ann.directory.agents("echo")))
        assert fault(await echo.ask("heartbeat")) == "register first"
        assert fault(await echo.ask("deregister")) == "register first"
        words = {"name": "Echo", "capabilities": ["echo"], "metadata": {"token": hub.token("echo")}}
        assert (await echo.ask("register", words))["type"] == "register"
        assert await found(echo, "echo")


async def test_discover_finds_part_of_a_capability_or_name(hub, env):
    async with (
        Bus("ann", env=env, skills=["Code-Review"], description="reads"),
        hub.client("echo", "echo", metadata={"v": [1]}) as echo,
    ):
        await soon(lambda: found(echo, "code"))
        assert set(await found(echo, "code-REV")) == {"ann"}
        assert set(await found(echo, "AN")) == {"ann"}
        everybody = await found(echo)
        assert set(everybody) == {"ann", "echo"}
        assert set(everybody["echo"]) == {
            "id",
            "name",
            "capabilities",
            "status",
            "metadata",
            "last_heartbeat",
            "registered_at",
        }
        assert everybody["echo"]["name"] == "Echo"
        assert everybody["echo"]["metadata"] == {"v": [1]}
        assert everybody["ann"]["metadata"] == {"description": "reads"}
        assert everybody["ann"]["capabilities"] == ["Code-Review"]
        assert await found(echo, "nothing like it") == {}
        assert "capability" in fault(await echo.ask("discover", {"capability": 7}))


async def test_delegate_and_result_between_two_clients(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo", "loud") as echo:
        task_id = str(uuid.uuid4())
        await soon(lambda: found(asker, "loud"))
        order = {
            "task_id": task_id,
            "capability": "loud",
            "params": {"message": "hi", "n": [1, None]},
            "priority": 3,
        }
        said = await asker.ask("delegate", order, to="echo")
        assert (said["type"], said["payload"]) == ("status", {"task_id": task_id, "status": "pending"})
        given = await echo.of_type("delegate")
        assert (given["from"], given["to"], given["payload"]) == ("asker", "echo", order)
        running = await asker.ask("status", {"task_id": task_id})
        assert running["payload"]["status"] in {"pending", "in_progress"}
        await echo.write(
            "result", {"task_id": task_id, "result": {"said": ["HI", 5, None]}, "error": None}, to="asker"
        )
        told = await asker.of_type("result")
        assert (told["from"], told["to"]) == ("echo", "asker")
        assert told["payload"] == {"task_id": task_id, "result": {"said": ["HI", 5, None]}, "error": None}
        done = {"task_id": task_id, "status": "completed", "result": {"said": ["HI", 5, None]}, "error": None}
        for client in (asker, echo):
            stands = (await client.ask("status", {"task_id": task_id}))["payload"]
            assert stands == {**done, "priority": 3, "retry_count": 0}
        summary = (await asker.ask("status"))["payload"]
        assert (summary["agents_count"], summary["tasks_count"]) == (2, 1)
        assert summary["task_statuses"] == {"completed": 1}
        assert {agent["id"] for agent in summary["agents"]} == {"asker", "echo"}


RESULTS = ["words", "5", 5, "", None, "[1]", "null", "é\n\u2028", {"a": {}}, 0.5, True]


async def test_a_result_comes_back_as_it_was(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
        await soon(lambda: found(asker, "echo"))
        for result in RESULTS:
            await asker.ask("delegate", {"capability": "echo", "params": {"message": "x"}}, to="echo")
            given = (await echo.of_type("delegate"))["payload"]
            assert (given["capability"], given["params"]) == ("echo", {"message": "x"})
            await echo.write("result", {"task_id": given["task_id"], "result": result})
            back = (await asker.of_type("result"))["payload"]["result"]
            assert (back, type(back)) == (result, type(result))


async def test_a_capability_is_enough_to_delegate(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
        said = await asker.ask("delegate", {"capability": "echo", "params": {"a": 1}})
        assert said["type"] == "status"
        assert (await echo.of_type("delegate"))["payload"]["params"] == {"a": 1}


async def test_an_error_in_a_result_is_a_failed_task(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
        await soon(lambda: found(asker, "echo"))
        await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
        await echo.of_type("delegate")
        await echo.write("result", {"task_id": "t1", "result": None, "error": "no ink"})
        assert (await asker.of_type("result"))["payload"] == {
            "task_id": "t1",
            "result": None,
            "error": "no ink",
        }
        assert (await asker.ask("status", {"task_id": "t1"}))["payload"]["status"] == "failed"


async def test_a_task_nobody_finishes_times_out(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
        await soon(lambda: found(asker, "echo"))
        await asker.ask("delegate", {"task_id": "t1", "capability": "echo", "ttl": 0.5}, to="echo")
        told = (await asker.of_type("result"))["payload"]
        assert told["error"].startswith("timeout: ")
        assert (await asker.ask("status", {"task_id": "t1"}))["payload"]["status"] == "timeout"
        late = await echo.ask("result", {"task_id": "t1", "result": "late"})
        assert "had ended" in fault(late)
        assert (await asker.ask("status", {"task_id": "t1"}))["payload"]["result"] is None


REFUSED = [
    ({"capability": "x"}, "nobody", "not found"),
    ({"capability": "x"}, "no body", "not found"),
    ({"capability": "x"}, "asker", "to itself"),
    ({}, "hub", "needs an agent"),
    ({"task_id": "a b", "capability": "x"}, "echo", "task_id"),
    ({"task_id": 5, "capability": "x"}, "echo", "task_id"),
    ({"capability": 5}, "echo", "capability"),
    ({"capability": "x", "ttl": "abc"}, "echo", "ttl"),
    ({"capability": "x", "ttl": -1}, "echo", "ttl"),
    ({"capability": "x", "params": "{}"}, "echo", "params"),
]


async def test_a_delegate_that_cannot_be_is_refused(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo"):
        await soon(lambda: found(asker, "echo"))
        for payload, to, why in REFUSED:
            assert why in fault(await asker.ask("delegate", payload, to=to))
        assert (await asker.ask("status"))["payload"]["tasks_count"] == 0


async def test_a_task_id_is_used_once(hub):
    async with (
        hub.client("asker") as asker,
        hub.client("second") as second,
        hub.client("echo", "echo") as echo,
    ):
        await soon(lambda: found(asker, "echo"))
        await soon(lambda: found(second, "echo"))
        order = {"task_id": "t1", "capability": "echo"}
        await asker.ask("delegate", order, to="echo")
        assert "used before" in fault(await asker.ask("delegate", order, to="echo"))
        await echo.of_type("delegate")
        await second.ask("delegate", order, to="echo")
        assert "another requester" in (await second.of_type("result"))["payload"]["error"]
        await echo.write("result", {"task_id": "t1", "result": "ok"})
        assert (await asker.of_type("result"))["payload"]["result"] == "ok"


async def test_a_result_is_taken_from_the_assignee_alone(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo") as echo, hub.client("thief") as thief:
        await soon(lambda: found(asker, "echo"))
        await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
        await echo.of_type("delegate")
        for who in (thief, asker):
            assert "unknown task" in fault(await who.ask("result", {"task_id": "t1", "result": "forged"}))
        assert "task_id" in fault(await echo.ask("result", {"result": "x"}))
        assert "error" in fault(await echo.ask("result", {"task_id": "t1", "error": 7}))
        await echo.write("result", {"task_id": "t1", "result": "true"})
        assert (await asker.of_type("result"))["payload"]["result"] == "true"
        assert "had ended" in fault(await echo.ask("result", {"task_id": "t1", "result": "again"}))


async def test_large_tasks_and_results_come_whole(hub):
    large = "é" * 100_000
    async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
        await soon(lambda: found(asker, "echo"))
        order = {"task_id": "t1", "capability": "echo", "params": {"message": large}}
        await asker.ask("delegate", order, to="echo")
        assert (await echo.of_type("delegate"))["payload"]["params"] == {"message": large}
        await echo.write("result", {"task_id": "t1", "result": {"said": large}})
        assert (await asker.of_type("result"))["payload"]["result"] == {"said": large}
        stands = await asker.ask("status", {"task_id": "t1"})
        assert stands["payload"]["result"] == {"said": large}


async def test_what_a_client_cannot_take_does_not_cut_it_off(hub, env):
    huge = "x" * 1_200_000
    agent = Agent("writer", env=env)

    @agent.task("write")
    def write(job):
        return huge

    async with hub.client("echo", "echo") as echo, Bus("ann", env=env) as ann, beside(agent.run()):
        await soon(lambda: ann.agents("echo"))
        ended = await ann.task_result((await ann.delegate(huge, to="echo")).task_id, timeout_s=20)
        assert (ended.state, "1 MiB" in ended.why) == (DelegatedState.FAILED, True)
        await ann.send("echo", huge)
        assert "1 MiB" in (await echo.of_type("broadcast"))["payload"]["message"]
        await soon(lambda: found(echo, "write"))
        await echo.ask("delegate", {"capability": "write"}, to="writer")
        told = (await echo.of_type("result"))["payload"]
        assert (told["result"], "1 MiB" in told["error"]) == (None, True)


async def test_status_of_a_task_is_for_those_who_have_to_do_with_it(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo"), hub.client("thief") as thief:
        await soon(lambda: found(asker, "echo"))
        await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
        assert "unknown task" in fault(await thief.ask("status", {"task_id": "t1"}))
        assert "task_id" in fault(await thief.ask("status", {"task_id": ["t1"]}))


async def test_broadcast_goes_to_everybody_else(hub, env):
    async with Bus("ann", env=env) as ann, hub.client("one") as one, hub.client("two") as two:
        await soon(lambda: found(one, "two"))
        said = await one.ask("broadcast", {"message": "tea"}, to="broadcast")
        assert (said["type"], said["payload"]) == ("broadcast", {"status": "ok", "recipients": 2})
        heard = await two.of_type("broadcast")
        assert (heard["from"], heard["to"], heard["payload"]) == ("one", "broadcast", {"message": "tea"})
        async for letter in ann.messages():
            assert (letter.body, letter.sender.agent, letter.verified) == ("tea", "one", True)
            break
        await two.ask("broadcast", {"kind": "lunch", "at": [12, 30]}, to="broadcast")
        assert (await one.of_type("broadcast"))["payload"] == {"kind": "lunch", "at": [12, 30]}
        assert [frame["type"] for frame in one.kept] == []
        await one.ask("broadcast", {"message": "x" * 70_000})
        assert (await two.of_type("broadcast"))["payload"] == {"message": "x" * 70_000}


async def test_letters_come_as_a_broadcast_to_one(hub, env):
    async with Bus("ann", env=env) as ann, hub.client("echo", "echo") as echo:
        letter = await ann.send("echo", "for you")
        heard = await echo.of_type("broadcast")
        assert (heard["from"], heard["to"], heard["payload"]) == ("ann", "echo", {"message": "for you"})
        assert (await ann.wait_for(letter.letter_id, "handed", timeout_s=15)).state == "handed"
        with pytest.raises(NoAnswer, match="answers tasks only"):
            await ann.request("echo", "and you?", timeout_s=15)


async def test_heartbeat_is_acknowledged(hub):
    async with hub.client("echo") as echo:
        said = await echo.ask("heartbeat")
        assert (said["type"], said["from"], said["to"], said["payload"]) == (
            "heartbeat_ack",
            "hub",
            "echo",
            {},
        )


async def test_what_only_a_hub_says_is_refused(hub):
    async with hub.client("echo") as echo:
        assert fault(await echo.ask("heartbeat_ack")) == "a client does not send heartbeat_ack"
        assert fault(await echo.ask("error", {"error": "x"})) == "a client does not send error"


async def test_nobody_speaks_for_another(hub):
    async with hub.client("one") as one, hub.client("two") as two:
        for kind in ("deregister", "discover", "delegate", "result", "status", "broadcast", "heartbeat"):
            said = await one.ask(kind, {"task_id": "t", "capability": "x"}, **{"from": "two"})
            assert fault(said) == "this connection is one, not two"
        said = await one.ask("register", {"metadata": {"token": hub.token("two")}}, **{"from": "two"})
        assert "deregister first" in fault(said)
        assert (await two.ask("heartbeat"))["type"] == "heartbeat_ack"


async def test_our_agents_and_hub_clients_give_one_another_tasks(hub, env):

    agent = Agent("shouter", env=env)

    @agent.task("shout")
    def shout(job):
        return job.text.upper()

    async with hub.client("echo", "echo") as echo, Bus("ann", env=env) as ann, beside(agent.run()):
        await soon(lambda: found(echo, "shout"))
        await echo.ask(
            "delegate", {"task_id": "t1", "capability": "shout", "params": {"message": "hi"}}, to="shouter"
        )
        assert (await echo.of_type("result"))["payload"] == {"task_id": "t1", "result": "HI", "error": None}
        await soon(lambda: ann.agents("echo"))
        for text, params in (
            ("plain words", {"message": "plain words"}),
            ('{"message": "m", "n": 2}', {"message": "m", "n": 2}),
        ):
            task = await ann.delegate(text, capability="echo")
            given = (await echo.of_type("delegate"))["payload"]
            assert (given["task_id"], given["capability"], given["params"]) == (task.task_id, "echo", params)
            await soon(lambda task=task: is_running(ann, task.task_id))
            await echo.write("result", {"task_id": task.task_id, "result": "done"})
            ended = await ann.task_result(task.task_id, timeout_s=15)
            assert (ended.state, ended.result) == (DelegatedState.COMPLETED, "done")
        task = await ann.delegate("by name", to="echo")
        given = (await echo.of_type("delegate"))["payload"]
        assert (given["capability"], given["params"]) == ("echo", {"message": "by name"})


async def is_running(bus, task_id):
    return (await bus.delegation.task(task_id)).state is DelegatedState.IN_PROGRESS


async def test_a_client_that_works_at_many_tasks_is_not_slowed_down(hub):
    async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
        await soon(lambda: found(asker, "echo"))
        for number in range(60):
            await asker.write("delegate", {"task_id": f"t{number}", "capability": "echo"}, to="echo")
        async with asyncio.timeout(30):
            for _ in range(60):
                given = (await echo.of_type("delegate"))["payload"]
                await echo.write("result", {"task_id": given["task_id"], "result": given["task_id"]})
            told = [(await asker.of_type("result"))["payload"] for _ in range(60)]
        assert sorted(one["result"] for one in told) == sorted(f"t{number}" for number in range(60))
