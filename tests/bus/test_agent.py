"""Agents that do tasks, in both styles."""

import asyncio
import threading

import pytest

from agentorchestr.bus import Agent, Bus, DelegatedState, task
from agentorchestr.errors import UsageError
from tests.bus.conftest import beside, soon

pytestmark = pytest.mark.anyio


class Reviewer(Agent):
    """The class style."""

    @task("code-review")
    async def review(self, job):
        """Reads code."""
        return f"{job.requester.agent} wrote {job.text}"

    @task("count", description="counts words")
    def count(self, job):
        return {"words": len(job.text.split())}


async def done(bus, given, *, within_s=15):
    return await bus.task_result(given.task_id, timeout_s=within_s)


async def test_a_class_does_what_its_methods_are_marked_with(env):
    reviewer = Reviewer("reviewer", env=env)
    async with Bus("ann", env=env) as ann, beside(reviewer.run()):
        await soon(lambda: ann.agents("code-review"))
        [card] = await ann.agents("count")
        assert {skill.name: skill.description for skill in card.skills} == {
            "code-review": "Reads code.",
            "count": "counts words",
        }
        result = await done(ann, await ann.delegate("a b c", capability="count"))
        assert (result.state, result.result) == (DelegatedState.COMPLETED, '{"words": 3}')
        result = await done(ann, await ann.delegate("x = 1", capability="code-review"))
        assert result.result == "ann wrote x = 1"


async def test_decorated_functions_do_tasks_and_answer_messages(env):
    agent = Agent("helper", env=env, at_once=2)
    seen = []
    go_on = threading.Event()

    @agent.task("shout", description="in capitals")
    def shout(job):
        seen.append(threading.current_thread() is threading.main_thread())
        job.progress("nearly there")
        assert go_on.wait(timeout=20)
        return job.text.upper()

    @agent.message
    async def talk(letter):
        return f"you said {letter.body}"

    async with Bus("ann", env=env) as ann, beside(agent.run()):
        await soon(lambda: ann.agents("shout"))
        given = await ann.delegate("hello", to="helper")

        async def told():
            under_way = await ann.delegation.task(given.task_id)
            return under_way is not None and under_way.why == "nearly there"

        await soon(told)
        go_on.set()
        assert (await done(ann, given)).result == "HELLO"
        assert seen == [False]
        assert (await ann.request("helper", "hi", timeout_s=10)).body == "you said hi"


async def test_a_task_that_fails_says_why(env, caplog):
    agent = Agent("helper", env=env)

    @agent.task("break")
    def fails(job):
        raise RuntimeError("no luck")

    @agent.task("odd")
    def odd(job):
        return object()

    async with Bus("ann", env=env) as ann, beside(agent.run()):
        await soon(lambda: ann.agents("break"))
        result = await done(ann, await ann.delegate("x", capability="break"))
        assert (result.state, result.why) == (DelegatedState.FAILED, "RuntimeError: no luck")
        result = await done(ann, await ann.delegate("x", capability="odd"))
        assert result.state is DelegatedState.FAILED
        assert "cannot be sent" in result.why
    assert "task failed" in caplog.text


async def test_a_cancelled_task_stops_its_function(env):
    agent = Agent("helper", env=env)
    stopped = asyncio.Event()
    begun = asyncio.Event()

    @agent.task("wait")
    async def wait(job):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            assert not job.wanted
            stopped.set()

    async with Bus("ann", env=env) as ann, beside(agent.run()):
        await soon(lambda: ann.agents("wait"))
        given = await ann.delegate("x", capability="wait")
        async with asyncio.timeout(10):
            await begun.wait()
            assert await ann.delegation.cancel(given.task_id)
            await stopped.wait()


async def test_an_agent_that_can_do_several_things_is_not_given_a_nameless_task(env):
    async with Bus("ann", env=env) as ann, beside(Reviewer("reviewer", env=env).run()):
        await soon(lambda: ann.agents("count"))
        given = await ann.delegate("x", to="reviewer", ttl_s=1.5)
        assert (await done(ann, given)).state is not DelegatedState.COMPLETED


async def test_a_bus_without_slots_takes_no_task(env):
    async with Bus("ann", env=env) as ann, Bus("ben", env=env, skills=["review"]):
        given = await ann.delegate("x", capability="review", ttl_s=1.0)
        assert (await done(ann, given)).state is DelegatedState.TIMEOUT


def test_an_agent_does_at_least_one_task():
    with pytest.raises(UsageError):
        Agent("x", at_once=0)
