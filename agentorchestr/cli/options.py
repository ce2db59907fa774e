"""The top-level options as they were typed."""

from dataclasses import dataclass, fields

from agentorchestr.errors import UsageError


@dataclass(frozen=True)
class Options:
    """Everything a person can say before, or instead of, a command's name."""

    goal: str | None = None
    goal_file: str | None = None
    interactive: bool = False
    manual: bool = False
    task: str | None = None
    agent: str | None = None
    role: str | None = None
    agents: tuple[str, ...] = ()
    lead: str | None = None
    project: str = ""
    base: str = ""
    include_dirty: bool = False
    max_workers: int | None = None
    checks: tuple[str, ...] = ()
    timeout: str = ""
    land: bool = False
    broker: str = ""
    bus_compat: tuple[str, ...] = ()
    attach: bool | None = None
    trust: bool = False
    git_init: bool = False
    detect: bool = False
    doctor: bool = False
    resume: str | None = None
    """The id, or the beginning of one; empty: the newest that can go on."""
    list_sessions: bool = False
    as_json: bool = False

    @property
    def modes(self) -> tuple[str, ...]:
        """The options that each ask for something to be done, as typed."""
        asked = (
            ("--detect", self.detect),
            ("--doctor", self.doctor),
            ("--list-sessions", self.list_sessions),
            ("--resume", self.resume is not None),
            ("--goal", self.goal is not None),
            ("--goal-file", self.goal_file is not None),
            ("--interactive", self.interactive),
            ("--manual", self.manual),
        )
        return tuple(name for name, given in asked if given)


def the_mode(options: Options) -> str:
    """Give the one thing that is asked for.

    Raises ``UsageError`` for none, for more than one, and for options of another mode.
    """
    modes = options.modes
    if len(modes) > 1:
        raise UsageError(f"{modes[0]} cannot go with {modes[1]}", hint=f"give only one: {' or '.join(modes)}")
    if "--manual" in modes and options.task is None:
        raise UsageError("--manual needs a task", hint='agentorchestr --manual --task "fix …"')
    if "--manual" in modes and options.lead is not None:
        raise UsageError("--lead cannot go with --manual", hint="a manual session has no lead; use --agent")
    if "--resume" in modes:
        _refuse_kept(options)
    for name, value in (("--task", options.task), ("--agent", options.agent), ("--role", options.role)):
        if value is not None and "--manual" not in modes:
            raise UsageError(f"{name} needs --manual", hint='agentorchestr --manual --task "fix …"')
    if not modes:
        raise UsageError("no goal was given", hint='agentorchestr --goal "Add …" (or --help)')
    return modes[0]


WITH_RESUME = frozenset({"resume", "timeout", "attach", "project", "as_json"})
"""What may be said anew when a session goes on; the rest is kept from its start."""


def _refuse_kept(options: Options) -> None:
    empty = Options()
    for field in fields(options):
        if field.name not in WITH_RESUME and getattr(options, field.name) != getattr(empty, field.name):
            raise UsageError(
                f"--{field.name.replace('_', '-')} cannot go with --resume: it is kept from the start",
                hint="with --resume may go: --timeout, --attach or --no-attach, --json",
            )
