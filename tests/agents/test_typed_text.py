import pytest

from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.typed_text import sanitise

ALL = [
    *("aider", "amp", "claude", "codex", "copilot", "crush", "cursor-agent", "gemini", "goose", "kiro"),
    *("openclaude", "opencode", "practice", "qwen"),
]


@pytest.mark.parametrize("agent", ALL)
@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("plain words", "plain words"),
        ("  two\n\nlines\tand a tab  ", "two lines and a tab"),
        ("/clear", "Message: /clear"),
        ("!rm -rf x", "Message: !rm -rf x"),
        ("#memory", "Message: #memory"),
        ("@file first", "Message: @file first"),
        ("ask @ann", "ask @ann."),
        ("@", "Message: @."),
        ("a path\\", "a path\\."),
        ("mail a@b", "mail a@b"),
        ("esc\x1b[2Jape\x07", "esc[2Jape"),
        ("a\u202eb", "ab"),
        ('read "/home/two  spaces/\u200dx"', 'read "/home/two  spaces/\u200dx"'),
        ("\r\n\t ", ""),
        ("grüße 你好 🎉", "grüße 你好 🎉"),
    ],
)
def test_text_is_one_harmless_line(
    catalogue: dict[str, AgentSpec], agent: str, text: str, typed: str
) -> None:
    assert sanitise(catalogue[agent], text) == typed


def test_what_is_typed_needs_no_second_cleaning(catalogue: dict[str, AgentSpec]) -> None:
    once = sanitise(catalogue["codex"], "$skill \\")
    assert once == "Message: $skill \\."
    assert sanitise(catalogue["codex"], once) == once
