"""A short, seeded piece of ``scripts/chaos/bus``: real processes, killed, and disks that are full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.chaos.bus_disk import Disk, full_receiver, full_sender, why_not
from scripts.chaos.bus_storm import Plan, Storm

NEEDS_DISK = pytest.mark.skipif(bool(why_not()), reason=why_not())


def test_a_storm_of_kills_loses_and_doubles_nothing_and_nobody_lies(
    private_home: dict[str, str], short_dir: Path
) -> None:
    # What the broker holds for the one that is away is lost with each kill: letters, not the word of them.
    plan = Plan(
        agents=3,
        senders=2,
        away=("a2",),
        letters=240,
        pace_s=0.03,
        kill_every_s=1.0,
        broker_share=0.8,
        back_s=1.0,
        seed="short",
        limit_s=180,
    )
    found = Storm(plan, private_home, short_dir).run()
    assert (found.lost, found.acted_twice, found.told_falsely, found.not_told) == (0, 0, 0, 0)
    assert found.notes == []
    assert found.letters == 240
    assert found.broker_kills, "a seed without a kill proves nothing"
    assert found.agent_kills


@pytest.fixture
def disk(private_home: dict[str, str], short_dir: Path) -> Iterator[Disk]:
    made = Disk(private_home, short_dir)
    yield made
    made.end()


@NEEDS_DISK
def test_a_sender_with_a_full_disk_is_told_and_what_was_stored_arrives(disk: Disk) -> None:
    found = full_sender(disk)
    assert found.held_back
    assert "database or disk is full" in found.refusal
    assert "hint: check the disk" in found.refusal
    assert found.arrived == found.stored


@NEEDS_DISK
def test_a_receiver_with_a_full_disk_claims_nothing_and_gets_all_of_it_later(disk: Disk) -> None:
    found = full_receiver(disk)
    assert found.held_back
    assert found.arrived == found.stored
