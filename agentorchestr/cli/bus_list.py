"""``agentorchestr bus list``: who is on the broker, complete and without a fixed wait."""

from typing import Any

import click

from agentorchestr.bus.listing import LISTER, can, list_agents_at
from agentorchestr.bus.names import short_name
from agentorchestr.bus.shapes import card_shape
from agentorchestr.cli.bus_options import broker_words, compat_option, desk_in
from agentorchestr.model.mail import AgentCard

HEADERS = ("agent", "online", "state", "can", "program", "description")


@click.command("list")
@click.option("--capability", metavar="NAME", default="", help="Only agents that can do this.")
@click.option("--online", "online_only", is_flag=True, help="Only agents that are there now.")
@compat_option
@broker_words
@click.pass_context
def list_agents(ctx: click.Context, /, *, capability: str, online_only: bool, **words: Any) -> int:
    """List the agents on the broker, with what they can do."""
    desk = desk_in(ctx, words, me=LISTER)
    cards = [
        card
        for card in list_agents_at(desk.place)
        if can(card, capability) and (card.online or not online_only)
    ]
    if desk.screen.as_json:
        desk.screen.envelope("agents", {"agents": [card_shape(card) for card in cards]})
    else:
        desk.screen.table(HEADERS, [_row(card) for card in cards], empty="no agent")
    return 0


def _row(card: AgentCard) -> tuple[str, ...]:
    skills = ", ".join(skill.name for skill in card.skills)
    online = "yes" if card.online else "no"
    return short_name(card.address), online, card.state, skills, card.program, card.description
