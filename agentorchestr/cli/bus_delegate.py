"""``agentorchestr bus delegate``: a task for an agent, or for whoever can do it."""

import asyncio
import contextlib
from typing import Any

import click

from agentorchestr.bus.delegating import leave_task
from agentorchestr.bus.home import InstanceRuns
from agentorchestr.bus.line import Place
from agentorchestr.bus.listing import can, list_agents_at
from agentorchestr.bus.names import address_of, short_name
from agentorchestr.bus.shapes import task_shape
from agentorchestr.cli.bus_options import Desk, bus_words, desk_in, seconds
from agentorchestr.cli.bus_send import body_of
from agentorchestr.cli.text import clean, clean_lines
from agentorchestr.clock import until
from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import Address, DelegatedState, DelegatedTask
from agentorchestr.swarm.artifacts import ref_of

TTL_S = 600.0
OFFER_S = 5.0
"""Without --wait the command stays this long at most, so that somebody is offered the task."""
LOOK_S = 0.02
EXIT_FAILED = 2


@click.command("delegate")
@click.argument("target", metavar="CAPABILITY|AGENT")
@click.argument("task", metavar="[TASK]", required=False)
@click.option("--file", "task_file", metavar="FILE", default="", help="The task from a file; - is stdin.")
@click.option("--timeout", metavar="TIME", default="", help="How long the task may take; default 10m.")
@click.option("--wait", is_flag=True, help="Wait for the end and show the result.")
@bus_words
@click.pass_context
def delegate(
    ctx: click.Context,
    /,
    *,
    target: str,
    task: str | None,
    task_file: str,
    timeout: str,
    wait: bool,
    **words: Any,
) -> int:
    """Give a task to whoever can do CAPABILITY, or to AGENT. With --wait, exit code 2: it was not done."""
    desk = desk_in(ctx, words)
    raw, _ = body_of(desk, task, task_file)
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        raise UsageError("the task is not UTF-8", hint="write it as text") from exc
    capability, to = _target(desk.place, target)
    ttl_s = seconds(timeout, default=TTL_S)
    left = leave_task(desk.place, text, capability=capability, to=to, ttl_s=ttl_s)
    return _answer(desk, _followed(desk.place, left, wait_s=ttl_s if wait else 0.0), waited=wait)


def _target(place: Place, target: str) -> tuple[str, Address | None]:
    """The capability or the agent that *target* names. Raises ``UsageError`` when it is neither."""
    if "/" in target:
        return "", address_of(target)
    others = [card for card in list_agents_at(place) if card.address != place.me]
    if any(can(card, target) for card in others):
        return target, None
    named = address_of(target)
    if any(card.address == named for card in others):
        return "", named
    raise UsageError(
        f"nobody can do {target!r} and no agent is called so",
        hint=f"see who is there: agentorchestr bus list; for an agent that is to come: local/{target}",
    )


def _followed(place: Place, task: DelegatedTask, *, wait_s: float) -> DelegatedTask:
    """The task once it is at its end or, without *wait_s*, once somebody was offered it."""
    while True:
        if place.home.ring():
            found = _beside(place, task, wait_s=wait_s)
            if found is not None:
                return found
        try:
            return asyncio.run(_instead(place, task.task_id, wait_s=wait_s))
        except InstanceRuns:
            continue  # it began this moment, and has a bell soon


def _beside(place: Place, task: DelegatedTask, *, wait_s: float) -> DelegatedTask | None:
    """As the running instance of our name has it; None when that one has left."""
    with place.home.open_store() as store:

        def now() -> DelegatedTask:
            return store.tasks.find(place.me, Side.REQUESTER, task.task_id) or task

        def at_end() -> bool:
            return _far_enough(now(), waits=wait_s > 0) or not place.home.ring()

        until(at_end, within_s=wait_s + OFFER_S, every_s=LOOK_S)
        found = now()
    return found if _far_enough(found, waits=wait_s > 0) or place.home.ring() else None


async def _instead(place: Place, task_id: str, *, wait_s: float) -> DelegatedTask:
    """As the instance of our name, for as long as it takes."""
    from agentorchestr.cli.bus_running import bus_of
    from agentorchestr.swarm.fetching import NotFetched

    async with bus_of(place) as bus:
        deadline = bus.exchange.clock.monotonic() + wait_s + OFFER_S
        while True:
            task = await bus.delegation.task(task_id)
            over = bus.exchange.clock.monotonic() >= deadline
            if task is not None and (over or _far_enough(task, waits=wait_s > 0)):
                break
            await bus.exchange.clock.pause(LOOK_S)
        ref = ref_of(task.result)
        if ref is not None and task.assignee is not None:
            with contextlib.suppress(NotFetched):
                await bus.artifacts.fetch(task.assignee, ref, timeout_s=wait_s)
        return task


def _far_enough(task: DelegatedTask, *, waits: bool) -> bool:
    return task.state.final or (not waits and task.assignee is not None and task.attempt > 0)


def _answer(desk: Desk, task: DelegatedTask, *, waited: bool) -> int:
    if desk.screen.as_json:
        desk.screen.envelope("task", {"task": task_shape(task, mine=True)})
    who = short_name(task.assignee) if task.assignee else "nobody yet"
    why = f" ({clean(task.why)})" if task.why else ""
    desk.screen.line(f"{task.state.value}: {who}{why}  {task.task_id}")
    if ref_of(task.result) is not None:
        desk.screen.line(f"get the result: agentorchestr bus fetch {task.task_id}")
    elif task.result:
        for line in clean_lines(task.result):
            desk.screen.line(line)
    return EXIT_FAILED if waited and task.state is not DelegatedState.COMPLETED else 0
