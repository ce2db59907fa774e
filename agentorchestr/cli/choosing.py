"""Choose the lead and the workers' agents, from what was named and what is there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from agentorchestr.agents.probe import Installed, LoginState
from agentorchestr.agents.spec import AgentSpec, Role
from agentorchestr.cli.text import clean, shorten
from agentorchestr.errors import AgentNotReady, MissingDependency, UsageError

Catalogue = Mapping[str, AgentSpec]


@dataclass(frozen=True)
class Wanted:
    """The agents a person named: on the command line, or as defaults of their own."""

    agents: tuple[str, ...] = ()
    lead: str = ""


@dataclass(frozen=True)
class Team:
    """The lead's agent, and the workers' in order of preference."""

    lead: str
    workers: tuple[str, ...]


def check_names(wanted: Wanted, catalogue: Catalogue) -> Wanted:
    """Give *wanted* once each name is known and the lead is one of the agents.

    Raises ``UsageError`` with the nearest name, or with all that are known.
    """
    for name in (*wanted.agents, wanted.lead):
        if name and name not in catalogue:
            near = get_close_matches(name, catalogue, n=1)
            shown = shorten(clean(name), 60)
            known = ", ".join(sorted(catalogue))
            hint = f"did you mean {near[0]}? Known agents: {known}" if near else f"known agents: {known}"
            raise UsageError(f"unknown agent: {shown}", hint=hint)
    if wanted.lead and wanted.agents and wanted.lead not in wanted.agents:
        raise UsageError(
            f"the lead {wanted.lead} is not among the agents {', '.join(wanted.agents)}",
            hint=f"agentorchestr --agents {' '.join((wanted.lead, *wanted.agents))} --lead {wanted.lead} …",
        )
    return wanted


def choose_team(wanted: Wanted, catalogue: Catalogue, installed: Sequence[Installed]) -> Team:
    """Choose from what is installed; what was named is used or refused, never replaced.

    Unnamed, the agents we have proven come first, then those that are surely logged in. The practice
    agent is only used when it is named.

    Raises ``MissingDependency``, ``AgentNotReady`` or ``UsageError`` with what to type next.
    """
    there = {one.name: one for one in installed}
    named = dict.fromkeys(name for name in (*wanted.agents, wanted.lead) if name)
    for name in named:
        _refuse_unusable(catalogue[name], there.get(name))
    order = list(wanted.agents) or _ready(catalogue, there)
    lead = wanted.lead or _first(order, Role.LEAD, catalogue)
    workers = tuple(name for name in order if Role.WORKER in catalogue[name].roles)
    if wanted.lead and not order:
        workers = (wanted.lead,) if Role.WORKER in catalogue[wanted.lead].roles else ()
    if not lead and not workers:
        raise _nobody(catalogue, there)
    _need_roles(lead, workers, wanted, catalogue)
    return Team(lead, workers)


def choose_alone(wanted: Wanted, catalogue: Catalogue, installed: Sequence[Installed]) -> str:
    """Choose the only agent of a manual session.

    Raises as ``choose_team``.
    """
    there = {one.name: one for one in installed}
    for name in wanted.agents:
        _refuse_unusable(catalogue[name], there.get(name))
    order = list(wanted.agents) or _ready(catalogue, there)
    if alone := _first(order, Role.WORKER, catalogue):
        return alone
    raise _nobody(catalogue, there)


def _ready(catalogue: Catalogue, there: Mapping[str, Installed]) -> list[str]:
    usable = [
        name
        for name, one in there.items()
        if not one.broken and one.login is not LoginState.NOT_LOGGED_IN and not catalogue[name].builtin
    ]
    return sorted(
        usable, key=lambda name: (not catalogue[name].proven, there[name].login is not LoginState.READY, name)
    )


def _first(order: Iterable[str], role: Role, catalogue: Catalogue) -> str:
    return next((name for name in order if role in catalogue[name].roles), "")


def _refuse_unusable(spec: AgentSpec, found: Installed | None) -> None:
    if found is None:
        raise MissingDependency(
            f"{spec.title} ({spec.name}) is not installed",
            hint=spec.install or f"install it, so that {' or '.join(spec.binaries) or spec.name} is on PATH",
        )
    if found.broken:
        raise AgentNotReady(
            f"{spec.title} ({spec.name}) does not run: {clean(found.detail)}",
            hint=f"try it yourself: {found.binary} --version",
        )
    if found.login is LoginState.NOT_LOGGED_IN:
        raise AgentNotReady(
            f"{spec.title} ({spec.name}) is installed, but nobody is logged in",
            hint=spec.login.hint or clean(found.detail) or f"start {spec.name} once and log in",
        )


def _need_roles(lead: str, workers: tuple[str, ...], wanted: Wanted, catalogue: Catalogue) -> None:
    able = ", ".join(sorted(name for name, spec in catalogue.items() if Role.LEAD in spec.roles))
    if not lead or Role.LEAD not in catalogue[lead].roles:
        who = lead or ", ".join(wanted.agents) or "none of the ready agents"
        raise UsageError(f"no agent can lead: {who}", hint=f"these can: {able}")
    if not workers:
        raise UsageError(
            f"none of these agents can work: {', '.join(wanted.agents) or lead}",
            hint="name another: --agents …",
        )


def _nobody(catalogue: Catalogue, there: Mapping[str, Installed]) -> MissingDependency:
    waiting = [
        name for name, one in there.items() if one.login is LoginState.NOT_LOGGED_IN and not one.broken
    ]
    if waiting:
        spec = catalogue[waiting[0]]
        return MissingDependency(
            f"no agent is ready: nobody is logged in to {', '.join(waiting)}",
            hint=spec.login.hint or f"start {spec.name} once and log in",
        )
    proven = [spec.install for spec in catalogue.values() if spec.proven and spec.install]
    return MissingDependency(
        "no agent is installed",
        hint=f"{' or '.join(proven) or 'install one'}; without one: agentorchestr demo",
    )
