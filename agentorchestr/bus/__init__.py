"""The bus for anybody's program: ``from agentorchestr.bus import Bus``; see docs/bus.md.

A name is imported when it is first used: importing this package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentorchestr.bus.agent import Agent, Job, task
    from agentorchestr.bus.bus import Bus
    from agentorchestr.bus.calls import NoAnswer
    from agentorchestr.bus.command import Command, CommandFailed
    from agentorchestr.bus.file_bridge import FileBridge
    from agentorchestr.bus.handlers import Archive, Chain, Statistics
    from agentorchestr.bus.home import InstanceRuns
    from agentorchestr.model.mail import (
        Address,
        AgentCard,
        DelegatedState,
        DelegatedTask,
        Letter,
        LetterKind,
        LetterState,
        Skill,
        Standing,
    )

_HOMES = {
    "Agent": "bus.agent",
    "Job": "bus.agent",
    "task": "bus.agent",
    "Bus": "bus.bus",
    "NoAnswer": "bus.calls",
    "Command": "bus.command",
    "CommandFailed": "bus.command",
    "FileBridge": "bus.file_bridge",
    "Archive": "bus.handlers",
    "Chain": "bus.handlers",
    "Statistics": "bus.handlers",
    "InstanceRuns": "bus.home",
    "Address": "model.mail",
    "AgentCard": "model.mail",
    "DelegatedState": "model.mail",
    "DelegatedTask": "model.mail",
    "Letter": "model.mail",
    "LetterKind": "model.mail",
    "LetterState": "model.mail",
    "Skill": "model.mail",
    "Standing": "model.mail",
}

__all__ = [
    "Address",
    "Agent",
    "AgentCard",
    "Archive",
    "Bus",
    "Chain",
    "Command",
    "CommandFailed",
    "DelegatedState",
    "DelegatedTask",
    "FileBridge",
    "InstanceRuns",
    "Job",
    "Letter",
    "LetterKind",
    "LetterState",
    "NoAnswer",
    "Skill",
    "Standing",
    "Statistics",
    "task",
]


def __getattr__(name: str) -> Any:
    """Import *name* from where it lives. Source: PEP 562."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"agentorchestr.{_HOMES[name]}"), name)
