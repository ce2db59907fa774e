"""``agentorchestr worker VERB``: a worker's tools for agents that cannot speak MCP.

The agent finds the command on its PATH and who it is in its environment: the address of the session
and the file that holds its token, which never stands in argv.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentorchestr.clock import until
from agentorchestr.errors import SupervisorUnreachable, ToolRefused, UsageError

if TYPE_CHECKING:
    import httpx

URL_VARIABLE = "AGENTORCHESTR_URL"
TOKEN_FILE_VARIABLE = "AGENTORCHESTR_TOKEN_FILE"  # noqa: S105 - the name of a variable
TEXT_BYTES = 256 * 1024
CONNECT_S = 2.0
# Checks of a large project take minutes; every other verb answers at once.
ANSWER_S = 1800.0
RESTART_S = 5.0
"""A supervisor that died is up again within this time."""
LOOPBACK_URL = re.compile(r"(http://(?:127\.0\.0\.1|localhost):\d{1,5})(?:/.*)?")
# All but line feed and tab, and what turns the direction of writing around.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
NOT_OURS = "this command is for an agent that agentorchestr has started"


@dataclass(frozen=True)
class Verb:
    """One verb: the tool behind it, and the argument its text becomes (none: it takes no text)."""

    name: str
    about: str
    argument: str = ""
    needed: bool = True
    number: str = ""
    """A number it may be given as an option, by the tool's own name for it."""
    number_help: str = ""

    @property
    def tool(self) -> str:
        """The name of the tool."""
        return self.name.replace("-", "_")


VERBS = (
    Verb("get-brief", "Show your task, its criteria and scope, and new messages."),
    Verb("claim-task", "Take a task of the shared list.", "task_id"),
    Verb(
        "report-progress",
        "Tell in a line how your task stands.",
        "message",
        number="quiet_minutes",
        number_help="Before a long run: how long it may take.",
    ),
    Verb("report-done", "Your task is done: what you changed, how you checked it.", "summary"),
    Verb("report-blocked", "You cannot go on: what you need.", "reason"),
    Verb("report-failed", "The task cannot be done: why.", "reason"),
    Verb("run-checks", "Run the project's checks on your worktree."),
    Verb("write-note", "Leave a note for every agent of the session.", "text"),
    Verb("read-notes", "Read the notes; with a note's id, only newer ones.", "after", needed=False),
    Verb("ask-lead", "Ask the lead a question.", "question"),
)


def _command(verb: Verb) -> click.Command:
    """Build the click command of *verb*."""

    def run(words: tuple[str, ...] = (), *, as_json: bool, number: int = 0) -> None:
        given: dict[str, str | int] = {verb.number: number} if number else {}
        reply = call_tool(verb.tool, {**_arguments(verb, words), **given}, env=os.environ)
        _show(json.dumps(reply, ensure_ascii=False) if as_json else readable(reply))

    params: list[click.Parameter] = [
        click.Option(["--json", "as_json"], is_flag=True, help="Print the reply as one line of JSON.")
    ]
    if verb.number:
        option = f"--{verb.number.replace('_', '-')}"
        within = click.IntRange(0, 240)
        params.append(
            click.Option([option, "number"], type=within, default=0, metavar="N", help=verb.number_help)
        )
    if verb.argument:
        metavar = f"{verb.argument.upper()}|-"
        params.append(click.Argument(["words"], nargs=-1, metavar=metavar if verb.needed else f"[{metavar}]"))
    return click.Command(
        verb.name,
        callback=run,
        params=params,
        help=verb.about,
        # A text may begin with a dash: it is a text all the same.
        context_settings={"ignore_unknown_options": True},
    )


class VerbGroup(click.Group):
    """Takes a verb by its tool's name, too: models know ``report_done`` from their brief."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a verb, spelt with dashes or underscores."""
        return super().get_command(ctx, cmd_name.replace("_", "-"))


command = VerbGroup(
    "worker",
    commands=[_command(verb) for verb in VERBS],
    help="What a worker can say and ask, for agents without MCP. A text of - is read from stdin.",
)


def call_tool(tool: str, arguments: Mapping[str, str | int], *, env: Mapping[str, str]) -> dict[str, object]:
    """Call one of the caller's own tools and return its reply.

    Raises ``UsageError`` when the environment is not an agent's, ``SupervisorUnreachable`` when nobody
    answers, and ``ToolRefused`` with the session's own words.
    """
    import httpx

    url = f"{_base_url(env)}/tools/{tool}"
    headers = {"Authorization": f"Bearer {_token(env)}"}
    # No proxy of the environment may see the token.
    with httpx.Client(trust_env=False, timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S)) as client:
        return _reply_of(_post(client, url, arguments, headers=headers), tool)


def _post(
    client: "httpx.Client", url: str, arguments: Mapping[str, str | int], *, headers: dict[str, str]
) -> "httpx.Response":
    """Post once; only a connection that was never made is tried again, since then nothing happened."""
    import httpx

    answers: list[httpx.Response] = []

    def answered() -> bool:
        try:
            answers.append(client.post(url, json=dict(arguments), headers=headers))
        except httpx.ConnectError:
            return False
        return True

    try:
        if until(answered, within_s=RESTART_S, every_s=0.2):
            return answers[0]
    except httpx.HTTPError as exc:
        raise SupervisorUnreachable(
            f"the session broke off its answer ({type(exc).__name__})",
            hint="look with get-brief whether it was taken, then try again",
        ) from exc
    raise SupervisorUnreachable("the session does not answer", hint="it may be over; try again in a moment")


def _reply_of(response: "httpx.Response", tool: str) -> dict[str, object]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise SupervisorUnreachable(f"{tool}: the answer is not ours (HTTP {response.status_code})")
    if response.is_success:
        return body
    raise ToolRefused(str(body.get("error", response.status_code)), hint=str(body.get("hint", "")))


def _base_url(env: Mapping[str, str]) -> str:
    given = env.get(URL_VARIABLE, "")
    if not given:
        raise UsageError(f"{URL_VARIABLE} is not set", hint=NOT_OURS)
    found = LOOPBACK_URL.fullmatch(given)
    # A token must not leave the machine, whatever the environment says.
    if found is None:
        raise UsageError(f"{URL_VARIABLE} is not an address on this machine", hint=NOT_OURS)
    return found[1]


def _token(env: Mapping[str, str]) -> str:
    path = env.get(TOKEN_FILE_VARIABLE, "")
    if not path:
        raise UsageError(f"{TOKEN_FILE_VARIABLE} is not set", hint=NOT_OURS)
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"the token file cannot be read: {path}", hint=NOT_OURS) from exc
    if not token:
        raise UsageError(f"the token file is empty: {path}", hint=NOT_OURS)
    return token


def _arguments(verb: Verb, words: tuple[str, ...]) -> dict[str, str]:
    if not verb.argument:
        return {}
    text = _from_stdin() if words == ("-",) else " ".join(words)
    if verb.needed and not text.strip():
        raise UsageError(
            f"{verb.name} needs a text",
            hint=f"agentorchestr worker {verb.name} '…', or - to read it from stdin",
        )
    return {verb.argument: text} if text else {}


def _from_stdin() -> str:
    found = sys.stdin.buffer.read(TEXT_BYTES + 1)
    if len(found) > TEXT_BYTES:
        raise UsageError(f"the text is over {TEXT_BYTES} bytes", hint="put it into a file and name the file")
    try:
        return found.decode("utf-8").rstrip("\n")
    except UnicodeDecodeError as exc:
        raise UsageError("the text is not UTF-8") from exc


def readable(reply: Mapping[str, object]) -> str:
    """Render *reply* for an agent that reads a terminal: texts as they are, the rest as JSON."""
    return "\n".join(_entry(key, value) for key, value in reply.items()) or "ok"


def _entry(key: str, value: object) -> str:
    if not isinstance(value, str):
        return f"{key}: {json.dumps(value, ensure_ascii=False)}"
    return f"{key}:\n{value}" if "\n" in value else f"{key}: {value}"


def _show(text: str) -> None:
    """Show a text with its line breaks and indents; what other agents wrote cannot steer the terminal."""
    from agentorchestr.cli.render import Screen

    Screen().help(CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
