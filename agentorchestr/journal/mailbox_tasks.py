"""Delegated tasks as each side knows them, and what was said about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agentorchestr.journal.mailbox_db import MailDb
from agentorchestr.model.mail import Address, DelegatedState, DelegatedTask

_COLUMNS = (
    "task_id, requester, capability, text, assignee, attempt, state, result, why,"
    " created_at, expires_at, updated_at"
)
_OPEN = (DelegatedState.PENDING.value, DelegatedState.IN_PROGRESS.value)


class Side(StrEnum):
    """Whose knowledge a row is."""

    REQUESTER = "requester"
    ASSIGNEE = "assignee"


@dataclass(frozen=True)
class Said:
    """One thing somebody said of a task, also when it was refused."""

    task_id: str
    at: float
    who: Address
    attempt: int
    said: str
    accepted: bool
    why: str = ""


class TaskRows:
    """The rows of delegated tasks. Each call is one transaction, or a part of the one around it."""

    def __init__(self, db: MailDb) -> None:
        self._db = db

    def save(self, owner: Address, side: Side, task: DelegatedTask) -> None:
        """Store *task* as it is now."""
        values = (
            task.task_id,
            str(task.requester),
            task.capability,
            task.text,
            str(task.assignee or ""),
            task.attempt,
            task.state.value,
            task.result,
            task.why,
            task.created_at,
            task.expires_at,
            task.updated_at,
        )
        with self._db.together():
            self._db.change(
                f"INSERT OR REPLACE INTO delegated (owner, side, {_COLUMNS})"  # noqa: S608 - our own column names
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (str(owner), side.value, *values),
            )

    def find(self, owner: Address, side: Side, task_id: str) -> DelegatedTask | None:
        """One task."""
        found = self._tasks("owner = ? AND side = ? AND task_id = ?", (str(owner), side.value, task_id))
        return found[0] if found else None

    def open(self, owner: Address, side: Side) -> list[DelegatedTask]:
        """Tasks that are not at their end, oldest first."""
        return self._tasks(
            "owner = ? AND side = ? AND state IN (?, ?) ORDER BY created_at, task_id",
            (str(owner), side.value, *_OPEN),
        )

    def recent(self, owner: Address, side: Side, *, limit: int) -> list[DelegatedTask]:
        """The last tasks, newest first."""
        return self._tasks(
            "owner = ? AND side = ? ORDER BY created_at DESC, task_id LIMIT ?",
            (str(owner), side.value, limit),
        )

    def log(self, owner: Address, said: Said) -> None:
        """Record what was said of a task."""
        with self._db.together():
            self._db.change(
                "INSERT INTO task_log (owner, task_id, at, who, attempt, said, accepted, why)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    str(owner),
                    said.task_id,
                    said.at,
                    str(said.who),
                    said.attempt,
                    said.said,
                    said.accepted,
                    said.why,
                ),
            )

    def history(self, owner: Address, task_id: str) -> list[Said]:
        """What was said of a task, oldest first."""
        found = self._db.rows(
            "SELECT at, who, attempt, said, accepted, why FROM task_log"
            " WHERE owner = ? AND task_id = ? ORDER BY row",
            (str(owner), task_id),
        )
        return [
            Said(task_id, at, Address.parse(who), attempt, said, bool(accepted), why)
            for at, who, attempt, said, accepted, why in found
        ]

    def _tasks(self, where: str, values: Sequence[object]) -> list[DelegatedTask]:
        found = self._db.rows(f"SELECT {_COLUMNS} FROM delegated WHERE {where}", values)  # noqa: S608 - our own text
        return [_task(row) for row in found]


def _task(row: Sequence[Any]) -> DelegatedTask:
    task_id, requester, capability, text, assignee, attempt, state, *rest = row
    return DelegatedTask(
        task_id,
        Address.parse(requester),
        capability,
        text,
        Address.parse(assignee) if assignee else None,
        attempt,
        DelegatedState(state),
        *rest,
    )
