"""Everything the command line may ask of the product, each imported when it is asked for."""

from importlib import import_module
from typing import Any

HOMES = {
    "attach_argv": "reading",
    "clean": "cleaning",
    "control_endpoint": "control",
    "detect": "detection",
    "export_session": "reading",
    "find_resumable": "resuming",
    "find_session": "reading",
    "give_up_session": "pausing",
    "is_finished": "reading",
    "land_session": "landing",
    "let_terminals_go": "supervise",
    "list_sessions": "reading",
    "looked_after": "reading",
    "read_exported": "reading",
    "pause_session": "pausing",
    "read_facts": "reading",
    "read_session": "reading",
    "resumable": "resuming",
    "resume_session": "resuming",
    "run_manual_child": "child",
    "run_supervisor": "supervise",
    "saved_states": "snapshots",
    "start_session": "starting",
    "stop_session": "control",
    "supervisor_alive": "control",
    "unreadable_sessions": "reading",
}
"""Where each lives. Together they cost a fifth of a second, which a quick command would feel."""


def __getattr__(name: str) -> Any:
    home = HOMES.get(name)
    if home is None:
        raise AttributeError(name)
    return getattr(import_module(f"agentorchestr.wiring.{home}"), name)
