"""Where a responder keeps its tasks, so that a request repeated after a restart starts nothing new."""

import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agentorchestr.a2a.codec import from_json, to_json
from agentorchestr.a2a.errors import A2AError
from agentorchestr.a2a.tasks import Task

logger = logging.getLogger(__name__)

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class TaskRecord:
    """A task with what only its responder knows."""

    task: Task
    message_ids: tuple[str, ...]
    """Every turn that was taken; the same id again is a retry."""
    asker: str
    """Whose reply topic the request named, as an address; empty when it was somebody else's."""
    items: int = 0
    """How many items were told so far."""
    created_at: float = 0.0
    updated_at: float = 0.0


class TaskStore(Protocol):
    """Keeps records. A record is there for good when ``save`` returns."""

    def load(self, task_id: str) -> TaskRecord | None: ...
    def save(self, record: TaskRecord) -> None: ...
    def all(self) -> Iterable[TaskRecord]: ...
    def forget(self, task_id: str) -> None: ...


def forget_old(store: TaskStore, *, before: float, at_most: int) -> None:
    """Forget the ended tasks that last changed *before*, and the oldest ones above *at_most*."""
    ended = [record for record in store.all() if record.task.state.terminal]
    ended.sort(key=lambda record: record.updated_at, reverse=True)
    for place, record in enumerate(ended):
        if place >= at_most or record.updated_at < before:
            store.forget(record.task.id)


class MemoryTaskStore:
    """Tasks of this process; gone with it."""

    def __init__(self) -> None:
        self._records: dict[str, TaskRecord] = {}

    def load(self, task_id: str) -> TaskRecord | None:
        return self._records.get(task_id.lower())

    def save(self, record: TaskRecord) -> None:
        self._records[record.task.id.lower()] = record

    def all(self) -> Iterable[TaskRecord]:
        return tuple(self._records.values())

    def forget(self, task_id: str) -> None:
        self._records.pop(task_id.lower(), None)


class FolderTaskStore(MemoryTaskStore):
    """Tasks in a private folder, one file each, replaced as a whole. One writer at a time."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        for file in sorted(folder.glob("*.json")):
            self._read(file)

    def save(self, record: TaskRecord) -> None:
        text = json.dumps(to_json(record), ensure_ascii=False)
        new = self._path(record.task.id).with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(text, encoding="utf-8")
        new.replace(self._path(record.task.id))
        super().save(record)

    def forget(self, task_id: str) -> None:
        super().forget(task_id)
        self._path(task_id).unlink(missing_ok=True)

    def _path(self, task_id: str) -> Path:
        if UUID4.fullmatch(task_id) is None:
            raise ValueError("the id of a task is no UUIDv4")
        return self._folder / f"{task_id.lower()}.json"

    def _read(self, file: Path) -> None:
        try:
            record = from_json(TaskRecord, json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, A2AError) as exc:
            logger.warning("task file not read", extra={"file": file.name, "reason": type(exc).__name__})
            return
        super().save(record)
