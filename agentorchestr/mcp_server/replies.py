"""Answers: how a tool call ended, in the words a model or a person's shell gets to read."""

import dataclasses
import json
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from agentorchestr.errors import OrchestrError
from agentorchestr.supervisor.desk import Reply

logger = logging.getLogger(__name__)

OK = 200
BAD_REQUEST = 400
FORBIDDEN = 403
NO_SUCH_TOOL = 404
REFUSED = 409
BAD_ARGUMENTS = 422
INTERNAL = 500
ENDING = 503

# More faults than this help no model; the hint names every argument anyway.
FAULTS_SHOWN = 5
NAME_CHARS = 40


@dataclass(frozen=True)
class Answer:
    """The end of one call: *text* is a compact JSON object, or what went wrong in one line."""

    text: str
    hint: str = ""
    status: int = OK
    """What the same answer says as an HTTP status."""

    @property
    def is_error(self) -> bool:
        """Whether the call had no effect, or an unknown one."""
        return self.status != OK

    @property
    def line(self) -> str:
        """All of it in one line: the reply, or ``what. hint``."""
        if not self.is_error or not self.hint:
            return self.text
        return f"{self.text.rstrip('.')}. {self.hint}"

    def as_json(self) -> str:
        """The body of an HTTP response."""
        if not self.is_error:
            return self.text
        return to_json({"error": self.text, "hint": self.hint})


SESSION_IS_ENDING = Answer("the session is ending", status=ENDING)


async def answered(asked: Awaitable[Reply | Sequence[Reply]], *, during: str) -> Answer:
    """Await *asked* and turn whatever comes of it into an answer; it never raises but for a cancel.

    *during* names the act for the log. What the core can explain is told; what it cannot is logged and
    told as an internal error, since a traceback teaches a model nothing and may hold private text.
    """
    try:
        return Answer(to_json(await asked))
    except OrchestrError as exc:
        return Answer(one_line(str(exc)), hint=one_line(exc.hint), status=REFUSED)
    except Exception:
        logger.exception("a call failed", extra={"detail": during})
        return Answer("internal error, see log", status=INTERNAL)


def bad_arguments(tool: str, exc: ValidationError, *, known: Iterable[str]) -> Answer:
    """Tell in one line which arguments of *tool* are wrong, without repeating their values."""
    faults = [_fault(error["type"], error["loc"], error["msg"]) for error in exc.errors(include_input=False)]
    more = f"; {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
    names = ", ".join(known) or "none"
    return Answer(
        f"{tool}: {'; '.join(faults[:FAULTS_SHOWN])}{more}",
        hint=f"Arguments: {names}",
        status=BAD_ARGUMENTS,
    )


def _fault(kind: str, loc: tuple[int | str, ...], message: str) -> str:
    name = one_line(".".join(str(part) for part in loc))
    name = name if len(name) <= NAME_CHARS else f"{name[:NAME_CHARS]}…"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "extra_forbidden":
        return f"{name} is not an argument"
    # The tuple is ours; whoever wrote the call knows only JSON.
    said = one_line(message).replace("a valid tuple", "an array")
    return f"{name}: {said[:1].lower()}{said[1:]}"


def to_json(value: object) -> str:
    """Compact JSON of *value*, always encodable: a lone surrogate from a screen becomes ``?``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


def one_line(text: str) -> str:
    """Collapse every run of white space in *text* to one space."""
    return " ".join(text.split())
