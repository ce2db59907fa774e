"""The scripted model answers as the real APIs do, goes wrong when told to, and keeps no key."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.scripted_model.conversation import Answer, Call, Fault
from tests.scripted_model.scenario import Part, Rule, Scenario, by_rules, call_all, in_order, say
from tests.scripted_model.server import ScriptedModel

TWO_CALLS = call_all(Call("mcp:get_brief"), Call("shell", {"command": "ls"}))
STEPS = by_rules(
    Rule(TWO_CALLS, message="^begin"),
    Rule(say("Seen."), after="shell", result="README"),
    otherwise=say("Lost."),
)


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(Scenario(parts=(Part("worker", STEPS),))) as running:
        yield running


def broken_model(fault: Fault) -> ScriptedModel:
    script = in_order(Answer(text="At last.", fault=fault))
    return ScriptedModel(Scenario(parts=(Part("worker", script),)))


def post(model: ScriptedModel, path: str, body: dict[str, object]) -> httpx.Response:
    secret = {"authorization": "Bearer very-secret", "x-api-key": "very-secret"}
    return httpx.post(f"{model.url}{path}", json=body, headers=secret, timeout=10)


def sse(response: httpx.Response) -> list[dict[str, object]]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


ANTHROPIC_TOOLS = [{"name": "Bash"}, {"name": "mcp__agentorchestr__get_brief"}]
RESPONSES_TOOLS = [
    {"type": "function", "name": "exec_command"},
    {"type": "namespace", "name": "mcp__agentorchestr", "tools": [{"type": "function", "name": "get_brief"}]},
]
CHAT_TOOLS = [
    {"type": "function", "function": {"name": "bash"}},
    {"type": "function", "function": {"name": "agentorchestr_get_brief"}},
]


def test_messages_stream_calls_the_tools_that_are_offered(model: ScriptedModel) -> None:
    asked = {"model": "m", "stream": True, "tools": ANTHROPIC_TOOLS}
    body = asked | {"messages": [{"role": "user", "content": "begin"}]}
    events = sse(post(model, "/v1/messages?beta=true", body))
    blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["name"] for block in blocks] == ["mcp__agentorchestr__get_brief", "Bash"]
    inputs = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert json.loads(inputs[1]["partial_json"])["command"] == "ls"
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_messages_history_leads_to_the_next_rule(model: ScriptedModel) -> None:
    first = {
        "role": "user",
        "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>begin"}],
    }
    body = {"model": "m", "tools": ANTHROPIC_TOOLS, "messages": [first]}
    made = post(model, "/v1/messages", body).json()["content"]
    results = [
        {"type": "tool_result", "tool_use_id": use["id"], "content": [{"type": "text", "text": "README.md"}]}
        for use in made
    ]
    body["messages"] = [first, {"role": "assistant", "content": made}, {"role": "user", "content": results}]
    answer = post(model, "/v1/messages", body).json()
    assert answer["content"] == [{"type": "text", "text": "Seen."}]
    assert answer["stop_reason"] == "end_turn"


def test_a_message_sent_in_mid_turn_is_heard_as_the_last_word(model: ScriptedModel) -> None:
    steered = (
        "done<system-reminder>The user sent a new message while you were working: hurry</system-reminder>"
    )
    result = {"type": "tool_result", "tool_use_id": "call_0_shell_abcdef", "content": steered}
    messages = [
        {"role": "user", "content": "begin"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0_shell_abcdef", "name": "Bash"}]},
        {"role": "user", "content": [result]},
    ]
    post(model, "/v1/messages", {"model": "m", "tools": ANTHROPIC_TOOLS, "messages": messages})
    conversation = model.records[-1].conversation
    assert conversation is not None
    assert "hurry" in conversation.messages[-1]
    assert conversation.last is conversation.events[-1]
    assert conversation.of("shell")[0].text.startswith("done")


def test_responses_stream_keeps_namespaces_apart(model: ScriptedModel) -> None:
    body = {"model": "m", "stream": True, "tools": RESPONSES_TOOLS, "input": "begin"}
    events = sse(post(model, "/v1/responses", body))
    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert (items[0]["namespace"], items[0]["name"]) == ("mcp__agentorchestr", "get_brief")
    assert json.loads(items[1]["arguments"])["cmd"] == "ls"
    assert events[-1]["response"]["usage"]["total_tokens"] == 3330


def test_responses_history_leads_to_the_next_rule(model: ScriptedModel) -> None:
    history: list[dict[str, object]] = [{"type": "message", "role": "user", "content": "begin"}]
    body = {"model": "m", "tools": RESPONSES_TOOLS, "input": history}
    made = post(model, "/v1/responses", body).json()["output"]
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "README.md"} for item in made
    ]
    answer = post(model, "/v1/responses", body | {"input": [*history, *made, *results]}).json()
    assert answer["output"][0]["content"][0]["text"] == "Seen."
    assert model.records[-1].conversation is not None
    assert model.records[-1].conversation.answers == 1


def test_code_mode_gets_a_script(model: ScriptedModel) -> None:
    tools = [{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}]
    history = [{"type": "additional_tools", "tools": tools}, {"role": "user", "content": "begin"}]
    items = post(model, "/v1/responses", {"model": "m", "input": history}).json()["output"]
    assert [item["type"] for item in items] == ["custom_tool_call"] * 2
    assert "await tools.mcp__agentorchestr__get_brief({})" in items[0]["input"]


def test_chat_stream_calls_tools_and_tells_its_usage(model: ScriptedModel) -> None:
    messages = [{"role": "system", "content": "be good"}, {"role": "user", "content": "begin"}]
    response = post(
        model, "/v1/chat/completions", {"stream": True, "tools": CHAT_TOOLS, "messages": messages}
    )
    assert response.text.rstrip().endswith("data: [DONE]")
    chunks = sse(response)
    made = [
        call["function"]["name"]
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    assert made == ["agentorchestr_get_brief", "bash"]
    assert chunks[-1]["usage"]["completion_tokens"] == 30


def test_side_requests_get_a_harmless_answer(model: ScriptedModel) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "begin"}]}
    assert post(model, "/v1/messages", body).json()["content"][0]["text"] == "ok"
    assert model.records[-1].part == "side"
    assert post(model, "/v1/messages/count_tokens", body).json()["input_tokens"] > 0
    assert httpx.get(f"{model.url}/v1/models").json()["data"]


def test_no_key_is_kept(model: ScriptedModel) -> None:
    post(model, "/v1/messages", {"model": "m", "tools": ANTHROPIC_TOOLS, "messages": []})
    assert "very-secret" not in repr(model.records)


@pytest.mark.parametrize("status", [401, 429, 529])
def test_a_faulty_answer_comes_as_an_error_once(status: int) -> None:
    with broken_model(Fault(status=status, retry_after_s=2)) as model:
        body = {"model": "m", "tools": ANTHROPIC_TOOLS, "messages": [{"role": "user", "content": "hi"}]}
        first = post(model, "/v1/messages", body)
        assert (first.status_code, first.headers["retry-after"]) == (status, "2")
        assert first.json()["type"] == "error"
        assert post(model, "/v1/messages", body).json()["content"][0]["text"] == "At last."


def test_a_cut_stream_breaks_off() -> None:
    with broken_model(Fault(cut=True)) as model:
        body = {"stream": True, "tools": RESPONSES_TOOLS, "input": "hi"}
        with pytest.raises(httpx.RemoteProtocolError):
            post(model, "/v1/responses", body)
