"""The TUI in a pseudo-terminal: typed prompts, dialogs, interrupts, signals, small sizes."""

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.clock import until
from tests.practice.harness import WORKER_TOOLS, Endpoint, Setup, Tui

BRIEF = {"worker_id": "w1", "role": "implementer", "task": "Add a poem", "branch": "agentorchestr/s1/w1"}
Serve = Callable[..., Endpoint]
Start = Callable[..., Tui]
TYPED = "Call get_brief."


def one_turn(*steps: str) -> str:
    return f'[[worker]]\nmatch = ""\nturns = [[{", ".join(steps)}]]'


def turn_ended(setup: Setup) -> bool:
    return until(lambda: "Stop" in setup.event_names(), within_s=10)


def test_the_tools_are_asked_for_before_any_prompt_is_typed(setup: Setup, serve: Serve, tui: Start) -> None:
    endpoint = serve(WORKER_TOOLS)
    terminal = tui(endpoint=endpoint)
    assert until(lambda: "tools/list" in endpoint.methods, within_s=5)
    assert terminal.shows("ready")
    assert not endpoint.calls


def test_a_typed_prompt_is_worked_on_and_exit_ends(setup: Setup, serve: Serve, tui: Start) -> None:
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    terminal = tui(endpoint=endpoint)
    assert terminal.shows("ready")
    terminal.send(TYPED + "\r")
    assert until(lambda: bool(endpoint.called("report_done")), within_s=10)
    assert turn_ended(setup)
    assert setup.events()[1]["prompt"] == TYPED
    terminal.send("/exit\r")
    assert terminal.ended()
    assert terminal.code == 0
    assert setup.event_names()[-1] == "SessionEnd"
    assert terminal.output.rstrip().endswith(b"report_done(summary=wrote notes/add-a-poem-w1.md)")


def test_a_prompt_may_be_given_on_the_command_line(setup: Setup, serve: Serve, tui: Start) -> None:
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    tui("--prompt", TYPED, endpoint=endpoint)
    assert until(lambda: bool(endpoint.called("report_done")), within_s=10)


def test_a_bracketed_paste_of_several_lines_is_one_prompt(setup: Setup, tui: Start) -> None:
    setup.scenario(one_turn('{ do = "say", text = "heard" }'))
    terminal = tui()
    assert terminal.shows("ready")
    terminal.send("\x1b[200~one\rtwo $(x)\x1b[201~")
    assert terminal.shows("one⏎two $(x)")
    terminal.send("\r")
    assert turn_ended(setup)
    assert [e["prompt"] for e in setup.events() if e["hook_event_name"] == "UserPromptSubmit"] == [
        "one\ntwo $(x)"
    ]


def test_lines_typed_while_it_works_become_turns_of_their_own(setup: Setup, tui: Start) -> None:
    setup.scenario('[[worker]]\nmatch = ""\nturns = [[{ do = "ask" }], [{ do = "say", text = "second" }]]')
    terminal = tui()
    terminal.send("first\r")
    assert terminal.shows("waiting for permission")
    terminal.send("y\r")
    terminal.send("later\r")
    assert terminal.shows("● second")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("please stop\r", "It was allowed"), ("no\r", "not allowed"), ("\x1b", "not allowed")],
)
def test_a_dialog_is_answered_by_whatever_is_typed(setup: Setup, tui: Start, typed: str, answer: str) -> None:
    setup.scenario(one_turn('{ do = "ask", question = "May I?" }'))
    terminal = tui()
    terminal.send("go\r")
    assert terminal.shows("waiting for permission: May I?")
    assert until(lambda: "PermissionRequest" in setup.event_names(), within_s=5)
    terminal.send(typed)
    assert terminal.shows(answer)


def test_escape_interrupts_a_hang_and_the_next_line_goes_on_after_it(setup: Setup, tui: Start) -> None:
    setup.scenario(one_turn('{ do = "hang" }', '{ do = "say", text = "after it" }'))
    terminal = tui()
    terminal.send("go\r")
    assert terminal.shows("hanging")
    assert terminal.shows("working 0s")
    terminal.send("\x1b")
    assert terminal.shows("interrupted")
    assert turn_ended(setup)
    terminal.send("go on\r")
    assert terminal.shows("● after it")


def test_escape_interrupts_a_tool_call(setup: Setup, serve: Serve, tui: Start) -> None:
    release = threading.Event()
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": lambda _: {"late": release.wait(20)}})
    terminal = tui(endpoint=endpoint)
    assert terminal.shows("4 tools")
    terminal.send("go\r")
    assert until(lambda: bool(endpoint.calls), within_s=5)
    terminal.send("\x1b")
    interrupted = terminal.shows("interrupted ·", within_s=3)
    release.set()
    assert interrupted


def test_ctrl_c_ends_only_when_pressed_twice(setup: Setup, tui: Start) -> None:
    terminal = tui()
    assert terminal.shows("ready")
    terminal.send("draft\x03")
    assert terminal.shows("press Ctrl-C again")
    assert terminal.code is None
    terminal.send("\x03")
    assert terminal.ended()
    assert terminal.code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_the_last_hook(setup: Setup, tui: Start, number: signal.Signals) -> None:
    setup.scenario(one_turn('{ do = "hang" }'))
    terminal = tui()
    terminal.send("go\r")
    assert terminal.shows("hanging")
    os.kill(terminal.pid, number)
    assert terminal.ended()
    assert terminal.code == 128 + number
    assert setup.event_names()[-1] == "SessionEnd"


def test_sigterm_can_be_ignored(setup: Setup, tui: Start) -> None:
    setup.scenario(one_turn('{ do = "ignore_sigterm" }', '{ do = "say", text = "armed" }', '{ do = "hang" }'))
    terminal = tui()
    terminal.send("go\r")
    assert terminal.shows("armed")
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.send("\x1b")
    assert terminal.shows("interrupted ·")
    assert terminal.code is None


def test_a_frozen_agent_draws_no_more_and_ends_by_sigterm(setup: Setup, tui: Start) -> None:
    setup.scenario(one_turn('{ do = "hang", frozen = true }'))
    terminal = tui()
    terminal.send("go\r")
    assert terminal.shows("hanging")
    assert until(lambda: "UserPromptSubmit" in setup.event_names(), within_s=5)
    seen = -1

    def quiet() -> bool:
        nonlocal seen
        before, seen = seen, len(terminal.output)
        return before == seen

    assert until(quiet, within_s=5, every_s=0.4)
    terminal.send("text\r")
    assert "text" not in terminal.output.decode(errors="replace")[seen:]
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended()


def test_a_flood_and_nonsense_do_not_upset_the_terminal(setup: Setup, tui: Start) -> None:
    setup.scenario(
        one_turn(
            '{ do = "flood", lines = 3000 }', '{ do = "nonsense" }', '{ do = "say", text = "still here" }'
        )
    )
    terminal = tui()
    terminal.send("go\r")
    assert terminal.shows("still here", within_s=20)
    assert b"\x07" not in terminal.output


@pytest.mark.parametrize(("columns", "lines"), [(20, 5), (7, 2), (1, 1), (300, 90)])
def test_it_lives_in_panes_of_any_size(setup: Setup, tui: Start, columns: int, lines: int) -> None:
    terminal = tui(columns=columns, lines=lines)
    terminal.send("work\r")
    assert turn_ended(setup)
    terminal.resize(columns + 3, lines + 2)
    os.kill(terminal.pid, signal.SIGWINCH)
    terminal.send("/exit\r")
    assert terminal.ended()
    assert terminal.code == 0


def test_a_resize_redraws_at_the_new_size(setup: Setup, tui: Start) -> None:
    terminal = tui(columns=100, lines=30)
    assert terminal.shows("\x1b[30;3H")
    terminal.resize(60, 12)
    assert terminal.shows("\x1b[12;3H")


def test_the_terminal_is_as_before_afterwards(setup: Setup, tui: Start) -> None:
    import termios

    terminal = tui()
    assert terminal.shows("ready")
    assert not termios.tcgetattr(terminal.fd)[3] & termios.ICANON
    terminal.send("/exit\r")
    assert terminal.shows("\x1b[?1049l")
    assert until(lambda: bool(termios.tcgetattr(terminal.fd)[3] & termios.ICANON), within_s=5)


def test_a_garbage_scenario_is_one_clear_line(setup: Setup, tmp_path: Path) -> None:
    setup.scenario('[[worker]]\nmatch = "x"\nturns = [[{ do = "wrote", file = "x" }]]')
    done = setup.one_shot("anything")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "worker 1, turn 1, step 1: do = 'wrote' is unknown" in done.stderr


REACTS = """
[[worker]]
match = ""
turns = [[{ do = "say", text = "only once" }]]

[[worker.reactions]]
on = "please dance"
steps = [{ do = "keep_heard", file = "heard.jsonl" }, { do = "say", text = "dancing" }]

[[worker.reactions]]
steps = [{ do = "keep_heard", file = "heard.jsonl" }, { do = "say", text = "listening" }]
"""


def test_reactions_come_after_the_turns_as_often_as_prompts_do(
    setup: Setup, serve: Serve, tui: Start
) -> None:
    waiting: list[dict[str, str]] = []

    def brief(_: object) -> dict[str, object]:
        return {**BRIEF, "messages": list(waiting)}

    setup.scenario(REACTS)
    terminal = tui(endpoint=serve(WORKER_TOOLS, answers={"get_brief": brief}))
    for heard, says in ((), "only once"), (("hello",), "listening"), (("hello", "please dance"), "dancing"):
        waiting[:] = [{"message_id": body[:6], "sender": "w2", "body": f"{body}\nmore"} for body in heard]
        ended = setup.event_names().count("Stop")
        terminal.send(TYPED + "\r")
        assert until(lambda: setup.event_names().count("Stop") > ended, within_s=20)  # noqa: B023 - used in this round
        assert terminal.shows(f"● {says}")
    kept = [json.loads(line) for line in (setup.cwd / "heard.jsonl").read_text().splitlines()]
    assert [(one["message_id"], one["body"]) for one in kept] == [
        ("hello", "hello"),
        ("please", "please dance"),
    ]
