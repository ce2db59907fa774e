"""``agentorchestr doctor``: say whether a goal would start, and what to type when it would not."""

from importlib import import_module

import click

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.inputs import find_project
from agentorchestr.cli.named_broker import try_broker
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.doctor.broker import broker_findings
from agentorchestr.doctor.checks import examine
from agentorchestr.doctor.findings import Finding, failed, fine, would_start


@click.command("doctor")
@click.option(
    "--project", metavar="DIR", default="", help="Look at this repository; default: this directory."
)
@click.option("--broker", metavar="URL", default="", help="Try out this MQTT broker as well.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, project: str, broker: str, as_json: bool) -> int:
    """Say whether a goal would start, and what to type when it would not."""
    return show_findings(shell_in(ctx, as_json=as_json, project=project), broker=broker)


def show_findings(shell: Shell, *, broker: str = "") -> int:
    """Show every finding, with those of *broker* if one is named; 0 only when a goal would start."""
    tried = broker_findings(*try_broker(shell, broker)) if broker else ()
    found = examine(
        shell.paths,
        shell.env,
        project=find_project(shell.project, cwd=shell.cwd),
        catalogue=load_catalogue(shell.paths.config / "agents"),
        probe=lambda: shell.product.detect(shell.paths, shell.env),
        more=(look_at_packages,),
    )
    found = (*found, *tried)
    screen = Screen(as_json=shell.as_json)
    starts = would_start(found)
    if screen.as_json:
        rows = [{"level": f.level.value, "name": f.name, "text": f.text, "fix": f.fix or None} for f in found]
        screen.envelope("doctor", {"would_start": starts, "findings": rows})
    else:
        rows_shown = [(f.level.value, f.name, f.text, f"type: {f.fix}" if f.fix else "") for f in found]
        screen.table(("", "what", "found", "to mend it"), rows_shown, empty="")
        screen.line("a goal would start" if starts else "a goal would not start")
    return 0 if starts else 1


def look_at_packages() -> Finding:
    """Import what a session imports: a package that is there may still be the wrong one."""
    name = "packages"
    for module in ("agentorchestr.mcp_server.app", "agentorchestr.wiring.product"):
        try:
            import_module(module)
        except ImportError as exc:
            return failed(
                name, f"{module} does not load: {exc}", fix="pip install --force-reinstall agentorchestr"
            )
    return fine(name, "the MCP server and the session load")
