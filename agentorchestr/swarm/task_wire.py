"""What requester and assignee of a delegated task write to one another, in three kinds of letters."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentorchestr.errors import UsageError
from agentorchestr.model.mail import ID, INLINE_BYTES, Address, DelegatedTask, Letter, LetterKind

WHY_CHARS = 1000
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
