"""Everything that can go wrong, as one tree.

OrchestrError
├── UsageError            the person asked for something that cannot be        exit 1
│   └── NotTrusted        the repository's commands were not allowed yet
├── MissingDependency     a program or package is not installed                exit 1
├── JournalError          the session's record cannot be read or written
│   └── StaleGeneration   an older supervisor tried to write
├── TmuxError
│   ├── PaneGone
│   └── TmuxGone          no tmux server answers on our socket
├── GitError
│   ├── WorkAtRisk        an act was refused because it would lose work
│   └── RefMoved          a compare-and-swap met another value
├── AgentError
│   ├── AgentSpecInvalid
│   └── AgentNotReady
├── BusError
│   ├── CarrierGone       there is no connection to the broker now
│   └── CarrierRefused    the broker refused a connection, subscription or message
├── ToolRefused           a tool call was understood and is not allowed now
└── SupervisorUnreachable
"""


class OrchestrError(Exception):
    """Something agentorchestr can explain. ``hint`` says what to type next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(OrchestrError):
    """The person asked for something that cannot be."""


class NotTrusted(UsageError):
    """The repository's commands were not allowed by the person yet."""


class MissingDependency(OrchestrError):
    """A program or package that is needed is not installed."""


class JournalError(OrchestrError):
    """The session's record cannot be read or written."""


class StaleGeneration(JournalError):
    """An older supervisor tried to write after a newer one had started."""


class TmuxError(OrchestrError):
    """tmux refused a command, or did not answer in time."""


class PaneGone(TmuxError):
    """A pane closed while it was in use."""

    def __init__(self, pane_id: str, *, during: str) -> None:
        super().__init__(
            f"pane {pane_id} closed during {during}",
            hint="list the workers that are left: agentorchestr workers",
        )
        self.pane_id = pane_id


class TmuxGone(TmuxError):
    """No tmux server answers on our socket: it ended, or its socket was removed. It says nothing of panes."""


class GitError(OrchestrError):
    """git refused a command, or did not answer in time."""


class WorkAtRisk(GitError):
    """An act was refused because it would have lost work."""


class RefMoved(GitError):
    """A branch was not where it was expected: somebody else moved it."""


class AgentError(OrchestrError):
    """An agent program cannot be used as asked."""


class AgentSpecInvalid(AgentError):
    """An agent's spec file breaks a rule of the format."""


class AgentNotReady(AgentError):
    """An agent is installed but cannot work: not logged in, or too old."""


class BusError(OrchestrError):
    """Agents cannot talk as asked."""


class CarrierGone(BusError):
    """There is no connection to the broker now; what was stored goes out later."""


class CarrierRefused(BusError):
    """The broker refused a connection, a subscription or a message."""


class ToolRefused(OrchestrError):
    """A tool call was understood and is not allowed now."""


class SupervisorUnreachable(OrchestrError):
    """The session's supervisor does not answer."""
