"""JSON-RPC 2.0 and the A2A values in it: bytes to values and back, with the right error for each fault.

Values are read by pydantic, unknown members are passed over. No error repeats what a request held.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.tasks import ArtifactUpdate, Json, Message, StatusUpdate, Task, Update

REQUEST_BYTES = 1024 * 1024
"""The largest request that is read."""
MESSAGE_BYTES = 256 * 1024
"""What one of our messages keeps under: brokers differ in what they carry."""
RpcId = str | int | None
T = TypeVar("T")

_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
_MEMBERS: Mapping[str, type[Update]] = {
    "task": Task,
    "message": Message,
    "statusUpdate": StatusUpdate,
    "artifactUpdate": ArtifactUpdate,
}


@dataclass(frozen=True)
class RpcRequest:
    """A JSON-RPC request. ``id`` is echoed as it is, number or string."""

    id: RpcId
    method: str
    params: Json


@dataclass(frozen=True)
class RpcReply:
    """A JSON-RPC response: a result or an error."""

    id: RpcId
    result: Any = None
    error: A2AError | None = None


class BadRequest(A2AError):
    """A request that cannot be taken; ``rpc_id`` is its id as far as it could be read."""

    def __init__(self, fault: Fault, message: str, *, rpc_id: RpcId = None) -> None:
        super().__init__(fault, message)
        self.rpc_id = rpc_id


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: object) -> Json:
    """*value* as the JSON of the specification, without what is empty."""
    dumped: Json = _adapter(type(value)).dump_python(value, mode="json", by_alias=True, exclude_defaults=True)
    return dumped


def from_json(kind: type[T], value: object) -> T:
    """Read a *kind* from JSON. Raises ``A2AError`` (invalid params) that names the place, not the content."""
    try:
        read: T = _adapter(kind).validate_python(_without_nulls(value))
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(step) for step in fault["loc"]) or "params"
        raise A2AError(Fault.INVALID_PARAMS, f"{place}: {fault['msg']}") from None
    return read


def item(update: Update) -> Json:
    """*update* under the member name that tells what it is."""
    return {next(name for name, kind in _MEMBERS.items() if kind is type(update)): to_json(update)}


def read_item(result: object) -> Update | None:
    """The update in *result*; a bare task is understood too. None when it holds none."""
    if not isinstance(result, dict):
        return None
    name = next((name for name in _MEMBERS if name in result), None)
    if name is None and not ("id" in result and "status" in result):
        return None
    try:
        return from_json(_MEMBERS[name], result[name]) if name else from_json(Task, result)
    except A2AError:
        return None


def request_payload(rpc_id: str, method: str, params: Json) -> bytes:
    """A request on the wire."""
    return _dumped({"jsonrpc": "2.0", "id": rpc_id, "method": method, "params": params})


def result_payload(rpc_id: RpcId, result: Any) -> bytes:
    """A result on the wire."""
    return _dumped({"jsonrpc": "2.0", "id": rpc_id, "result": result})


def error_payload(rpc_id: RpcId, error: A2AError) -> bytes:
    """An error on the wire."""
    return _dumped({"jsonrpc": "2.0", "id": rpc_id, "error": error.to_wire()})


def read_request(payload: bytes) -> RpcRequest:
    """Read a request. Raises ``BadRequest``."""
    if len(payload) > REQUEST_BYTES:
        raise BadRequest(Fault.INVALID_REQUEST, f"a request holds at most {REQUEST_BYTES} bytes")
    try:
        read = json.loads(payload.decode())
    except (ValueError, RecursionError):
        raise BadRequest(Fault.PARSE, "not JSON in UTF-8") from None
    if not isinstance(read, dict):
        raise BadRequest(Fault.INVALID_REQUEST, "not a JSON-RPC 2.0 request object")
    rpc_id, method, params = read.get("id"), read.get("method"), read.get("params", {})
    known = rpc_id if _is_id(rpc_id) else None
    if read.get("jsonrpc") != "2.0" or not isinstance(method, str) or known is None:
        raise BadRequest(Fault.INVALID_REQUEST, "not a JSON-RPC 2.0 request with id and method", rpc_id=known)
    if not isinstance(params, dict):
        raise BadRequest(Fault.INVALID_PARAMS, "params is not an object", rpc_id=known)
    return RpcRequest(known, method, params)


def read_reply(payload: bytes) -> RpcReply | None:
    """Read a response; None when it is none."""
    try:
        read = json.loads(payload.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict) or read.get("jsonrpc") != "2.0" or ("result" in read) == ("error" in read):
        return None
    rpc_id = read.get("id") if _is_id(read.get("id")) else None
    if "result" in read:
        return RpcReply(rpc_id, result=read["result"])
    try:
        return RpcReply(rpc_id, error=A2AError.from_wire(read["error"]))
    except (ValueError, AttributeError):
        return None


def _without_nulls(value: object) -> object:
    """Protobuf's JSON lets a member be null for "not set"; what stands in ``data`` is the sender's own."""
    if isinstance(value, dict):
        return {
            name: member if name in {"data", "metadata"} else _without_nulls(member)
            for name, member in value.items()
            if member is not None
        }
    return [_without_nulls(member) for member in value] if isinstance(value, list) else value


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _dumped(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
