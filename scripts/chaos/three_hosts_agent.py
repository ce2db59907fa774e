"""An agent on one of three hosts: ``serve NAME`` does the task ``count``, ``give NAME TO TEXT`` gives one.

The broker and its login come from the environment. ``give`` says one JSON line when the
task is stored and one at its end.
"""

import asyncio
import json
import sys

from agentorchestr.bus import Agent, Bus, Job

TASK_S = 300.0


async def serve(name: str) -> None:
    agent = Agent(name, at_once=4)

    @agent.task("count")
    async def count(job: Job) -> str:
        """Counts words, and takes as many seconds as the first one says."""
        await asyncio.sleep(float(job.text.split()[0]))
        return f"{len(job.text.split())} words, counted by {name}"

    @agent.message
    def shout(letter: object) -> str:
        return str(getattr(letter, "body", "")).upper()

    await agent.run()


async def give(name: str, to: str, text: str) -> None:
    async with Bus(name) as bus:
        task = await bus.delegate(text, to=to, ttl_s=TASK_S)
        print(json.dumps({"task_id": task.task_id}), flush=True)
        ended = await bus.task_result(task.task_id, timeout_s=TASK_S)
        print(json.dumps({"state": ended.state.value, "result": ended.result, "why": ended.why}), flush=True)


if __name__ == "__main__":
    asyncio.run({"serve": serve, "give": give}[sys.argv[1]](*sys.argv[2:]))
