"""``agentorchestr bus read``, ``watch`` and ``tail``: show what came, from the agent's own mail file."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from agentorchestr.bus.inbox import after, cursor_of, take_unread, unread
from agentorchestr.bus.shapes import letter_shape
from agentorchestr.cli.bus_options import Desk, bus_words, desk_in, seconds
from agentorchestr.cli.bus_showing import show_letter, show_letters
from agentorchestr.clock import SYSTEM_CLOCK
from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Letter

T = TypeVar("T")
NOTHING_EXIT = 1
LOOK_S = 0.03
LAST = 10
LIMIT = 10_000
FOREVER_S = 1e9


@click.command("read")
@click.option("--limit", metavar="N", type=click.IntRange(1, LIMIT), default=LIMIT, help="At most so many.")
@click.option("--keep", is_flag=True, help="Leave them unread.")
@bus_words
@click.pass_context
def read(ctx: click.Context, /, *, limit: int, keep: bool, **words: Any) -> int:
    """Show new messages, each once; their senders are told that they were read."""
    desk = desk_in(ctx, words)

    async def work(store: MailStore) -> list[Letter]:
        if keep:
            return [arrived.letter for arrived in unread(store, desk.place.me, limit=limit)]
        return take_unread(store, desk.place.me, limit=limit)

    show_letters(desk.screen, _with_mail(desk, work), empty="no new message")
    return 0


@click.command("watch")
@click.option("--timeout", metavar="TIME", default="", help="Give up after this time; default: never.")
@bus_words
@click.pass_context
def watch(ctx: click.Context, /, *, timeout: str, **words: Any) -> int:
    """Wait for one new message and show it; more of them stay for the next time. Exit code 1: none came."""
    desk = desk_in(ctx, words)
    limit_s = seconds(timeout, default=FOREVER_S)

    async def work(store: MailStore) -> list[Letter]:
        deadline = SYSTEM_CLOCK.monotonic() + limit_s
        while not unread(store, desk.place.me, limit=1) and SYSTEM_CLOCK.monotonic() < deadline:
            await SYSTEM_CLOCK.pause(LOOK_S)
        return take_unread(store, desk.place.me, limit=1)

    letters = _with_mail(desk, work)
    show_letters(desk.screen, letters, empty="no message came")
    return 0 if letters else NOTHING_EXIT


@click.command("tail")
@click.option("--follow", "-f", is_flag=True, help="Go on as messages come.")
@click.option("--consumer", metavar="NAME", default="", help="Show what this consumer has not seen yet.")
@click.option("--reset", is_flag=True, help="Let the consumer begin anew.")
@click.option("--last", "-n", metavar="N", type=click.IntRange(0, LIMIT), default=LAST, help="Default: 10.")
@bus_words
@click.pass_context
def tail(ctx: click.Context, /, *, follow: bool, consumer: str, reset: bool, last: int, **words: Any) -> int:
    """Show the last messages, read or not, or all since this consumer looked. Nobody is told."""
    desk = desk_in(ctx, words)
    if reset and not consumer:
        raise UsageError("--reset needs --consumer")
    cursor = cursor_of(desk.place.home, consumer) if consumer else None
    if cursor is not None and reset:
        cursor.move(0)

    async def work(store: MailStore) -> None:
        me = desk.place.me
        row = cursor.row if cursor is not None else _row_before(store, desk, last)
        while True:
            page = list(after(store, me, row))
            _show_page(desk, [arrived.letter for arrived in page], follow=follow)
            if page:
                row = page[-1].row
                if cursor is not None:
                    cursor.move(row)
            if not follow:
                return
            await SYSTEM_CLOCK.pause(LOOK_S)

    _with_mail(desk, work)
    return 0


def _show_page(desk: Desk, letters: list[Letter], *, follow: bool) -> None:
    if not follow:
        show_letters(desk.screen, letters, empty="no message")
        return
    for letter in letters:
        if desk.screen.as_json:
            desk.screen.envelope("letter", letter_shape(letter))
        else:
            show_letter(desk.screen, letter)


def _row_before(store: MailStore, desk: Desk, last: int) -> int:
    """The row after which the *last* letters stand."""
    rows = [arrived.row for arrived in after(store, desk.place.me, 0)]
    return rows[-last] - 1 if last and len(rows) >= last else 0 if last else (rows[-1] if rows else 0)


def _with_mail(desk: Desk, work: Callable[[MailStore], Awaitable[T]]) -> T:
    from agentorchestr.cli.bus_running import with_mail

    return with_mail(desk.place, work)
