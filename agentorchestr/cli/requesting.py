"""Build the request for a session from options, defaults and what is there."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.cli.choosing import Catalogue, Team, Wanted, check_names, choose_alone, choose_team
from agentorchestr.cli.goals import ask_agents, read_goal
from agentorchestr.cli.inputs import check_workers, find_project, read_duration
from agentorchestr.cli.named_broker import check_broker
from agentorchestr.cli.options import Options
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.trusting import require_trust
from agentorchestr.cli.words import split_names
from agentorchestr.config.project import PROJECT_CONFIG, load_project_config
from agentorchestr.config.user import UserConfig, load_user_config
from agentorchestr.context.roles import load_roles
from agentorchestr.errors import MissingDependency, UsageError
from agentorchestr.model import swarmbus
from agentorchestr.model.request import A2A_HUB, SessionRequest
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.model.verdict import CheckCommand
from agentorchestr.mqtt.endpoint import with_whole_paths
from agentorchestr.verify.detect import checks_from_option, detect_checks
from agentorchestr.worktree.repository import find_repository
from agentorchestr.worktree.setup import propose_setup

DEFAULT_ROLE = "implementer"


@dataclass(frozen=True)
class _Cheap:
    """What can be checked before any program is started."""

    project: Path
    goal: str
    timeout_s: float
    max_workers: int
    wanted: Wanted
    role: str


def build_request(shell: Shell, screen: Screen, options: Options) -> SessionRequest:
    """Check everything that can be checked before anything starts, the cheap things first.

    Raises an ``OrchestrError`` with a hint for whatever cannot be.
    """
    user = load_user_config(shell.paths.config)
    catalogue = load_catalogue(shell.paths.config / "agents")
    cheap = _check_cheap(shell, screen, options, user, catalogue)
    need_programs(shell, tmux=not options.manual)
    root = repository_root(cheap.project, git_init=options.git_init)
    checks = find_checks(options, root, cheap.project)
    setup = find_setup(root)
    require_trust(shell, screen, root=root, setup=setup, checks=checks, allow=options.trust)
    if setup.empty:
        propose(screen, root)
    team = _choose(shell, screen, options, cheap.wanted, catalogue)
    return SessionRequest(
        goal=cheap.goal,
        project=cheap.project,
        lead_agent=team.lead,
        worker_agents=team.workers,
        base=options.base,
        include_dirty=options.include_dirty,
        git_init=options.git_init,
        max_workers=cheap.max_workers,
        checks=checks,
        timeout_s=cheap.timeout_s,
        land=options.land,
        manual=options.manual,
        role=cheap.role,
        setup=setup,
        broker=check_broker(shell, screen, options.broker),
        bus_compat=check_compat(options.bus_compat),
        environment=with_whole_paths(shell.env, shell.cwd),
    )


def _check_cheap(
    shell: Shell, screen: Screen, options: Options, user: UserConfig, catalogue: Catalogue
) -> _Cheap:
    project = find_project(options.project, cwd=shell.cwd)
    timeout_s = read_duration(options.timeout or user.timeout)
    workers = user.max_workers if options.max_workers is None else options.max_workers
    wanted = check_names(_wanted(options, user), catalogue)
    role = check_role(options.role or DEFAULT_ROLE)
    goal = read_goal(shell, screen, options)
    return _Cheap(project, goal, timeout_s, 1 if options.manual else check_workers(workers), wanted, role)


def _wanted(options: Options, user: UserConfig) -> Wanted:
    """Give the names from the command line; the person's defaults fill only what it leaves open."""
    named = split_names(options.agents)
    if options.agents and not named:
        raise UsageError("--agents names no agent", hint="agentorchestr --agents claude codex …")
    if options.manual:
        if options.agent is not None and not options.agent.strip():
            raise UsageError(
                "--agent names no agent", hint='agentorchestr --manual --agent claude --task "…"'
            )
        if len(named) > 1 or (options.agent and named):
            raise UsageError(
                f"a manual session has one agent, not {len(named) + bool(options.agent)}",
                hint=f'agentorchestr --manual --agent {options.agent or named[0]} --task "…"',
            )
        return Wanted((options.agent,) if options.agent else named or user.agents[:1])
    agents = named or user.agents
    if options.lead is not None and not options.lead.strip():
        raise UsageError("--lead names no agent", hint="agentorchestr --lead claude …")
    if options.lead:
        # The person's own list of agents gives way to a lead that was typed; a typed list does not.
        inside = named or options.lead in agents
        return Wanted(agents if inside else (options.lead, *agents) if agents else (), options.lead)
    default = user.lead or ""
    return Wanted(agents, default if default in agents or not agents else "")


def check_compat(names: tuple[str, ...]) -> tuple[str, ...]:
    """Give the neighbours on the bus to let in, once each is known. Raises ``UsageError``."""
    for name in names:
        if name not in {swarmbus.NAME, A2A_HUB}:
            raise UsageError(
                f"unknown neighbour on the bus: {name}", hint=f"known: {swarmbus.NAME}, {A2A_HUB}"
            )
    return tuple(dict.fromkeys(names))


def check_role(role: str) -> str:
    """Give the role, once it is known.

    Raises ``UsageError`` with all that are.
    """
    known = load_roles()
    if role not in known:
        raise UsageError(f"unknown role: {role}", hint=f"known roles: {', '.join(sorted(known))}")
    return role


def need_programs(shell: Shell, *, tmux: bool) -> None:
    """Raise ``MissingDependency`` when git, or tmux where it is needed, is not installed."""
    for program in ("git", "tmux") if tmux else ("git",):
        if which(program, path=shell.env.get("PATH")) is None:
            raise MissingDependency(
                f"{program} is not installed", hint=f"apt-get install {program}, or: brew install {program}"
            )


def repository_root(project: Path, *, git_init: bool) -> Path:
    """Give the top of the worktree that *project* lies in, or *project* itself when it is to become one.

    Raises ``UsageError`` when it is no repository and shall not become one.
    """
    try:
        return find_repository(project).root
    except UsageError:
        if git_init:
            return project
        raise


def find_setup(root: Path) -> WorktreeSetup:
    """Give what the repository asks to be done in each worktree."""
    table = load_project_config(root).worktree
    commands = tuple(("sh", "-c", line) for line in table.setup)
    return WorktreeSetup(copy=table.copies, link=table.links, commands=commands, ports=table.ports)


def propose(screen: Screen, root: Path) -> None:
    """Say what workers will lack because git does not carry it, and what to write to change that."""
    lacking = propose_setup(find_repository(root)) if (root / ".git").exists() else WorktreeSetup()
    if lacking.empty:
        return
    names = ", ".join((*lacking.link, *lacking.copy))
    screen.note(f"Workers start without {names}: git ignores them. To give them, write to {PROJECT_CONFIG}:")
    screen.note("  [worktree]")
    for key, values in (("link", lacking.link), ("copy", lacking.copy)):
        if values:
            screen.note(f"  {key} = {json.dumps(list(values))}")


def find_checks(options: Options, root: Path, project: Path) -> tuple[CheckCommand, ...]:
    """Give the checks typed by the person, else those of the project, else those of its repository.

    Each runs where it was meant for: a typed one in the project's folder. Raises ``UsageError`` for a
    blank ``--checks``.
    """
    typed = tuple(check for line in options.checks for check in checks_from_option(line))
    if len(typed) < len(options.checks):
        raise UsageError("--checks is blank", hint='agentorchestr --checks "make test" …')
    inner = project.resolve().relative_to(root.resolve()) if project != root else Path()
    place = inner.as_posix() if inner.parts else ""
    found = typed or (detect_checks(project) if place else ())
    return tuple(replace(check, place=place) for check in found) or detect_checks(root)


def _choose(shell: Shell, screen: Screen, options: Options, wanted: Wanted, catalogue: Catalogue) -> Team:
    # Without a list every agent may work, so all of them are looked at.
    names = tuple(dict.fromkeys((*wanted.agents, wanted.lead))) if wanted.agents else ()
    installed = shell.product.detect(shell.paths, shell.env, tuple(name for name in names if name))
    if options.manual:
        return Team("", (choose_alone(wanted, catalogue, installed),))
    team = choose_team(wanted, catalogue, installed)
    if not options.interactive or wanted.agents or not shell.on_terminal:
        return team
    lead, workers = ask_agents(screen, team.workers, lead=team.lead)
    picked = check_names(Wanted(tuple(dict.fromkeys((*workers, lead))), lead), catalogue)
    choose_team(picked, catalogue, installed)
    return Team(lead, workers)
