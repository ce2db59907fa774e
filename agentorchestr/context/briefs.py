"""The briefs: all that a lead or a worker is told when it starts, as one short text."""

from collections.abc import Callable, Sequence

from agentorchestr.context.handover import Handover, handover_section
from agentorchestr.context.roles import RoleCard
from agentorchestr.context.wording import checks_text, fenced, filled, repository_section, sections, shortened
from agentorchestr.model.verdict import CheckCommand
from agentorchestr.model.view import SessionView, WorkerView

ToolName = Callable[[str], str]
"""From our name of a tool to the name under which the agent's model sees it."""

TASK_CHARS = 200
GOAL_LIMIT_CHARS = 4_000
"""How much of the session's goal a worker sees: its own task is what counts."""


def lead_brief(
    view: SessionView,
    *,
    goal: str,
    agents: Sequence[str],
    tool_name: ToolName,
    project_text: str,
    max_workers: int,
    handover: Handover | None = None,
) -> str:
    """Tell the lead the goal, byte for byte, and how a session is led.

    *agents* are the workers' agents in order of preference. *handover* is for one that was started again.
    """
    values = {
        "session_id": view.session_id,
        "goal": fenced(goal),
        "integration_branch": view.integration_branch,
        "base_branch": view.created.base_branch or view.created.base_commit,
        "checks": checks_text(view.created.checks),
        "max_workers": str(max_workers),
        "agents": ", ".join(agents),
    }
    so_far = _so_far(view, same=handover is not None and handover.same_conversation)
    handed = handover_section(handover) if handover is not None else ""
    return sections(filled("lead", values, tool_name), so_far, handed, repository_section(project_text))


def _so_far(view: SessionView, *, same: bool) -> str:
    """What a lead that takes over has to know; empty for the first one."""
    if not view.team:
        return ""
    lines = [
        f"- {w.worker_id} ({w.role}, {'merged' if w.merged else w.state}): "
        f"{shortened(w.task, limit_chars=TASK_CHARS, rest='see list_workers')}"
        for w in view.team
    ]
    heading = "## The team as it is now" if same else "## You take over"
    before = "" if same else "A lead of this session ended before you. "
    told = (
        f"{before}These workers exist: spawn none of their tasks again, "
        "wait for them or merge them. Read the task list and the notes, too."
    )
    return "\n".join((heading, "", told, "", *lines))


def worker_brief(
    worker: WorkerView,
    *,
    session_goal: str,
    role: RoleCard,
    tool_name: ToolName,
    has_mcp: bool,
    base_branch: str,
    integration_branch: str,
    checks: Sequence[CheckCommand],
    project_text: str,
    handover: Handover | None = None,
) -> str:
    """Tell a worker its task, byte for byte, its role, its limits, and how it reports.

    Without MCP the report goes by command, by a line on the screen, or by a file. The line's two halves stand
    apart in the text, so that a screen which shows this brief is never taken for a report.
    """
    values = {
        "worker_id": worker.worker_id,
        "role_title": role.title,
        "role_text": role.text,
        "task": sections(fenced(worker.task), *_task_details(worker)).rstrip("\n"),
        "branch": worker.branch,
        "integration_branch": integration_branch,
        "base_branch": base_branch or "the base",
        "limits": filled("limits_editing" if role.may_edit else "limits_reading", {}, tool_name),
        "checks": checks_text(checks),
        "nonce": worker.nonce,
    }
    return sections(
        filled("worker", values, tool_name),
        handover_section(handover) if handover is not None else "",
        filled("report_by_tool" if has_mcp else "report_by_command", values, tool_name),
        _whole_goal(session_goal, worker.task),
        repository_section(project_text),
    )


def _task_details(worker: WorkerView) -> tuple[str, ...]:
    told = (
        ("Done means:", worker.criteria),
        ("Files of this task (leave others as they are):", "\n".join(worker.file_scope)),
        ("From the lead:", worker.context),
    )
    return tuple(f"{heading}\n\n{fenced(text)}" for heading, text in told if text)


def _whole_goal(session_goal: str, task: str) -> str:
    if session_goal == task:
        return ""
    shown = shortened(session_goal, limit_chars=GOAL_LIMIT_CHARS, rest="the lead has the whole")
    return "## The goal of the whole session\n\nFor orientation only; others do the rest.\n\n" + fenced(shown)
