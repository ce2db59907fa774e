"""What disks do to journals, and what other versions wrote: each is told in one clear error, none is guessed."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentorchestr.errors import JournalError, StaleGeneration, UsageError
from agentorchestr.journal.export import read_export, write_export
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import FILE_NAME, SCHEMA_VERSION, Journal
from agentorchestr.model import facts as f
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView
from tests.journal.test_journal import CREATED, spawned

ROOT = Path(__file__).parents[2]
OLD_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 3);
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, generation INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TRIGGER facts_stay BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
CREATE TRIGGER facts_last BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never removed'); END;
PRAGMA user_version=1;
"""


def fill(folder: Path, facts: int = 200) -> SessionView:
    with Journal.create(folder) as journal:
        notes = [f.ProgressNoted("w1", f"step {number} " + "x" * 200) for number in range(facts)]
        journal.append([CREATED, spawned(), *notes])
        return derive(journal.facts())


def checkpointed(folder: Path) -> Path:
    """The journal as one file, its write-ahead log taken in."""
    db = sqlite3.connect(folder / FILE_NAME)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return folder / FILE_NAME


def read_all(folder: Path) -> SessionView:
    with Journal.open_read(folder) as journal:
        return derive(journal.facts())


@pytest.mark.parametrize("kept", [0, 1, 99, 512, 4096, 8192, 20_000, 40_000])
def test_a_journal_cut_off_anywhere_is_reported(tmp_path: Path, kept: int) -> None:
    fill(tmp_path)
    file = checkpointed(tmp_path)
    os.truncate(file, kept)
    with pytest.raises(JournalError):
        read_all(tmp_path)
    with pytest.raises(JournalError), Journal.take_over(tmp_path) as journal:
        derive(journal.facts())


@pytest.mark.parametrize("place", range(0, 60_000, 5_003))
def test_a_garbled_journal_is_reported_or_is_what_it_was(tmp_path: Path, place: int) -> None:
    view = fill(tmp_path)
    file = checkpointed(tmp_path)
    content = bytearray(file.read_bytes())
    content[place : place + 40] = bytes(byte ^ 0x55 for byte in content[place : place + 40])
    file.write_bytes(content)
    try:
        assert read_all(tmp_path) == view
    except JournalError:
        return


def test_a_changed_letter_of_a_fact_is_reported(tmp_path: Path) -> None:
    fill(tmp_path)
    file = checkpointed(tmp_path)
    content = file.read_bytes()
    assert content.count(b"step 77 ") == 1
    file.write_bytes(content.replace(b"step 77 ", b"step 78 "))
    with pytest.raises(JournalError, match="damaged at fact 80"):
        read_all(tmp_path)


def test_a_fact_that_is_missing_is_reported(tmp_path: Path) -> None:
    fill(tmp_path)
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.executescript("DROP TRIGGER facts_last; DELETE FROM facts WHERE seq = 50;")
    db.close()
    with pytest.raises(JournalError, match="damaged at fact 50"):
        read_all(tmp_path)


def older(folder: Path) -> None:
    db = sqlite3.connect(folder / FILE_NAME)
    db.executescript(OLD_SCHEMA)
    with Journal.create(folder / "new") as journal:
        rows = journal._db.execute
        journal.append([CREATED, spawned()], at=5.0)
        for row in rows("SELECT seq, at, 3, kind, body FROM facts"):
            db.execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?)", row)
    db.commit()
    db.close()


def test_a_journal_of_an_older_version_is_read_as_it_is_and_migrated_by_its_next_writer(
    tmp_path: Path,
) -> None:
    (tmp_path / "new").mkdir()
    older(tmp_path)
    before = (tmp_path / FILE_NAME).read_bytes()
    assert list(read_all(tmp_path).workers) == ["w1"]
    assert (tmp_path / FILE_NAME).read_bytes() == before
    with Journal.take_over(tmp_path) as journal:
        assert journal.generation == 4
        journal.append([f.ProgressNoted("w1", "half")])
        assert journal._db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        view = derive(journal.facts())
    assert view.workers["w1"].last_note == "half"
    assert read_all(tmp_path) == view
    with Journal.take_over(tmp_path) as journal:
        assert journal.generation == 5


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    db = sqlite3.connect(tmp_path / FILE_NAME)
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    before = checkpointed(tmp_path).read_bytes()
    for way in (Journal.open_read, Journal.take_over):
        with pytest.raises(JournalError, match="newer agentorchestr") as caught:
            way(tmp_path)
        assert caught.value.hint == "update agentorchestr"
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_every_connection_writes_through_to_the_disk(tmp_path: Path) -> None:
    for journal in (Journal.create(tmp_path), Journal.take_over(tmp_path), Journal.open_read(tmp_path)):
        with journal:
            assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)
            assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


FILLS = """
import resource, signal, sys
from pathlib import Path
from agentorchestr.errors import JournalError
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
journal = Journal.take_over(folder)
stored = len(journal.facts())
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
for number in range(5000):
    try:
        journal.append([f.ProgressNoted("w1", str(number) + "x" * 1000), f.ProgressNoted("w1", "both")])
    except JournalError as exc:
        print(exc, "|", exc.hint)
        break
    stored += 2
else:
    sys.exit("the disk never was full")
assert len(journal.facts()) == stored, (len(journal.facts()), stored)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append([f.ProgressNoted("w1", "there is room again")])
    assert derive(journal.facts()).workers["w1"].last_note == "there is room again"
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no small file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill_up(folder: Path, limit: int) -> None:
    fill(folder, 1)
    words = [sys.executable, "-c", FILLS, str(folder), str(limit)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "full" in done.stdout or "I/O error" in done.stdout, done.stdout
    assert "check the disk and its free space" in done.stdout


def test_a_full_disk_is_reported_and_what_was_stored_stays(small_disk: Path) -> None:
    fill_up(small_disk, 0)
    assert read_all(small_disk).workers["w1"].last_note == "both"


def test_a_file_that_may_not_grow_is_reported_and_it_goes_on_when_it_may(tmp_path: Path) -> None:
    fill_up(tmp_path, 400_000)


def test_an_older_generation_is_refused_in_whatever_it_writes(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with Journal.take_over(tmp_path) as old, Journal.take_over(tmp_path) as new:
        for _ in range(2):
            with pytest.raises(StaleGeneration):
                old.append([f.SessionEnded(Outcome.DONE, "old")])
        new.append([f.ProgressNoted("w1", "new")])
    assert read_all(tmp_path).outcome is None


def test_an_exported_journal_gives_the_same_view(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    with Journal.take_over(tmp_path) as journal:
        journal.append([f.PaneDied("w1", None, "odd \udcff \0 ü"), f.SessionEnded(Outcome.FAILED, "no")])
        facts = journal.facts()
    write_export(tmp_path / "out", facts)
    assert read_export(tmp_path / "out") == facts
    assert derive(read_export(tmp_path / "out")) == read_all(tmp_path)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="there already"):
        write_export(tmp_path / "out", facts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "not whole"),
        (lambda text: text[:-20], "not whole"),
        (lambda text: text.replace("step 3", "step 4"), "not whole"),
        (lambda text: "\n".join(line for line in text.split("\n") if "step 3" not in line), "not whole"),
        (lambda _: "", "no exported journal"),
        (lambda _: "[]\n" * 9, "no exported journal"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "newer agentorchestr"),
    ],
)
def test_an_export_that_is_not_whole_is_refused(tmp_path: Path, change: object, said: str) -> None:
    assert callable(change)
    fill(tmp_path, 20)
    with Journal.open_read(tmp_path) as journal:
        write_export(tmp_path / "out", journal.facts())
    (tmp_path / "out").write_text(change((tmp_path / "out").read_text()))
    with pytest.raises(JournalError, match=said):
        read_export(tmp_path / "out")
