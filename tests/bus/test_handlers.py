"""Archive, statistics, commands, and their combination."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agentorchestr.bus import Archive, Chain, Command, CommandFailed, Statistics
from agentorchestr.bus.command import WITNESS
from agentorchestr.bus.letters import Options, make_letter
from agentorchestr.bus.names import address_of
from agentorchestr.clock import until
from agentorchestr.errors import JournalError
from agentorchestr.process import MARK_VARIABLE, marked
from tests.bus.conftest import soon

ANN, BEN = address_of("ann"), address_of("ben")


def letter(body="hello", **words):
    return make_letter(ANN, BEN, body, Options(**words))


def test_a_replayed_id_never_changes_the_archive(tmp_path):
    archive = Archive(tmp_path / "a.sqlite")
    first = letter("the first")
    archive(first)
    archive(replace(first, body="forged"))
    assert archive.add([first, letter("second"), letter("third")]) == 2
    archive.close()
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        rows = db.execute("SELECT body, from_agent, direction FROM messages ORDER BY rowid").fetchall()
    db.close()
    assert [row[0] for row in rows] == ["the first", "second", "third"]
    assert rows[0][1:] == ("agentorchestr/local/ann", "in")
    assert (tmp_path / "a.sqlite").stat().st_mode & 0o777 == 0o600


def test_an_archive_takes_many_in_one_transaction(tmp_path):
    archive = Archive(tmp_path / "a.sqlite")
    letters = [letter(str(number)) for number in range(5000)]
    began = time.monotonic()
    assert archive.add(letters) == 5000
    # One connection and one commit; the other way is 218 a second.
    assert 5000 / (time.monotonic() - began) > 2000
    archive.close()


def test_an_archive_that_is_none_says_so(tmp_path):
    (tmp_path / "a.sqlite").write_text("no database " * 100)
    with pytest.raises(JournalError, match="cannot be opened"):
        Archive(tmp_path / "a.sqlite")


def test_statistics_count():
    stats = Statistics()
    stats(letter("äb"))
    stats(replace(letter("x"), sender=BEN))
    assert (stats.total, stats.body_bytes) == (2, 4)
    assert stats.by_sender == {"ann": 1, "ben": 1}
    assert stats.first_at <= stats.last_at


@pytest.mark.anyio
async def test_a_chain_gives_the_first_answer_and_ends_at_a_failure():
    seen = []

    async def second(one):
        seen.append(one.body)
        return "second"

    assert await Chain(lambda _: None, second, lambda _: "third")(letter("x")) == "second"

    def broken(_):
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await Chain(broken, second)(letter("y"))
    assert seen == ["x"]


def command(tmp_path, *argv, **more):
    return Command(argv, folder=tmp_path / "runs", env={"PATH": os.environ["PATH"]}, **more)


@pytest.mark.anyio
async def test_a_file_that_another_command_cleans_up_first_harms_nobody(tmp_path):
    (tmp_path / "runs").mkdir(mode=0o700)
    (tmp_path / "runs" / "gone.out").symlink_to(tmp_path / "nowhere")  # listed, and not there to be looked at
    assert await command(tmp_path, "cat")(letter("hello")) == "hello"


@pytest.mark.anyio
async def test_a_command_gets_the_body_and_the_rest_in_its_environment(tmp_path):
    script = "cat; echo; env | grep ^AGENTORCHESTR_ | sort"
    sent = letter("the body; $(no shell)", subject="a 'subject'", thread="t1", priority="high")
    said = await command(tmp_path, "sh", "-c", script)(replace(sent, verified=True))
    assert said is not None
    lines = said.splitlines()
    assert lines[0] == "the body; $(no shell)"
    told = dict(line.split("=", 1) for line in lines[1:])
    assert told["AGENTORCHESTR_FROM"] == "ann"
    assert told["AGENTORCHESTR_TO"] == "ben"
    assert told["AGENTORCHESTR_SUBJECT"] == "a 'subject'"
    assert told["AGENTORCHESTR_LETTER_ID"] == sent.letter_id
    assert told["AGENTORCHESTR_PRIORITY"] == "high"
    assert told["AGENTORCHESTR_VERIFIED"] == "1"


@pytest.mark.anyio
async def test_words_of_a_command_are_no_shell(tmp_path):
    assert await command(tmp_path, "echo", "$(whoami)", ";", "ls")(letter()) == "$(whoami) ; ls\n"


@pytest.mark.anyio
async def test_a_command_that_hangs_is_ended_with_all_below_it(tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $! > {pids}; wait"
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="ended with 124"):
        await command(tmp_path, "sh", "-c", script, limit_s=0.3)(letter())
    assert time.monotonic() - began < 5
    await soon(lambda: not Path(f"/proc/{pids.read_text().strip()}/exe").exists())


@pytest.mark.anyio
async def test_a_command_that_fails_or_is_not_there_says_why(tmp_path):
    with pytest.raises(CommandFailed, match="ended with 3: oh no"):
        await command(tmp_path, "sh", "-c", "echo oh no >&2; exit 3")(letter())
    with pytest.raises(CommandFailed, match="cannot run no-such-program"):
        await command(tmp_path, "no-such-program")(letter())


@pytest.mark.anyio
async def test_a_second_start_waits_for_the_first_and_runs_nothing(tmp_path):
    log = tmp_path / "log"
    slow = command(tmp_path, "sh", "-c", f"sleep 0.4; echo ran >> {log}; echo said")
    sent = letter()
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(slow(sent))]
        await soon(lambda: list((tmp_path / "runs").glob("*.lock")))
        runs += [group.create_task(slow(sent)) for _ in range(2)]
    assert [run.result() for run in runs] == ["said\n"] * 3
    assert await slow(sent) == "said\n"
    assert log.read_text() == "ran\n"


def test_a_witness_survives_who_started_it_and_runs_once(tmp_path):
    log = tmp_path / "log"
    (tmp_path / "key.body").write_text("")
    argv = [sys.executable, "-I", "-S", str(WITNESS), str(tmp_path / "key"), "10", "sh", "-c"]
    mark = f"witness:{tmp_path.name}"
    env = {"PATH": os.environ["PATH"], MARK_VARIABLE: mark}
    for _ in range(3):  # a later one finds that it was run
        subprocess.run([*argv, f"sleep 0.2; echo ran >> {log}"], env=env, check=True, timeout=10)
    assert until(lambda: not marked(mark), within_s=20)
    assert ((tmp_path / "key.done").read_text(), log.read_text()) == ("0", "ran\n")
