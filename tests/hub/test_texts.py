"""Texts of strangers as the JSON values that an a2a-hub client gets."""

import json

import pytest

from agentorchestr.hub.frames import Frame, FrameType
from agentorchestr.hub.texts import MESSAGE, call_of, result_of, result_text
from agentorchestr.model.mail import Address, DelegatedTask


def params(text: str) -> dict[str, object]:
    return call_of(DelegatedTask("t", Address("a", "b", "c"), "look", text), ("look",)).params


@pytest.mark.parametrize("opening", ['{"a":', '{"a":[['])
def test_no_text_is_too_deep_for_a_frame(opening: str) -> None:
    """One that was, between what can be read and what can be written, ended the hub."""
    closing = "".join("]" if char == "[" else "}" for char in opening if char in "[{")[::-1]
    for depth in range(850 // len(closing), 1000 // len(closing)):
        text = opening * depth + "1" + closing * depth
        frame = Frame(type=FrameType.DELEGATE, payload={"params": params(text), "result": result_of(text)})
        assert json.loads(frame.text())["payload"]


def test_what_is_deeper_than_a_client_writes_stays_a_text() -> None:
    assert isinstance(result_of("[" * 150 + "]" * 150), list)
    assert params('{"a":' * 300 + "1" + "}" * 300).keys() == {MESSAGE}


@pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": NaN}', '{"a": -Infinity}'])
def test_a_number_that_json_cannot_say_stays_a_text(text: str) -> None:
    assert params(text) == {MESSAGE: text}


@pytest.mark.parametrize("result", ["done", "1e999", '"quoted"', "[1]", 1.5, {"a": [1]}, None, True])
def test_a_result_is_read_as_it_was_written(result: object) -> None:
    assert result_of(result_text(result)) == result
