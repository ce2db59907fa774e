"""What requester and assignee of a delegated task write to one another, in three kinds of letters."""

import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentorchestr.errors import UsageError
from agentorchestr.model.mail import ID, INLINE_BYTES, Address, DelegatedTask, Letter, LetterKind
from agentorchestr.model.swarmbus import is_neighbour
from agentorchestr.swarm.artifacts import Shelf, packed
from agentorchestr.swarm.ids import new_id

WHY_CHARS = 1000
CANCEL_LIFE_S = 3600.0
TEXT_BYTES = INLINE_BYTES - 4096
"""What a task's text or result may hold, as it stands in JSON."""


class Word(StrEnum):
    """What an assignee says of a task."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    task_id: Annotated[str, Field(max_length=64)]
    attempt: Annotated[int, Field(ge=1, le=1_000_000)]

    @field_validator("task_id")
    @classmethod
    def _is_an_id(cls, value: str) -> str:
        if ID.fullmatch(value) is None:
            raise ValueError("not an id")
        return value

    def write(self) -> str:
        """The body of a letter. Raises ``UsageError`` when it is too large."""
        text = self.model_dump_json()
        if len(text.encode()) > INLINE_BYTES:
            raise UsageError(
                f"a task's text or result holds at most {TEXT_BYTES} bytes",
                hint="write the rest to a file or branch, and name that",
            )
        return text

    @classmethod
    def read(cls, letter: Letter) -> Self | None:
        """What a letter says; None when it is no such body."""
        try:
            return cls.model_validate_json(letter.body)
        except ValidationError:
            return None


class Offer(_Body):
    """From the requester: do this."""

    capability: Annotated[str, Field(max_length=64)] = ""
    text: str
    expires_at: Annotated[float, Field(gt=0, le=1e11, allow_inf_nan=False)]


class Update(_Body):
    """From the assignee: so far it is."""

    said: Word
    result: str = ""
    why: str = ""


class Cancel(_Body):
    """From the requester: leave it."""

    why: str = ""


def fit(shelf: Shelf, text: str) -> str:
    """A task's text or result as it stands in a letter: a long one goes to the shelf and is named instead.

    Raises ``UsageError`` when it is too large for that, too. Blocking.
    """
    long = len(text) > TEXT_BYTES or len(json.dumps(text, ensure_ascii=False)) > TEXT_BYTES // 4
    if long and len(json.dumps(text, ensure_ascii=False).encode(errors="replace")) > TEXT_BYTES:
        return packed(shelf, text, over=0)
    return text


def new_task(
    me: Address,
    text: str,
    *,
    capability: str,
    to: Address | None,
    ttl_s: float,
    now: float,
    task_id: str = "",
) -> DelegatedTask:
    """A task that nobody was offered yet.

    Raises ``UsageError`` when it is too large, when both or neither of *capability* and *to* are named, and
    for an agent that knows no tasks.
    """
    if bool(capability) == (to is not None):
        raise UsageError("a task is for a capability or for one agent", hint="name exactly one of them")
    if is_neighbour(to):
        raise UsageError("agents of swarmbus know no tasks", hint="send a message instead")
    task = DelegatedTask(
        task_id or new_id(),
        me,
        capability,
        text,
        assignee=to,
        created_at=now,
        expires_at=now + ttl_s,
        updated_at=now,
    )
    offer_of(task).write()
    return task


def cancel_letter(me: Address, task: DelegatedTask, assignee: Address, why: str, *, now: float) -> Letter:
    """What tells *assignee* to leave *task*."""
    body = Cancel(task_id=task.task_id, attempt=task.attempt, why=why[:WHY_CHARS])
    return task_letter(me, assignee, LetterKind.TASK_CANCEL, body, expires_at=now + CANCEL_LIFE_S)


def offer_of(task: DelegatedTask) -> Offer:
    """The offer of *task* as it stands."""
    return Offer(
        task_id=task.task_id,
        attempt=max(task.attempt, 1),
        capability=task.capability,
        text=task.text,
        expires_at=task.expires_at,
    )


def task_letter(
    sender: Address, receiver: Address, kind: LetterKind, body: Offer | Update | Cancel, *, expires_at: float
) -> Letter:
    """A letter about a task; its thread is the task. Raises ``UsageError`` when the body is too large."""
    return Letter(
        "",
        sender,
        receiver,
        body.write(),
        kind=kind,
        content_type="application/json",
        thread=body.task_id,
        expires_at=expires_at,
    )


def fault_of(task: DelegatedTask, who: Address, update: Update) -> str:
    """Why a word of *task* does not count; empty when it does."""
    if task.assignee != who:
        return f"its assignee is {task.assignee or 'nobody'}"
    if update.attempt != task.attempt:
        return f"attempt {update.attempt} is not attempt {task.attempt}"
    return f"it had ended: {task.state}" if task.state.final else ""
