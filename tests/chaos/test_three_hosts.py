"""A short piece of ``scripts/chaos/three-hosts``: hosts of network namespaces, a cable out for a few seconds."""

from pathlib import Path

import pytest

from scripts.chaos.three_hosts import team
from scripts.chaos.three_hosts_net import why_not
from scripts.chaos.three_hosts_run import ask, cut, delegate, meet, send_and_read

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def test_agents_of_two_hosts_meet_and_a_cut_cable_loses_nothing(short_dir: Path) -> None:
    with team(short_dir) as three:
        meet(three)
        ask(three)
        delegate(three)
        send_and_read(three)
        found = cut(three, out_s=4, letters=60)
    assert (found.lost, found.twice, found.unverified) == (0, 0, 0)
    assert found.task == "completed: 2 words, counted by team/right/ben"
    assert "no broker answers" in found.typed_why
