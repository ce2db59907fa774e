"""``agentorchestr bus ask`` and ``tasks``."""

import asyncio
from typing import Any

import click

from agentorchestr.bus.calls import NoAnswer, checked
from agentorchestr.bus.inbox import advance
from agentorchestr.bus.letters import Options, make_letter
from agentorchestr.bus.line import Place
from agentorchestr.bus.names import address_of, short_name
from agentorchestr.bus.quick import send_now
from agentorchestr.bus.shapes import letter_shape, task_shape
from agentorchestr.cli.bus_options import bus_words, desk_in, seconds
from agentorchestr.cli.text import clean, clean_lines, shorten
from agentorchestr.clock import until
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import Arrived, Letter, LetterKind, LetterState

EXIT_FAILED = 2
ANSWER_S = 60.0
TASKS = 100
HEADERS = ("id", "side", "state", "capability", "requester", "assignee", "text", "result")
CELL_CHARS = 40


@click.command("ask")
@click.argument("agent", metavar="AGENT")
@click.argument("text", metavar="TEXT")
@click.option("--subject", metavar="TEXT", default="", help="One line, at most 200 characters.")
@click.option("--timeout", metavar="TIME", default="", help="How long to wait; default 60s.")
@bus_words
@click.pass_context
def ask(ctx: click.Context, /, *, agent: str, text: str, subject: str, timeout: str, **words: Any) -> int:
    """Ask an agent and show its answer. Exit code 2: there is none."""
    desk = desk_in(ctx, words)
    limit_s = seconds(timeout, default=ANSWER_S)
    options = Options(subject=subject, expires_s=limit_s, kind=LetterKind.ASK)
    question = make_letter(desk.place.me, address_of(agent), text, options)
    try:
        answer = checked(_ask(desk.place, question, limit_s))
    except NoAnswer as exc:
        if desk.screen.as_json:
            desk.screen.envelope("answer", {"answer": None, "why": str(exc)})
        desk.screen.problem(exc, hint="see who is there: agentorchestr bus list")
        return EXIT_FAILED
    if desk.screen.as_json:
        desk.screen.envelope("answer", {"answer": letter_shape(answer), "why": None})
    for line in clean_lines(answer.body):
        desk.screen.line(line)
    return 0


def _ask(place: Place, question: Letter, limit_s: float) -> Letter:
    if place.home.ring():
        return _ask_beside(place, question, limit_s)
    from agentorchestr.cli.bus_running import bus_of

    async def work() -> Letter:
        async with bus_of(place) as bus:
            return await bus.put(question, timeout_s=limit_s)

    return asyncio.run(work())


def _ask_beside(place: Place, question: Letter, limit_s: float) -> Letter:
    """Through the running instance of our name: it sends the question and takes the answer to disk."""
    send_now(place, [question])
    found: list[Arrived] = []

    def answered() -> bool:
        found[:] = store.inbox.answers_to(place.me, question.letter_id)
        return bool(found)

    with place.home.open_store() as store:
        if not until(answered, within_s=limit_s):
            raise NoAnswer(
                f"no answer from {short_name(address_of(str(question.receiver)))} in {limit_s:g} s"
            )
        advance(store, place.me, [found[0].letter.letter_id], LetterState.READ)
    place.home.ring()
    return found[0].letter


@click.command("tasks")
@bus_words
@click.pass_context
def tasks(ctx: click.Context, /, **words: Any) -> int:
    """List the tasks an agent gave to others or was given, newest first."""
    desk = desk_in(ctx, words)
    me = desk.place.me
    with desk.place.home.open_store() as store:
        given = store.tasks.recent(me, Side.REQUESTER, limit=TASKS)
        taken = store.tasks.recent(me, Side.ASSIGNEE, limit=TASKS)
    shapes = [task_shape(task, mine=True) for task in given] + [
        task_shape(task, mine=False) for task in taken
    ]
    shapes.sort(key=lambda shape: -float(str(shape["created_at"])))
    if desk.screen.as_json:
        desk.screen.envelope("tasks", {"tasks": shapes})
    else:
        rows = [[shorten(clean(shape[name] or ""), CELL_CHARS) for name in HEADERS] for shape in shapes]
        desk.screen.table(HEADERS, rows, empty="no task")
    return 0
