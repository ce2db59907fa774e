"""``agentorchestr snapshots``: what was saved before anything was removed, and the way back."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.inputs import find_project
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.text import clean, clean_block, count, size
from agentorchestr.errors import UsageError

if TYPE_CHECKING:
    from agentorchestr.worktree.restoring import SavedState, SavedStates

DIFF_LINES = 2000
"""More than this is for a file: ``git diff`` knows how to page."""
project_option = click.option(
    "--project", metavar="DIR", default="", help="Whose snapshots; default: this repository's."
)


@click.group("snapshots")
def command() -> None:
    """List, show and restore what was saved before a worktree was removed."""


@command.command("list")
@click.argument("session", metavar="[SESSION]", default="", required=False)
@project_option
@json_option
@click.pass_context
def list_(ctx: click.Context, /, *, session: str, project: str, as_json: bool) -> int:
    """List snapshots, oldest first; of one session, or of the whole repository."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    screen = Screen(as_json=shell.as_json)
    found = _states(shell, session).listed(session)
    if screen.as_json:
        screen.envelope("snapshots", [_shape(state) for state in found])
        return 0
    screen.table(
        ("snapshot", "worker", "when", "why", "files", "bytes", "not in it"),
        [
            (
                state.name,
                state.worker_id,
                time.strftime("%Y-%m-%d %H:%M", time.localtime(state.row.at)),
                clean(state.why),
                state.files,
                size(state.saved_bytes),
                _missing(state),
            )
            for state in found
        ],
        empty="no snapshots: nothing had to be saved",
    )
    return 0


@command.command("show")
@click.argument("snapshot", metavar="SNAPSHOT")
@click.option("--diff", "as_diff", is_flag=True, help="Show every changed line.")
@click.option("--file", "name", metavar="PATH", default="", help="Write this file to standard output.")
@project_option
@json_option
@click.pass_context
def show(
    ctx: click.Context, /, *, snapshot: str, as_diff: bool, name: str, project: str, as_json: bool
) -> int:
    """Show what a snapshot holds: its files by default, their changes, or one file byte for byte."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    states = _states(shell, _session_in(snapshot))
    state = states.find(snapshot)
    screen = Screen(as_json=shell.as_json)
    if name:
        _show_file(screen, states.file(state, name))
        return 0
    text = states.diff(state) if as_diff else states.stat(state)
    if screen.as_json:
        screen.envelope("snapshot", {**_shape(state), "diff" if as_diff else "stat": text})
        return 0
    screen.line(f"{state.name}: {clean(state.why)}")
    saved = f"{count(state.files, 'file')} ({size(state.saved_bytes)}), {state.deleted} deleted"
    commits = f", {count(state.commits, 'commit')} that no branch holds" if state.commits else ""
    screen.line(saved + commits)
    for heading, names in (("too large to save", state.left_out), ("filled again by a tool", state.rebuilt)):
        for one in names:
            screen.line(f"not in it, {heading}: {clean(one)}")
    lines = clean_block(text)
    screen.block(lines[:DIFF_LINES])
    if len(lines) > DIFF_LINES:
        screen.note(f"{len(lines) - DIFF_LINES} more lines: git diff {state.base[:12]} {state.row.ref}")
    return 0


@command.command("restore")
@click.argument("snapshot", metavar="SNAPSHOT")
@click.option("--to", "folder", metavar="DIR", default="", help="Write its files into this new folder.")
@click.option("--branch", metavar="NAME", default="", help="Make this new branch of it.")
@project_option
@json_option
@click.pass_context
def restore(
    ctx: click.Context, /, *, snapshot: str, folder: str, branch: str, project: str, as_json: bool
) -> int:
    """Bring a snapshot back, into a new folder or on a new branch; nothing of yours is written over."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    if bool(folder) == bool(branch):
        raise UsageError(
            "say where to: a new folder or a new branch",
            hint=f"agentorchestr snapshots restore {clean(snapshot)} --to DIR",
        )
    states = _states(shell, _session_in(snapshot))
    state = states.find(snapshot)
    screen = Screen(as_json=shell.as_json)
    if branch:
        states.to_branch(state, branch)
        done, line = {"branch": branch}, f"branch {branch} is now at {state.row.commit[:12]}"
    else:
        target = Path(os.path.abspath(shell.cwd / folder))  # noqa: PTH100  # keeps links: the person's own name
        files = states.to_folder(state, target)
        done, line = {"folder": str(target)}, f"{count(files, 'file')} in {target}"
    if screen.as_json:
        screen.envelope("restore", {"snapshot": state.name, **done})
        return 0
    screen.line(f"{state.name}: {line}")
    for name in state.left_out:
        screen.note(f"not in it, too large to save: {clean(name)}")
    return 0


def _states(shell: Shell, session: str) -> "SavedStates":
    return shell.product.saved_states(shell.paths, find_project(shell.project, cwd=shell.cwd), session)


def _session_in(snapshot: str) -> str:
    """The session a snapshot's name begins with, if it is named whole."""
    parts = snapshot.removeprefix("refs/agentorchestr/snapshots/").split("/")
    return parts[0] if len(parts) == 3 else ""  # noqa: PLR2004 - session, worker, number


def _show_file(screen: Screen, content: bytes) -> None:
    if sys.stdout.isatty():
        # What an agent wrote must not steer the terminal.
        screen.block(clean_block(content.decode(errors="replace")))
        return
    screen.raw(content)


def _missing(state: "SavedState") -> str:
    left_out = [f"{count(len(state.left_out), 'file')} too large"] if state.left_out else []
    return "; ".join([*left_out, *(clean(name) for name in state.rebuilt)])


def _shape(state: "SavedState") -> dict[str, object]:
    return {
        "name": state.name,
        "ref": state.row.ref,
        "commit": state.row.commit,
        "session": state.session_id,
        "worker": state.worker_id,
        "at": state.row.at,
        "why": state.why,
        "base": state.base,
        "files": state.files,
        "deleted": state.deleted,
        "bytes": state.saved_bytes,
        "commits": state.commits,
        "left_out": list(state.left_out),
        "filled_by_tools": list(state.rebuilt),
    }
