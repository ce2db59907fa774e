"""A short piece of ``scripts/chaos/crashes``: a whole session, each of its parts killed once, and resumed."""

from concurrent.futures import ThreadPoolExecutor

from scripts.chaos.crash_plan import Plan, Victim, parse
from scripts.chaos.crashes import run_one

AT_A_TIME = 3
UNBROKEN = Plan(0, ())
PLANS = ("20 command, +10 lead", "60 supervisor+worker", "50 broker, +6 tmux server", "80 all")
"""The fact after which, and who; see ``./scripts/chaos/crashes --at``."""


def test_whoever_is_killed_wherever_the_accepted_tree_is_that_of_the_unbroken_run() -> None:
    plans = [parse(text, pick=number) for number, text in enumerate(PLANS)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        whole, *broken = pool.map(run_one, (UNBROKEN, *plans))
    assert whole.problems == []
    for text, found in zip(PLANS, broken, strict=True):
        assert (found.problems, found.tree) == ([], whole.tree), text
    killed = {victim for found in broken for victim in found.killed}
    assert killed == set(Victim), "a part that was not killed proves nothing"
