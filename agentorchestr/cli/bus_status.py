"""``agentorchestr bus status``: how far the letters of an agent got."""

import time
from collections.abc import Sequence
from typing import Any

import click

from agentorchestr.bus.names import short_name
from agentorchestr.bus.shapes import Shape, standing_shape
from agentorchestr.cli.bus_options import Desk, bus_words, desk_in
from agentorchestr.cli.text import clean, shorten, took
from agentorchestr.errors import BusError, MissingDependency, UsageError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Standing

SHOWN = 20
HEADERS = ("id", "to", "state", "since", "why", "subject")
CELL_CHARS = 60


@click.command("status")
@click.argument("letter_id", metavar="[ID]", default="", required=False)
@click.option("--last", "-n", type=click.IntRange(1, 1000), default=SHOWN, metavar="N", help="Default 20.")
@bus_words
@click.pass_context
def status(ctx: click.Context, /, *, letter_id: str, last: int, **words: Any) -> int:
    """Show how far a letter of yours got, or the last ones, newest first."""
    from agentorchestr.cli.bus_running import with_mail

    desk = desk_in(ctx, words)

    async def look(store: MailStore) -> int:
        return _told(desk, store, letter_id, last)

    try:
        # What receivers said while no command of ours ran waits at the broker.
        return with_mail(desk.place, look)
    except (BusError, MissingDependency) as exc:
        if not desk.screen.as_json:
            desk.screen.line(f"as last heard: {exc}")
        with desk.place.home.open_store() as store:
            return _told(desk, store, letter_id, last)


def _told(desk: Desk, store: MailStore, letter_id: str, last: int) -> int:
    me = desk.place.me
    if not letter_id:
        return _show(desk, store.outbox.recent(me, limit=last), {})
    found = store.outbox.find(me, letter_id)
    if found is None:
        raise UsageError(
            f"{short_name(me)} sent no letter {letter_id!r}",
            hint="see the last ones: agentorchestr bus status",
        )
    reached = {} if found.letter.receiver else store.outbox.reached(me, letter_id)
    return _show(desk, [found], {short_name(who): state.value for who, state in reached.items()})


def _show(desk: Desk, standings: Sequence[Standing], reached: Shape) -> int:
    if desk.screen.as_json:
        more = {"reached": reached} if reached else {}
        shapes = [{**standing_shape(one), "updated_at": one.updated_at, **more} for one in standings]
        desk.screen.envelope("standings", {"letters": shapes})
        return 0
    desk.screen.table(HEADERS, [_row(one) for one in standings], empty="no letter was sent")
    for who, state in reached.items():
        desk.screen.line(f"{who}: {state}", indent=2)
    return 0


def _row(one: Standing) -> tuple[str, ...]:
    letter = one.letter
    to = short_name(letter.receiver) if letter.receiver else "all"
    since = took(max(0.0, time.time() - one.updated_at))
    why, subject = (shorten(clean(text), CELL_CHARS) for text in (one.why, letter.subject))
    return letter.letter_id, to, one.state.value, since, why, subject
