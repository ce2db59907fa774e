"""Where a session is killed, and who of it: the same seed gives the same kills."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import LEAD

TOGETHER = 0.15
AGAIN = 0.3
SOON = 14
"""A second kill comes at most so many facts after the first: a resume writes about as many."""
KILL = re.compile(r"(\+?)(\d+) ([a-z +]+)")


class Victim(StrEnum):
    """What is killed."""

    COMMAND = "command"
    SUPERVISOR = "supervisor"
    LEAD = "lead"
    WORKER = "worker"
    BROKER = "broker"
    TMUX = "tmux server"
    ALL = "all"


@dataclass(frozen=True)
class Kill:
    """Kill *victims* as soon as fact *at* is stored; *after*: so many facts after the kill before."""

    at: int
    victims: tuple[Victim, ...]
    after: bool = False

    def __str__(self) -> str:
        return f"{'+' if self.after else ''}{self.at} {'+'.join(self.victims)}"


@dataclass(frozen=True)
class Plan:
    """One run. *pick* settles the rest: which worker, and whether a machine loses its run folder."""

    number: int
    kills: tuple[Kill, ...]
    pick: int = 0

    @property
    def victim(self) -> Victim:
        return self.kills[0].victims[0]

    def __str__(self) -> str:
        return f"--at '{', '.join(str(kill) for kill in self.kills)}' --pick {self.pick}"


def parse(text: str, *, pick: int) -> Plan:
    """The plan that ``--at`` names. Raises ``ValueError``."""
    kills = []
    for part in text.split(","):
        found = KILL.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"no kill: {part.strip()!r}; such as: 57 lead+worker, +3 all")
        after, at, names = found.groups()
        kills.append(Kill(int(at), tuple(Victim(name.strip()) for name in names.split("+")), bool(after)))
    return Plan(1, tuple(kills), pick)


def first_seen(recorded: Sequence[Recorded]) -> dict[Victim, int]:
    """From which fact on each of them is there to be killed."""
    opened = [(each.seq, each.fact.worker_id) for each in recorded if isinstance(each.fact, f.PaneOpened)]
    started = next(each.seq for each in recorded if isinstance(each.fact, f.SupervisorStarted))
    return {
        **dict.fromkeys(Victim, 1),
        Victim.BROKER: started,
        Victim.LEAD: next(seq for seq, worker_id in opened if worker_id == LEAD),
        Victim.WORKER: next(seq for seq, worker_id in opened if worker_id != LEAD),
    }


def plans(seed: str, unbroken: Sequence[Recorded], runs: int) -> list[Plan]:
    """So many plans: victims take turns, and each walks its boundaries in an order of its own."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    first, last = first_seen(unbroken), unbroken[-1].seq
    walks: dict[Victim, list[int]] = {}
    made = []
    for number in range(1, runs + 1):
        victim = list(Victim)[(number - 1) % len(Victim)]
        if not walks.get(victim):
            walks[victim] = chance.sample(range(first[victim], last + 1), last + 1 - first[victim])
        at = walks[victim].pop()
        others = [each for each in Victim if each not in {victim, Victim.ALL} and first[each] <= at]
        with_it = (chance.choice(others),) if others and chance.random() < TOGETHER else ()
        kills = [Kill(at, (victim, *with_it))]
        if chance.random() < AGAIN:
            kills.append(Kill(chance.randint(1, SOON), (chance.choice(list(Victim)),), after=True))
        made.append(Plan(number, tuple(kills), chance.randrange(1000)))
    return made
