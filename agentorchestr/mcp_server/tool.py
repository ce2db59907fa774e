"""What every tool is: a name, one line for the model, checked arguments, and the verb it calls."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from agentorchestr.supervisor.desk import Desk, Principal, Reply


def _without_nul(text: str) -> str:
    if "\0" in text:
        # No file name, argument or commit message can hold one.
        raise PydanticCustomError("nul", "it holds a NUL character")
    return text


_NoNul = AfterValidator(_without_nul)
Name = Annotated[str, StringConstraints(max_length=64, strip_whitespace=True), _NoNul]
"""An id or a name out of a list."""
WorkerId = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True), _NoNul]
Line = Annotated[str, StringConstraints(max_length=500), _NoNul]
Note = Annotated[str, StringConstraints(min_length=1, max_length=2000), _NoNul]
Text = Annotated[str, StringConstraints(max_length=8000), _NoNul]
Said = Annotated[str, StringConstraints(min_length=1, max_length=8000), _NoNul]
Brief = Annotated[str, StringConstraints(min_length=1, max_length=20_000), _NoNul]
PathLine = Annotated[str, StringConstraints(min_length=1, max_length=300), _NoNul]
PathLines = Annotated[tuple[PathLine, ...], Field(max_length=50)]


class Tool(BaseModel):
    """One call of a tool: the fields are its arguments. Each subclass is a tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]
    about: ClassVar[str]
    ends_with_caller: ClassVar[bool] = False
    """For calls that wait for an event and count it as told: told to nobody, it would be lost."""

    async def perform(self, desk: Desk, principal: Principal) -> Reply:
        """Ask *desk* for it on behalf of *principal*, who may use this tool."""
        raise NotImplementedError

    @classmethod
    def read(cls, arguments: Mapping[str, object] | None) -> Self:
        """Check *arguments* and build the call. A null stands for an argument left out.

        Raises pydantic's ``ValidationError``.
        """
        # Models that were made to fill every field send null for what they do not want to set.
        return cls.model_validate({k: v for k, v in (arguments or {}).items() if v is not None})


class Wait(Tool):
    """A long poll: cut at what the caller's client bears."""

    ends_with_caller: ClassVar[bool] = True
    timeout_s: Annotated[
        float,
        Field(ge=0, le=3600, allow_inf_nan=False, description="Cut to what your client bears."),
    ] = 110

    def within(self, limit_s: float) -> Self:
        """The same call, waiting *limit_s* at the most."""
        return self.model_copy(update={"timeout_s": min(self.timeout_s, limit_s)})


UNSAID = frozenset({"additionalProperties", "minLength", "maxLength", "maxItems"})
"""Kept by us, and told in the refusal: said in each schema, they would cost every agent a thousand bytes."""


def input_schema(tool: type[Tool]) -> dict[str, object]:
    """The JSON schema of a tool's arguments: what a model needs to call it right, and no more."""
    schema = tool.model_json_schema()
    schema.pop("description", None)
    return {key: _short(value) for key, value in schema.items() if key not in UNSAID and key != "title"}


def _short(value: object) -> object:
    """Drop limits, and ``title`` where it is a schema's own word, not a property of that name."""
    if isinstance(value, list):
        return [_short(item) for item in value]
    if isinstance(value, dict):
        kept = ((k, v) for k, v in value.items() if not (k == "title" and isinstance(v, str)))
        return {k: _short(v) for k, v in kept if not _goes_without_saying(k, v)}
    return value


def _goes_without_saying(key: str, value: object) -> bool:
    """Whether it is a limit, or the empty default of what may be left out."""
    if key == "default":
        return value in ("", 0, False)
    return key in UNSAID and isinstance(value, bool | int)
