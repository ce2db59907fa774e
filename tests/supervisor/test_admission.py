"""A worker starts only where there is memory for it."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.memory_room import free_bytes, used_bytes
from agentorchestr.model import facts as f
from agentorchestr.model.view import SessionView
from agentorchestr.paths import Paths
from agentorchestr.process import start_time
from agentorchestr.supervisor.admission import HELD_LIMIT_S, MEGABYTE, SETTLED_S, Admission
from agentorchestr.supervisor.book import Book
from tests.supervisor.conftest import spawned
from tests.supervisor.watching import HandClock, new_book

pytestmark = pytest.mark.anyio
NEED = load_catalogue()["practice"].memory_mb
RESERVE = 512


class Machine:
    """A session on a machine whose free memory the test sets."""

    def __init__(self, folder: Path, paths: Paths) -> None:
        self.free_mb = 0
        self.book: Book = new_book(folder)
        self.clock = HandClock()
        self.catalogue, self.paths = load_catalogue(), paths

    @property
    def view(self) -> SessionView:
        return self.book.view

    def admission(self) -> Admission:
        gear: Any = self
        return Admission(gear, room=lambda: self.free_mb * MEGABYTE)


@pytest.fixture
def machine(tmp_path: Path, private_paths: Paths) -> Iterator[Machine]:
    made = Machine(tmp_path, private_paths)
    yield made
    made.book._journal.close()


async def test_with_room_nothing_is_said(machine: Machine) -> None:
    await machine.book.record(spawned("w1"))
    machine.free_mb = NEED + RESERVE
    seq = machine.view.last_seq
    assert await machine.admission().admit("w1")
    assert machine.view.last_seq == seq


async def test_without_room_it_waits_until_there_is_and_the_lead_hears_of_it(machine: Machine) -> None:
    await machine.book.record(spawned("w1"))
    machine.free_mb = NEED + RESERVE - 1
    starting = asyncio.create_task(machine.admission().admit("w1"))
    assert await machine.book.wait_until(lambda view: bool(view.workers["w1"].queued), timeout_s=10)
    assert f"needs about {NEED} MB" in machine.view.workers["w1"].last_note
    machine.free_mb += 1
    assert await asyncio.wait_for(starting, 20)
    assert machine.view.workers["w1"].queued == ""
    assert [event.kind for event in machine.view.events] == ["started"]


@pytest.mark.parametrize("ending", [f.WorkerKilled("w1", "lead"), f.StopAsked("person")])
async def test_one_that_is_ended_meanwhile_never_starts(machine: Machine, ending: f.Fact) -> None:
    await machine.book.record(spawned("w1"))
    starting = asyncio.create_task(machine.admission().admit("w1"))
    await machine.book.wait_until(lambda view: bool(view.workers["w1"].queued), timeout_s=10)
    await machine.book.record(ending)
    assert not await asyncio.wait_for(starting, 20)


async def test_memory_that_never_comes_is_a_failed_spawn(machine: Machine) -> None:
    await machine.book.record(spawned("w1"))
    starting = asyncio.create_task(machine.admission().admit("w1"))
    await machine.book.wait_until(lambda view: bool(view.workers["w1"].queued), timeout_s=10)
    machine.clock.late_s += HELD_LIMIT_S + 1
    assert not await asyncio.wait_for(starting, 20)
    assert "no memory came free" in machine.view.workers["w1"].summary


async def test_two_that_start_at_once_do_not_count_the_same_memory(machine: Machine) -> None:
    await machine.book.record(spawned("w1"), spawned("w2"))
    machine.free_mb = RESERVE + 2 * NEED - 1
    admission = machine.admission()
    assert await admission.admit("w1")
    assert f"{RESERVE + NEED} MB are kept" in await admission.why_held("practice")


async def test_what_others_of_its_kind_use_counts_more_than_the_spec(machine: Machine) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:  # noqa: ASYNC220 - it only has to be there
        opened = f.PaneOpened("w1", "%1", child.pid, start_time(child.pid) or 0.0)
        await machine.book.record(spawned("w1"), opened)
        machine.free_mb = RESERVE + 20
        admission = machine.admission()
        assert await admission.why_held("practice")
        machine.clock.late_s += SETTLED_S + 1
        assert used_bytes([child.pid]) < 20 * MEGABYTE
        assert await admission.why_held("practice") == ""
        child.kill()


async def test_the_lead_always_starts_and_a_person_may_switch_it_off(machine: Machine) -> None:
    await machine.book.record(spawned("lead"), spawned("w1"))
    assert await machine.admission().admit("lead")
    machine.paths.config.mkdir(parents=True)
    (machine.paths.config / "config.toml").write_text("memory_reserve_mb = 0\n")
    assert await machine.admission().admit("w1")


def test_the_narrowest_limit_counts() -> None:
    assert free_bytes(cgroups=[(100, 40), (500, 499)]) == 1
    assert free_bytes(cgroups=[(100, 140)]) == 0
    assert free_bytes(cgroups=[]) > 1000
    assert free_bytes() <= free_bytes(cgroups=[]) * 1.5
