"""Everything the command line may ask of the product, in one list."""

from agentorchestr.wiring.child import run_manual_child
from agentorchestr.wiring.control import control_endpoint, stop_session, supervisor_alive
from agentorchestr.wiring.detection import detect
from agentorchestr.wiring.landing import land_session
from agentorchestr.wiring.reading import (
    attach_argv,
    find_session,
    is_finished,
    list_sessions,
    read_facts,
    read_session,
)
from agentorchestr.wiring.starting import start_session
from agentorchestr.wiring.supervise import let_terminals_go, run_supervisor

__all__ = [
    "attach_argv",
    "control_endpoint",
    "detect",
    "find_session",
    "is_finished",
    "land_session",
    "let_terminals_go",
    "list_sessions",
    "read_facts",
    "read_session",
    "run_manual_child",
    "run_supervisor",
    "start_session",
    "stop_session",
    "supervisor_alive",
]
