"""Keys, screen, scenario, options and the sample: the parts that need no process."""

from pathlib import Path

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.practice.brief import goal_in, named_file
from agentorchestr.practice.keys import Key, KeyReader, Press
from agentorchestr.practice.options import parse, shipped_scenario
from agentorchestr.practice.sample import DEMO_CHECKS, DEMO_GOAL, DIRTY_FILE, make_sample
from agentorchestr.practice.scenario import ScenarioInvalid, read_scenario
from agentorchestr.practice.view import LogLine, Mark, View, cells, draw
from tests.conftest import git


def typed(*chunks: bytes) -> list[Press]:
    reader = KeyReader()
    return [press for chunk in chunks for press in reader.feed(chunk)]


def test_keys_are_the_same_however_the_bytes_are_cut() -> None:
    raw = "hä✓\r\x03\x7f\x15\x1b[A\x1b[200~a\r\nb\x1b[201~x".encode()
    whole = typed(raw)
    assert [press.key for press in whole][-6:] == [
        Key.ENTER,
        Key.INTERRUPT,
        Key.BACKSPACE,
        Key.CLEAR,
        Key.TEXT,
        Key.TEXT,
    ]
    assert [press.text for press in whole][-2:] == ["a\nb", "x"]
    cut = typed(*(bytes([byte]) for byte in raw))
    assert "".join(press.text for press in cut) == "".join(press.text for press in whole) == "hä✓a\nbx"


def test_a_lone_escape_is_a_key_only_when_nothing_follows() -> None:
    reader = KeyReader()
    assert reader.feed(b"\x1b") == []
    assert reader.pending
    assert reader.settle() == [Press(Key.ESCAPE)]
    assert typed(b"\x1b", b"[B") == []


def shown(text: str) -> str:
    """*text* without our own colours."""
    for colour in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[7m", "\x1b[31m"):
        text = text.replace(colour, "")
    return text


@pytest.mark.parametrize("width", [1, 2, 5, 20, 80])
@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 24])
def test_no_row_is_wider_and_no_frame_higher_than_the_pane(width: int, height: int) -> None:
    log = [LogLine(mark, "漢字 \x1b[2J\x07 e\u0301 \ud800 long " * 30) for mark in Mark]
    frame = draw(View("header 漢", log, "status " * 20, "typed 漢\ntext " * 9), width=width, height=height)
    assert len(frame.rows) == height
    assert all(sum(map(cells, shown(row))) <= max(width, 2) for row in frame.rows)
    assert "\x1b" not in "".join(map(shown, frame.rows))
    assert 1 <= frame.cursor_column <= width


def test_the_newest_lines_are_seen_and_the_composer_keeps_its_end() -> None:
    log = [LogLine(Mark.SAYS, f"line {number}") for number in range(50)]
    frame = draw(View("w1", log, "ready", "x" * 50 + "end"), width=20, height=6)
    assert [shown(row) for row in frame.rows[1:4]] == ["● line 47", "● line 48", "● line 49"]
    assert frame.rows[-1].startswith("> x")
    assert frame.rows[-1].endswith("end")


def test_log_lines_break_between_words() -> None:
    frame = draw(View("w1", [LogLine(Mark.SAYS, "several words in a row")], "ready", ""), width=16, height=6)
    assert [shown(row) for row in frame.rows[1:3]] == ["● several words", "  in a row"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = [", "not UTF-8 TOML"),
        ("[[wroker]]", "the file: the key wroker is unknown"),
        ("worker = 3", "the file: worker must be of type list"),
        ('[[worker]]\nmatch = "("\nturns = []', "is not a regular expression"),
        ("[[worker]]\nturns = []", "worker 1: match is missing"),
        ('[[worker]]\nmatch = ""\nturns = [[{ do = "write", file = "x" }]]', "worker 1, turn 1, step 1 (write): text is missing"),
        ('[[worker]]\nmatch = ""\nturns = [[{ do = "write", file = "../x", text = "" }]]', "inside the worktree"),
        ('[[worker]]\nmatch = ""\nturns = [[{ do = "sleep", seconds = 1e9 }]]', "seconds must be from 0"),
        ('[[worker]]\nmatch = ""\nturns = [[{ do = "run_tasks" }]]', "unknown here"),
        ('[[worker]]\nmatch = ""\nturns = [[{ do = "die", kill = 1 }]]', "kill must be of type bool"),
        ('[[worker]]\nmatch = ""\nturns = [["die"]]', "a step is a table"),
        ('[[lead]]\nmatch = ""\nstyle = "lazy"', "style must be wait or woken"),
    ],
)  # fmt: skip
def test_a_fault_in_a_scenario_is_named_with_its_place(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "s.toml"
    file.write_text(text)
    with pytest.raises(ScenarioInvalid) as raised:
        read_scenario(file)
    assert fault in str(raised.value)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_scenario_that_is_not_text_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes(b"\xff\xfe")
    for name in ("s.toml", "none.toml", "."):
        with pytest.raises(ScenarioInvalid, match="scenario"):
            read_scenario(tmp_path / name)


def test_the_shipped_scenario_covers_the_goal_of_the_demo() -> None:
    scenario = read_scenario(shipped_scenario())
    lead = scenario.for_lead(f"## The goal\n\n{DEMO_GOAL}\n")
    assert lead is not None
    plans = [scenario.for_worker(task["task"]) for task in lead.tasks]
    assert None not in plans
    assert len({id(plan) for plan in plans}) == len(lead.tasks) == 3


def test_the_sample_is_a_repository_with_one_file_not_committed(tmp_path: Path) -> None:
    import subprocess

    folder = make_sample(tmp_path / "a sample")
    assert git(folder, "status", "--short") == f"M {DIRTY_FILE}"
    assert git(folder, "branch", "--show-current") == "main"
    assert not list(folder.rglob("*.txt"))
    done = subprocess.run(DEMO_CHECKS.split(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ran 3 tests" in done.stderr
    with pytest.raises(UsageError, match="not empty"):
        make_sample(folder)


def test_a_goal_is_found_fenced_under_its_heading_or_is_all_there_is() -> None:
    assert goal_in("# Goal\n\nfix it\nnow\n\n## Rest\n") == "fix it\nnow"
    assert goal_in("x\n\n## Your task\n\n````text\n# a\n```\nb\n````\n\n## Role\n") == "# a\n```\nb"
    assert goal_in(" just words ") == "just words"


def test_a_brief_is_found_under_any_path(tmp_path: Path) -> None:
    file = tmp_path / 'a "b" \\ ü.md'
    file.write_text("x")
    escaped = str(file).replace("\\", "\\\\").replace('"', '\\"')
    assert named_file(f'Read the file "{escaped}" and follow it.') == file
    assert named_file('Read the file "/no/such/file.md".') is None


@pytest.mark.parametrize(
    ("argv", "env", "fault"),
    [
        (["--resume", "none"], {}, "no practice session none"),
        (["--session", "../x"], {}, "no session id"),
        ([], {"AGENTORCHESTR_PRACTICE_PACE": "fast"}, "must be a number"),
        (["--mcp-config", "/no/such"], {}, "cannot read /no/such"),
    ],
)
def test_wrong_options_are_usage_errors(
    tmp_path: Path, argv: list[str], env: dict[str, str], fault: str
) -> None:
    with pytest.raises(UsageError, match=fault):
        parse(argv, {"HOME": str(tmp_path), **env})


@pytest.mark.parametrize(
    ("text", "fault"),
    [("[", "is not JSON"), ("[]", "JSON object"), ('{"mcpServers": {}}', "names no MCP server")],
)
def test_a_wrong_mcp_config_is_named(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=fault):
        parse(["--mcp-config", str(file)], {"HOME": str(tmp_path)})
