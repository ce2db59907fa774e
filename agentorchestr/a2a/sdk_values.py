"""Values and errors of ``a2a-sdk``, and what they are here."""

from collections.abc import Iterator
from contextlib import contextmanager

from a2a.server.events.event_queue import Event
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import JSON_RPC_ERROR_CODE_MAP
from a2a.utils.errors import A2AError as SdkError
from a2a.utils.proto_utils import parse_lenient
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtobufMessage

from agentorchestr.a2a.codec import from_json, to_json
from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.handler import Left, Moved, Step
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import ArtifactUpdate, Json, Message, Task, TaskStatus


def as_json(message: ProtobufMessage) -> Json:
    """*message* in the JSON of the specification."""
    made: Json = MessageToDict(message)
    return made


def sdk_message(message: Message, *, task_id: str, context_id: str) -> pb.Message:
    """*message* as the SDK has it, under the ids its server knows the task by."""
    made = parse_lenient(to_json(message), pb.Message())
    made.task_id, made.context_id = task_id, context_id
    return made


def steps_of(event: Event) -> Iterator[Step]:
    """What an event of the SDK's server says of its task."""
    match event:
        case pb.Task():
            task = from_json(Task, as_json(event))
            yield from (Left(artifact) for artifact in task.artifacts)
            yield _moved(task.status)
        case pb.TaskStatusUpdateEvent():
            told = as_json(event)
            yield _moved(from_json(TaskStatus, told.get("status", {})), told.get("metadata"))
        case pb.TaskArtifactUpdateEvent():
            left = from_json(ArtifactUpdate, as_json(event))
            yield Left(left.artifact, append=left.append, last_chunk=left.last_chunk, metadata=left.metadata)
        case pb.Message():
            # Our requesters made a task before they asked; the message is its end.
            yield Moved(TaskState.COMPLETED, message=from_json(Message, as_json(event)))
        case _:
            raise A2AError(Fault.INVALID_AGENT_RESPONSE, f"no event of A2A: {type(event).__name__}")


def _moved(status: TaskStatus, metadata: Json | None = None) -> Moved:
    return Moved(status.state, message=status.message, metadata=metadata)


@contextmanager
def errors_as_ours() -> Iterator[None]:
    """Raise ``A2AError`` with the code of core A2A for what the SDK's server raises."""
    try:
        yield
    except SdkError as exc:
        code = JSON_RPC_ERROR_CODE_MAP.get(type(exc), Fault.INTERNAL.code)
        fault = next(fault for fault in Fault if fault.code == code and not fault.transport)
        raise A2AError(fault, str(getattr(exc, "message", "") or exc) or fault.word) from exc
