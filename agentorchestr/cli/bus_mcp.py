"""``agentorchestr bus mcp-server``: an inbox for any MCP client."""

import asyncio
from typing import Any

import click

from agentorchestr.bus.mcp_stdio import serve_stdio
from agentorchestr.cli.bus_options import bus_words, desk_in


@click.command("mcp-server")
@click.option("--description", metavar="TEXT", default="", help="Who you are, for others.")
@click.option("--skill", "skills", metavar="NAME", multiple=True, help="What you can do; repeatable.")
@bus_words
@click.pass_context
def mcp_server(ctx: click.Context, /, *, description: str, skills: tuple[str, ...], **words: Any) -> int:
    """Be an MCP server on stdin and stdout, with tools to send, read, wait, list and delegate."""
    desk = desk_in(ctx, words)
    asyncio.run(serve_stdio(desk.place, description=description, skills=skills))
    return 0
