from pathlib import Path

import pytest

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.spec import AgentSpec, Role, load_spec_file
from agentorchestr.errors import AgentSpecInvalid

NAMES = {
    *("aider", "amp", "claude", "codex", "copilot", "crush", "cursor-agent", "gemini", "goose", "kiro"),
    *("openclaude", "opencode", "practice", "qwen"),
}
SMALL = """
name = "mine"
title = "Mine"
roles = ["worker"]
binaries = ["mine"]
prompt_by = "argv"
[launch]
argv = ["{prompt}"]
"""


def test_every_promised_agent_is_shipped(catalogue: dict[str, AgentSpec]) -> None:
    assert set(catalogue) == NAMES


def test_only_what_a_test_runs_is_called_proven(catalogue: dict[str, AgentSpec]) -> None:
    assert {name for name, spec in catalogue.items() if spec.proven} == {"claude", "codex", "practice"}


def test_an_agent_without_mcp_is_told_the_command(catalogue: dict[str, AgentSpec]) -> None:
    assert catalogue["aider"].tool_name("report_done") == "agentorchestr worker report-done"
    assert catalogue["copilot"].tool_name("report_done") == "agentorchestr-report_done"
    assert Role.LEAD not in catalogue["aider"].roles


def test_waits_are_bounded_by_what_the_client_bears(catalogue: dict[str, AgentSpec]) -> None:
    assert catalogue["claude"].wait_limit_s == 110
    assert catalogue["codex"].wait_limit_s == 25
    assert all(spec.wait_limit_s <= 25 for name, spec in catalogue.items() if name != "claude")


def test_every_shipped_agent_has_a_ready_screen(catalogue: dict[str, AgentSpec]) -> None:
    assert [name for name, spec in catalogue.items() if not spec.screens.ready] == []


def test_a_persons_file_overrides_a_shipped_one_by_name(tmp_path: Path) -> None:
    (tmp_path / "aider.toml").write_text(SMALL.replace('"mine"\ntitle', '"aider"\ntitle'))
    (tmp_path / "mine.toml").write_text(SMALL)
    specs = load_catalogue(tmp_path)
    assert specs["aider"].title == "Mine"
    assert set(specs) == NAMES | {"mine"}


def test_a_missing_user_folder_is_no_fault(tmp_path: Path) -> None:
    assert set(load_catalogue(tmp_path / "none")) == NAMES


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("name = ", "the file", "not TOML"),
        (SMALL.replace('title = "Mine"\n', ""), "title", "required"),
        (SMALL + 'extra = "x"\n', "launch.extra", "not permitted"),
        (SMALL.replace("{prompt}", "{token}"), "launch.argv", "no such placeholder in a command line: token"),
        (SMALL.replace("{prompt}", "{nothing}"), "launch.argv", "nothing"),
        (SMALL.replace('"worker"', '"lead"'), "the file", "a lead needs an mcp table"),
        (SMALL.replace('"worker"', '"boss"'), "roles", "lead"),
        (SMALL.replace('["mine"]', "[]"), "the file", "binaries"),
        (SMALL.replace('name = "mine"', 'name = "other"'), "name", "must be the file's name"),
        (SMALL + "[screens]\nbusy = ['(']\n", "screens.busy.0", "not a regular expression"),
        (SMALL + '[[files]]\npath = "../x"\ntext = ""\n', "files.0.path", "pattern"),
        (SMALL + '[mcp]\ntool_name = "x"\n', "mcp", "needs {tool}"),
    ],
)
def test_a_broken_spec_names_the_file_the_key_and_the_reason(
    tmp_path: Path, text: str, key: str, reason: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(AgentSpecInvalid) as caught:
        load_spec_file(file)
    message = str(caught.value)
    assert str(file) in message
    assert f": {key}" in message
    assert reason in message
    assert caught.value.hint


def test_bytes_that_are_no_text_are_a_broken_spec(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(AgentSpecInvalid, match="not TOML"):
        load_spec_file(file)


def test_a_folder_in_place_of_a_spec_is_a_broken_spec(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").mkdir()
    with pytest.raises(AgentSpecInvalid, match=r"mine\.toml: the file"):
        load_catalogue(tmp_path)
