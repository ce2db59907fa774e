"""Tasks outlast connections, the hub and the broker."""

import os
import signal

import pytest

from agentorchestr.bus import Bus, DelegatedState
from agentorchestr.mqtt.broker import ensure_broker
from agentorchestr.paths import Paths
from tests.bus.conftest import soon
from tests.hub.conftest import running_hub
from tests.hub.test_ten_types import found

pytestmark = pytest.mark.anyio


async def test_a_result_waits_for_a_client_that_was_away(hub):
    async with hub.client("echo", "echo") as echo:
        async with hub.client("asker") as asker:
            await soon(lambda: found(asker, "echo"))
            await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
            await echo.of_type("delegate")
        await echo.write("result", {"task_id": "t1", "result": "kept"})
        assert (await echo.ask("heartbeat"))["type"] == "heartbeat_ack"
        async with hub.client("asker") as asker:
            assert (await asker.of_type("result"))["payload"]["result"] == "kept"
            await asker.ask("heartbeat")
        async with hub.client("asker") as asker:
            await asker.ask("delegate", {"task_id": "t2", "capability": "echo"}, to="echo")
            await echo.of_type("delegate")
            await echo.write("result", {"task_id": "t2", "result": "new"})
            told = await asker.of_type("result")
            assert told["payload"]["task_id"] == "t2", "what was heard is not told again"


async def test_a_result_that_may_not_have_arrived_is_told_again(hub):
    async with hub.client("echo", "echo") as echo:
        async with hub.client("asker") as asker:
            await soon(lambda: found(asker, "echo"))
            await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
            await echo.of_type("delegate")
            await echo.write("result", {"task_id": "t1", "result": "kept"})
            await asker.of_type("result")
        async with hub.client("asker") as asker:
            assert (await asker.of_type("result"))["payload"]["result"] == "kept"


async def test_a_worker_that_was_cut_off_gets_its_task_again(hub, env):
    async with Bus("ann", env=env) as ann:
        async with hub.client("echo", "echo") as echo:
            await soon(lambda: ann.agents("echo"))
            task = await ann.delegate("x", to="echo")
            await echo.of_type("delegate")
            echo.socket.transport.abort()
        async with hub.client("echo", "echo") as echo:
            given = (await echo.of_type("delegate"))["payload"]
            assert given["task_id"] == task.task_id
            await echo.write("result", {"task_id": task.task_id, "result": "after all"})
            ended = await ann.task_result(task.task_id, timeout_s=20)
            assert (ended.state, ended.result) == (DelegatedState.COMPLETED, "after all")


async def test_a_task_waits_for_a_worker_that_is_away(hub):
    async with hub.client("asker") as asker:
        async with hub.client("echo", "echo"):
            await soon(lambda: found(asker, "echo"))
        said = await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
        assert said["payload"]["status"] == "pending"
        async with hub.client("echo", "echo") as echo:
            assert (await echo.of_type("delegate"))["payload"]["task_id"] == "t1"
            await echo.write("result", {"task_id": "t1", "result": "here"})
            assert (await asker.of_type("result"))["payload"]["result"] == "here"


async def test_tasks_outlast_the_hub(env):
    async with running_hub(env) as hub:
        port = hub.port
        async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
            await soon(lambda: found(asker, "echo"))
            await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
            await echo.of_type("delegate")
    async with (
        running_hub(env, port) as hub,
        hub.client("asker") as asker,
        hub.client("echo", "echo") as echo,
    ):
        assert (await echo.of_type("delegate"))["payload"]["task_id"] == "t1"
        await echo.write("result", {"task_id": "t1", "result": "again"})
        assert (await asker.of_type("result"))["payload"]["result"] == "again"


async def test_tasks_outlast_the_broker(hub, env):
    async with Bus("ann", env=env) as ann, hub.client("asker") as asker, hub.client("echo", "echo") as echo:
        await soon(lambda: found(asker, "echo"))
        await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
        await echo.of_type("delegate")
        task = await ann.delegate("x", to="echo")
        await echo.of_type("delegate")
        os.kill(ensure_broker(Paths.from_env(env)).pid, signal.SIGKILL)
        for task_id in ("t1", task.task_id):
            await echo.write("result", {"task_id": task_id, "result": "unbroken"})
        assert (await asker.of_type("result"))["payload"]["result"] == "unbroken"
        assert (await ann.task_result(task.task_id, timeout_s=20)).result == "unbroken"
        again = await asker.ask("delegate", {"task_id": "t2", "capability": "echo"}, to="echo")
        assert again["type"] == "status"
        assert (await echo.of_type("delegate"))["payload"]["task_id"] == "t2"
