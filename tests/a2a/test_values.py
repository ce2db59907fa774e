"""Errors, JSON and states: what stands on the wire for each value."""

import json

import pytest

from agentorchestr.a2a.codec import from_json, item, read_item, to_json
from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.states import (
    INTERRUPTED,
    OF_WORKER,
    TERMINAL,
    TaskState,
)
from agentorchestr.a2a.tasks import (
    Artifact,
    ArtifactUpdate,
    Message,
    Part,
    Role,
    StatusUpdate,
    Task,
    TaskStatus,
    applied,
)
from agentorchestr.model.states import WorkerState


@pytest.mark.parametrize("fault", Fault)
def test_G2_G3_an_error_is_read_back_as_what_it_was(fault: Fault) -> None:
    wire = json.loads(json.dumps(A2AError(fault, "why").to_wire()))
    read = A2AError.from_wire(wire)
    assert read.fault is fault
    assert (wire["code"], str(read)) == (fault.code, "why")
    data = wire.get("data")
    if fault.transport:
        assert data == {"a2a_error": fault.word}
    else:
        assert data is None or (isinstance(data, list) and data[0]["@type"])


@pytest.mark.parametrize("code", [-32003, -32004, -32005])
def test_G2_the_shape_of_the_data_tells_the_family(code: int) -> None:
    words = {-32003: "request_expired", -32004: "responder_unavailable", -32005: "transport_protocol_error"}
    for data, transport in (
        ({"a2a_error": words[code]}, True),
        (None, False),
        ([], False),
        ({"x": 1}, False),
    ):
        read = A2AError.from_wire({"code": code, "message": "m", "data": data})
        assert read.fault is not None
        assert read.fault.transport is transport
    assert A2AError.from_wire({"code": code, "message": "m", "data": {"a2a_error": "new"}}).fault is None


def test_R18_transport_errors_are_exactly_three() -> None:
    assert {fault.code: fault.word for fault in Fault if fault.transport} == {
        -32003: "request_expired",
        -32004: "responder_unavailable",
        -32005: "transport_protocol_error",
    }


def test_an_error_of_a_newer_peer_keeps_its_code() -> None:
    read = A2AError.from_wire({"code": -32050, "message": "new"})
    assert (read.fault, read.code, str(read), read.retry_eligible) == (None, -32050, "new", False)
    for bad in ({}, {"code": "x"}, {"code": True}):
        with pytest.raises(ValueError, match="code"):
            A2AError.from_wire(bad)


@pytest.mark.parametrize("state", TaskState)
def test_G10_states_are_written_in_full_and_old_names_are_read(state: TaskState) -> None:
    short = state.value.removeprefix("TASK_STATE_")
    assert state.value.startswith("TASK_STATE_")
    for name in (short, short.lower(), short.lower().replace("_", "-"), state.value):
        assert TaskState(name) is state
    with pytest.raises(ValueError, match="nonsense"):
        TaskState("nonsense")


def test_cancelled_with_two_l_is_canceled() -> None:
    assert TaskState("cancelled") is TaskState.CANCELED


def test_a_worker_that_needs_somebody_makes_its_task_wait_for_input() -> None:
    assert set(OF_WORKER) == set(WorkerState)
    asking = {worker for worker, state in OF_WORKER.items() if state in INTERRUPTED}
    assert asking == {WorkerState.ASKS, WorkerState.BLOCKED}
    ended = {worker for worker, state in OF_WORKER.items() if state in TERMINAL}
    assert ended == {WorkerState.DONE, WorkerState.FAILED, WorkerState.DEAD}


MESSAGE = Message("m", Role.USER, (Part(text="hi"), Part(data={"a": None})), context_id="c", task_id="t")
TASK = Task("t", TaskStatus(TaskState.WORKING, timestamp="2026-01-01T00:00:00.000Z"), "c", history=(MESSAGE,))
PIECE = ArtifactUpdate("t", "c", Artifact("a", (Part(text="x"),)), append=True, last_chunk=True)
MOVED = StatusUpdate("t", "c", TaskStatus(TaskState.FAILED, MESSAGE))


@pytest.mark.parametrize("value", [MESSAGE, TASK, PIECE, MOVED], ids=lambda value: type(value).__name__)
def test_a_value_comes_back_from_the_wire_as_it_was(
    value: Message | Task | ArtifactUpdate | StatusUpdate,
) -> None:
    wire = json.loads(json.dumps(item(value)))
    assert read_item(wire) == value
    assert all("_" not in name for held in wire.values() for name in held)


def test_what_is_not_an_item_is_none() -> None:
    for bad in (
        None,
        1,
        {},
        {"task": 1},
        {"task": {"id": "t"}},
        {"statusUpdate": {"taskId": "t"}},
        {"id": "x"},
    ):
        assert read_item(bad) is None
    assert isinstance(read_item(to_json(TASK)), Task)


def test_null_members_mean_not_set_and_unknown_ones_are_passed_over() -> None:
    wire = to_json(MESSAGE) | {"metadata": None, "extensions": None, "new": 1}
    assert from_json(Message, wire) == MESSAGE


def test_no_error_repeats_what_was_sent() -> None:
    with pytest.raises(A2AError) as raised:
        from_json(Message, {"messageId": "m", "role": "secret", "parts": [{"text": "secret"}]})
    assert "secret" not in str(raised.value)
    assert "role" in str(raised.value)


def test_bytes_travel_as_base64() -> None:
    assert to_json(Part.of_bytes(b"\x00\xff", media_type="x/y")) == {"raw": "AP8=", "mediaType": "x/y"}


def test_updates_build_the_task() -> None:
    task = applied(TASK, ArtifactUpdate("t", "c", Artifact("a", (Part(text="1"),))))
    task = applied(task, ArtifactUpdate("t", "c", Artifact("a", (Part(text="2"),)), append=True))
    task = applied(task, ArtifactUpdate("t", "c", Artifact("b", (Part(text="3"),))))
    task = applied(task, ArtifactUpdate("t", "c", Artifact("b", (Part(text="4"),))))
    assert [(one.artifact_id, one.text) for one in task.artifacts] == [("a", "12"), ("b", "4")]
    task = applied(task, MOVED)
    task = applied(task, StatusUpdate("t", "c", TaskStatus(TaskState.COMPLETED)))
    assert task.history == (MESSAGE, MESSAGE)
    assert task.state is TaskState.COMPLETED
