import re
from pathlib import Path

import pytest

from agentorchestr.agents.screens import ScreenState, classify, composer_text
from agentorchestr.agents.spec import AgentSpec
from tests.agents.record_screens import DRAFT

SCREENS = Path(__file__).parent.parent / "screens"
RECORDED = sorted(SCREENS.glob("*/*.txt"))
SGR = re.compile(r"\x1b\[[\d;:]*m")
Specs = dict[str, AgentSpec]


def read(file: Path) -> list[str]:
    return file.read_text().split("\n")


def name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def test_there_are_recordings_of_the_proven_agents() -> None:
    assert {file.parent.name for file in RECORDED} >= {"claude", "codex"}


@pytest.mark.parametrize("file", RECORDED, ids=name)
def test_a_recorded_screen_is_named_with_its_answer(catalogue: Specs, file: Path) -> None:
    plain = [SGR.sub("", line) for line in read(file)]
    assert classify(catalogue[file.parent.name], plain) == file.name.split("--")[0]


@pytest.mark.parametrize("file", [file for file in RECORDED if not file.name.startswith("asks")], ids=name)
def test_a_draft_is_told_from_a_placeholder(catalogue: Specs, file: Path) -> None:
    typed = DRAFT if "--draft" in file.name else ""
    assert composer_text(catalogue[file.parent.name], read(file)) == typed


@pytest.mark.parametrize("agent", ["claude", "codex", "practice", "aider"])
def test_an_unknown_screen_is_unknown(catalogue: Specs, agent: str) -> None:
    assert classify(catalogue[agent], ["", "zsh: command not found: claude", ""]) is ScreenState.UNKNOWN
    assert classify(catalogue[agent], []) is ScreenState.UNKNOWN
    assert composer_text(catalogue[agent], ["something else"]) is None


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        ("claude", "\u276f 1. do this 2. then that"),
        ("claude", "● Do you want to proceed? I would."),
        ("codex", "\u203a 1. do this"),
        ("codex", "• The hint says: press enter to continue"),
    ],
)
def test_what_was_said_is_no_dialog(catalogue: Specs, agent: str, line: str) -> None:
    composer = {"claude": "\u276f ", "codex": "\u203a "}[agent]
    assert classify(catalogue[agent], [line, "", composer]) is ScreenState.READY


def test_what_scrolled_up_does_not_count(catalogue: Specs) -> None:
    screen = [" Do you want to proceed?", *[f"line {number}" for number in range(30)], "\u276f "]
    assert classify(catalogue["claude"], screen) is ScreenState.READY


def test_a_running_turn_hides_an_older_failure(catalogue: Specs) -> None:
    screen = ["● API Error: 500", "✽ Thinking… (3s · esc to interrupt)", "\u276f "]
    assert classify(catalogue["claude"], screen) is ScreenState.BUSY


def test_a_draft_of_several_lines_and_a_moved_cursor_are_seen(catalogue: Specs) -> None:
    rule = "\x1b[38;5;244m" + "─" * 40
    draft = [rule, "\x1b[39m\u276f\xa0first \x1b[7ml\x1b[0mine", "  second line", rule, "  ⏵⏵ bypass"]
    assert composer_text(catalogue["claude"], draft) == "first line\nsecond line"
    placeholder = [rule, "\x1b[39m\u276f\xa0\x1b[7mT\x1b[0;2mry something\x1b[0m", rule]
    assert composer_text(catalogue["claude"], placeholder) == ""
    red = [rule, "\x1b[38;2;2;2;2m\u276f\xa0typed in colour 2\x1b[0m", rule]
    assert composer_text(catalogue["claude"], red) == "typed in colour 2"
    carried = ["\x1b[2mdim goes on", "\u276f placeholder", "\x1b[0m" + rule]
    assert composer_text(catalogue["claude"], carried) == ""


def test_practice_shows_what_it_does(catalogue: Specs) -> None:
    spec = catalogue["practice"]
    assert (
        classify(spec, ["> old prompt", "● said", "⠋ working 3s · Esc interrupts", "> "]) is ScreenState.BUSY
    )
    assert classify(spec, ["x", "waiting for permission: run it?", "? "]) is ScreenState.ASKS
    assert classify(spec, ["● said", "ready · Enter sends · Esc interrupts", "> "]) is ScreenState.READY
    assert composer_text(spec, ["> an old prompt", "", "> typed"]) == "typed"
