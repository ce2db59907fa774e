"""``agentorchestr bus fetch``: what was too large to travel inside of a message."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from agentorchestr.bus.fetching import ask_instance, named_in
from agentorchestr.bus.line import Place
from agentorchestr.bus.names import short_name
from agentorchestr.cli.bus_options import bus_words, desk_in, path_of, seconds
from agentorchestr.cli.text import clean
from agentorchestr.clock import until
from agentorchestr.errors import BusError, UsageError
from agentorchestr.model.mail import Address
from agentorchestr.paths import write_private
from agentorchestr.swarm.artifacts import ArtifactRef

FETCH_S = 60.0
EXIT_FAILED = 2


@click.command("fetch")
@click.argument("some_id", metavar="ID")
@click.option("--output", metavar="FILE", default="", help="Write the body to this file.")
@click.option("--timeout", metavar="TIME", default="", help="How long to wait for it; default 60s.")
@bus_words
@click.pass_context
def fetch(ctx: click.Context, /, *, some_id: str, output: str, timeout: str, **words: Any) -> int:
    """Fetch the large body of a message, or text or result of a task. Exit code 2: it did not come."""
    desk = desk_in(ctx, words)
    with desk.place.home.open_store() as store:
        owner, ref = named_in(store, desk.place.me, some_id)
    try:
        found = _fetched(desk.place, owner, ref, seconds(timeout, default=FETCH_S))
    except BusError as exc:
        if desk.screen.as_json:
            desk.screen.envelope("artifact", {"path": None, "why": str(exc), **asdict(ref)})
        desk.screen.problem(exc)
        return EXIT_FAILED
    if output:
        found = _written(path_of(desk.shell, output), found)
    if desk.screen.as_json:
        desk.screen.envelope("artifact", {"path": str(found), "why": None, **asdict(ref)})
    desk.screen.line(f"{ref.size:,} bytes, {clean(ref.content_type)}: {found}")
    return 0


def _fetched(place: Place, owner: Address, ref: ArtifactRef, limit_s: float) -> Path:
    found = place.shelf.find(ref)
    if found is not None:
        return found
    from agentorchestr.cli.bus_running import bus_of

    if ask_instance(place, owner, ref):
        until(lambda: place.shelf.find(ref) is not None, within_s=limit_s)
        found = place.shelf.find(ref)
        if found is None:
            who = short_name(owner)
            raise BusError(
                f"not fetched from {who} in {limit_s:g} s", hint="it is tried further; ask again later"
            )
        return found

    async def work() -> Path:
        async with bus_of(place, takes_answers=False) as bus:
            return await bus.artifacts.fetch(owner, ref, timeout_s=limit_s)

    return asyncio.run(work())


def _written(file: Path, found: Path) -> Path:
    try:
        return write_private(file, found.read_bytes())
    except OSError as exc:
        raise UsageError(f"cannot write {file}: {exc.strerror}") from exc
