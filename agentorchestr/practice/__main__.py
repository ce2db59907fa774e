"""Start the practice agent: ``python -P -m agentorchestr.practice``."""

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.practice.agent import Agent
from agentorchestr.practice.console import Console, PlainConsole
from agentorchestr.practice.hooks import Hooks
from agentorchestr.practice.mcp_client import McpClient
from agentorchestr.practice.options import Options, parse
from agentorchestr.practice.scenario import Scenario, read_scenario
from agentorchestr.practice.terminal import READY, Terminal
from agentorchestr.practice.transcript import Transcript
from agentorchestr.practice.work import Work

FAULT = 70
HINTS = {"ended": READY, "interrupted": "interrupted · " + READY, "failed": "the turn failed · " + READY}


def main(argv: Sequence[str]) -> int:
    """Run one practice agent to its end and return its exit code."""
    try:
        options = parse(argv, os.environ)
        scenario = read_scenario(options.scenario)
        if options.one_shot:
            return one_shot(options, scenario)
        if not os.isatty(0) or not os.isatty(1):
            raise UsageError("the practice agent needs a terminal", hint="or one turn without one: -p TEXT")
        return in_terminal(options, scenario)
    except OrchestrError as exc:
        hint = f" ({exc.hint})" if exc.hint else ""
        sys.stderr.write(f"practice agent: {exc}{hint}\n")
        return 1


def one_shot(options: Options, scenario: Scenario) -> int:
    """One turn with plain lines: 0 when it went well, else 1."""
    console = PlainConsole()
    agent = _agent(options, scenario, console)[0]
    agent.start()
    ended = agent.take(options.prompt)
    agent.end("other")
    return 0 if ended == "ended" else 1


def in_terminal(options: Options, scenario: Scenario) -> int:
    """The TUI until it is told to end."""
    terminal = Terminal(f"practice agent · {options.name} · {options.session[:8]}")
    agent, work = _agent(options, scenario, terminal)
    if work.client is not None:
        terminal.on_interrupt = work.client.abort
    threading.excepthook = lambda fault: _report_fault(terminal, fault)
    threading.Thread(target=_turns, args=(agent, terminal, options.prompt), name="turns", daemon=True).start()
    code = terminal.run()
    if terminal.fault:
        sys.stderr.write(f"practice agent: a fault of ours: {terminal.fault}\n")
    terminal.stop.set()
    if work.client is not None:
        work.client.abort()
    agent.end("prompt_input_exit" if code == 0 else "other")
    return code


def _turns(agent: Agent, terminal: Terminal, first_prompt: str) -> None:
    """The other thread: start, then one turn per prompt."""
    agent.start()
    if first_prompt:
        terminal.prompts.put(first_prompt)
    while True:
        prompt = terminal.prompts.get()
        terminal.stop.clear()
        terminal.working(True)
        terminal.working(False, hint=HINTS[agent.take(prompt)])


def _agent(options: Options, scenario: Scenario, console: Console) -> tuple[Agent, Work]:
    cwd = Path.cwd()
    transcript = Transcript(options.transcript, session_id=options.session, cwd=cwd)
    hooks = Hooks(options.hook_argv, session_id=options.session, cwd=cwd, transcript=options.transcript)
    endpoint = options.endpoint
    client = McpClient(endpoint.url, endpoint.headers, stop=console.stop) if endpoint else None
    work = Work(console, hooks, transcript, cwd, client=client, pace=options.pace)
    return Agent(options, scenario, work), work


def _report_fault(terminal: Terminal, fault: "threading.ExceptHookArgs") -> None:
    """A fault of ours in the other thread must not leave a screen that waits for ever."""
    terminal.fault = f"{fault.exc_type.__name__}: {fault.exc_value}"
    terminal.end(FAULT)


if __name__ == "__main__":
    # The turn's thread may wait for an answer that never comes: leave without it.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
