"""The methods that look at tasks and change nothing, and those we know and do not offer."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from agentorchestr.a2a.codec import from_json, to_json
from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.runs import Runs
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.store import TaskRecord, TaskStore
from agentorchestr.a2a.tasks import WIRE, Json, Task

PAGE_SIZE = 50
MAX_PAGE_SIZE = 100
_PUSH = "TaskPushNotificationConfig"


@dataclass(frozen=True)
class TaskParams:
    """Parameters of GetTask, CancelTask and SubscribeToTask."""

    __pydantic_config__: ClassVar[Any] = WIRE

    id: str
    history_length: int | None = None


@dataclass(frozen=True)
class ListParams:
    """Parameters of ListTasks."""

    __pydantic_config__: ClassVar[Any] = WIRE

    context_id: str = ""
    status: TaskState = TaskState.UNSPECIFIED
    page_size: int = PAGE_SIZE
    page_token: str = ""
    history_length: int = 0
    status_timestamp_after: str = ""
    include_artifacts: bool = False


class TaskMethods:
    """Reads the store, with what runs now in front of it."""

    def __init__(self, store: TaskStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    def record(self, task_id: str) -> TaskRecord | None:
        """The record of a task as it is now."""
        run = self._runs.live(task_id)
        return run.record if run else self._store.load(task_id)

    def known(self, params: Json) -> TaskRecord:
        """The record of the task that *params* name. Raises ``A2AError`` (not found)."""
        record = self.record(from_json(TaskParams, params).id)
        if record is None:
            raise A2AError(Fault.TASK_NOT_FOUND, "no such task")
        return record

    def get(self, params: Json) -> Json:
        """GetTask."""
        record = self.known(params)
        return to_json(with_history(record.task, from_json(TaskParams, params).history_length))

    def page(self, params: Json, asker: str) -> Json:
        """ListTasks: those of the same asker, newest first."""
        wanted = from_json(ListParams, params)
        if not 1 <= wanted.page_size <= MAX_PAGE_SIZE:
            raise A2AError(Fault.INVALID_PARAMS, f"pageSize: from 1 to {MAX_PAGE_SIZE}")
        if wanted.page_token and not wanted.page_token.isdecimal():
            raise A2AError(Fault.INVALID_PARAMS, "pageToken: not one of ours")
        rows = [record.task for record in self._newest_first() if _fits(record, wanted, asker)]
        start = int(wanted.page_token or 0)
        end = start + wanted.page_size
        return {
            "tasks": [to_json(_listed(task, wanted)) for task in rows[start:end]],
            "nextPageToken": str(end) if end < len(rows) else "",
            "pageSize": wanted.page_size,
            "totalSize": len(rows),
        }

    def _newest_first(self) -> list[TaskRecord]:
        records = (self.record(stored.task.id) or stored for stored in self._store.all())
        return sorted(records, key=lambda record: record.updated_at, reverse=True)


def _fits(record: TaskRecord, wanted: ListParams, asker: str) -> bool:
    task = record.task
    return (
        record.asker == asker
        and wanted.context_id in {"", task.context_id}
        and wanted.status in {TaskState.UNSPECIFIED, task.state}
        and task.status.timestamp >= wanted.status_timestamp_after
    )


def _listed(task: Task, wanted: ListParams) -> Task:
    trimmed = with_history(task, wanted.history_length)
    return trimmed if wanted.include_artifacts else replace(trimmed, artifacts=())


def with_history(task: Task, length: int | None) -> Task:
    """*task* with its last *length* messages, all when None."""
    if length is None:
        return task
    return replace(task, history=task.history[-length:] if length > 0 else ())


def not_offered(method: str) -> A2AError:
    """Why *method* is refused: known and not supported, or not known at all."""
    if method in {
        f"{verb}{_PUSH}{many}" for verb in ("Create", "Get", "List", "Delete") for many in ("", "s")
    }:
        return A2AError(Fault.PUSH_NOT_SUPPORTED, "push notifications are not supported")
    if method == "GetExtendedAgentCard":
        return A2AError(Fault.UNSUPPORTED_OPERATION, "there is no extended card")
    return A2AError(Fault.METHOD_NOT_FOUND, "no such method")
