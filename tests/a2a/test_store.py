"""Tasks on disk."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.store import FolderTaskStore, TaskRecord
from agentorchestr.a2a.tasks import Artifact, Message, Part, Role, Task, TaskStatus
from tests.a2a.raw import CONTEXT, TASK

RECORD = TaskRecord(
    Task(
        TASK,
        TaskStatus(TaskState.WORKING),
        CONTEXT,
        (Artifact("a", (Part(text="x\ud800".encode(errors="replace").decode()),)),),
        (Message("m", Role.USER, (Part(text="ü"),)),),
    ),
    ("m",),
    "acme/lab/ann",
    items=3,
    created_at=1.5,
    updated_at=2.5,
)


def test_records_are_there_after_a_restart(tmp_path: Path) -> None:
    FolderTaskStore(tmp_path / "tasks").save(RECORD)
    again = FolderTaskStore(tmp_path / "tasks")
    assert again.load(TASK) == again.load(TASK.upper()) == RECORD
    assert list(again.all()) == [RECORD]
    again.save(replace(RECORD, items=4))
    again.forget(TASK.upper())
    assert FolderTaskStore(tmp_path / "tasks").load(TASK) is None


def test_files_are_private(tmp_path: Path) -> None:
    FolderTaskStore(tmp_path / "tasks").save(RECORD)
    (file,) = (tmp_path / "tasks").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_broken_file_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FolderTaskStore(tmp_path)
    store.save(RECORD)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty.json").write_text("{}")
    assert list(FolderTaskStore(tmp_path).all()) == [RECORD]
    assert "task file not read" in caplog.text


def test_an_id_never_names_another_place(tmp_path: Path) -> None:
    bad = replace(RECORD, task=replace(RECORD.task, id="../../x"))
    with pytest.raises(ValueError, match="UUIDv4"):
        FolderTaskStore(tmp_path).save(bad)
