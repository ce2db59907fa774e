"""The scenario of the whole goal: a lead, and three workers of whom two have to try twice."""

import json
import re
import sys
from collections.abc import Iterator

from tests.scripted_model.conversation import Answer, Call, Conversation, Message, Result
from tests.scripted_model.scenario import Part, Rule, Scenario, Script, by_rules, call, call_all, say

GOAL = 'Give the calculator `add` and `power`, and name both; it\'s $HOME "quoted" & <done>\n\ttwo lines.'
"""Holds what a shell, a terminal and a model's markup would each like to change."""

FILES = {
    "README.md": "a calculator\n",
    "registry.py": "NAMES = []\n",
    "test_registry.py": (
        "import unittest\n\nimport registry\n\n\nclass Registry(unittest.TestCase):\n"
        "    def test_no_name_twice(self):\n"
        "        self.assertEqual(len(registry.NAMES), len(set(registry.NAMES)))\n"
    ),
}
CHECKS = f"{sys.executable} -m unittest -q"

TASKS = {
    "TASK-ADD": "TASK-ADD: write add.py with add(a, b), test it, and name it in registry.py.",
    "TASK-POWER": "TASK-POWER: write power.py with power(a, b) and test it.",
    "TASK-NAMES": "TASK-NAMES: name power in registry.py.",
}
BRIEF_LINE = r'Read the file "(?P<path>[^"]+)"'


def scenario(*, worker_agent: str, lead_sleeps: bool) -> Scenario:
    """The lead is known by its tools or its brief, a worker by its task, the rest read their brief first.

    A lead that *sleeps* ends its turn and has to be woken; the other calls one wait after another.
    """
    workers = [Part(task.lower(), WORKERS[task], heard=rf"\b{task}:") for task in TASKS]
    lead = Part(
        "lead",
        lead_script(worker_agent, sleeps=lead_sleeps),
        offered="spawn_worker",
        heard=r"You lead session",
    )
    return Scenario(parts=(lead, *workers, Part("newcomer", by_rules(Rule(read_brief, message=BRIEF_LINE)))))


def read_brief(conversation: Conversation) -> Answer:
    """Read the file that the first line names."""
    found = re.search(BRIEF_LINE, conversation.messages[-1])
    assert found is not None
    return call("shell", command=f"cat '{found.group('path')}'")


# --- the lead -----------------------------------------------------------------------------------------------


def lead_script(worker_agent: str, *, sleeps: bool) -> Script:
    """Spawn all, merge what is done, verify, mark. Everything it knows is in the conversation."""

    def script(conversation: Conversation) -> Answer:
        if not conversation.of("shell"):
            return read_brief(conversation)
        if not conversation.made("mcp:spawn_worker"):
            orders = ({"task": task, "agent": worker_agent} for task in TASKS.values())
            return call_all(*(Call("mcp:spawn_worker", order) for order in orders))
        return _next_act(conversation, list(lead_events(conversation))) or _wait(conversation, sleeps=sleeps)

    return script


def _next_act(conversation: Conversation, events: list[dict[str, object]]) -> Answer | None:
    verdicts = [json.dumps(event) for event in events if event.get("kind") == "verify"]
    if verdicts:
        return _after_verdict(conversation, verdicts[-1])
    due = list(_merges_due(conversation, events))
    if due:
        return call_all(*(Call("mcp:merge_worker", {"worker_id": worker_id}) for worker_id in due))
    merged = {event["worker_id"] for event in events if _is_merged(event)}
    if len(merged) == len(TASKS) and not conversation.made("mcp:verify"):
        return call("mcp:verify")
    return None


def lead_events(conversation: Conversation) -> Iterator[dict[str, object]]:
    """All that the lead was told, oldest first: by its waits, and by the replies to its own orders."""
    for result in conversation.results:
        told = result.json()
        found = told.get("events")
        yield from (event for event in found if isinstance(event, dict)) if isinstance(found, list) else ()
        if result.tool == "mcp:merge_worker" and told.get("result", "running") != "running":
            yield {"kind": "merge", **told}
        if result.tool == "mcp:verify" and told.get("outcome", "running") != "running":
            yield {"kind": "verify", **told}


def _merges_due(conversation: Conversation, events: list[dict[str, object]]) -> Iterator[str]:
    asked = [str(made.arguments.get("worker_id")) for made in conversation.made("mcp:merge_worker")]
    done = [str(event.get("worker_id")) for event in events if event.get("kind") == "done"]
    for worker_id in dict.fromkeys(done):
        if done.count(worker_id) > asked.count(worker_id):
            yield worker_id


def _is_merged(event: dict[str, object]) -> bool:
    return event.get("kind") == "merge" and '"merged"' in json.dumps(event)


def _after_verdict(conversation: Conversation, verdict: str) -> Answer:
    if conversation.of("mcp:mark_goal_done"):
        return say("The goal is reached.")
    if '"green"' in verdict:
        return call("mcp:mark_goal_done", summary="add and power are there and named")
    return call("mcp:mark_goal_failed", reason=f"the verdict was {verdict}")


def _wait(conversation: Conversation, *, sleeps: bool) -> Answer:
    last = conversation.last
    waited = last if isinstance(last, Result) and last.tool == "mcp:wait_for_any" else None
    if waited and "nothing runs" in waited.text:
        return say("There is nothing to wait for.")
    if isinstance(last, Message) or (waited and not waited.json().get("events")) or not sleeps:
        return call("mcp:wait_for_any", timeout_s=20)
    return say("I wait to be woken.")


# --- the workers --------------------------------------------------------------------------------------------


def worker_script(first: str, again: str) -> Script:
    """Brief, work by the shell, report; when woken with news: brief, *again*, report."""

    def work(conversation: Conversation) -> Answer:
        if not conversation.made("mcp:report_done"):
            return call("shell", command=first)
        found = re.search(r"agentorchestr/[\w.-]+/integration", conversation.heard)
        assert found is not None
        return call("shell", command=again.replace("INTEGRATION", found.group()))

    def after_shell(conversation: Conversation) -> Answer:
        if not conversation.made("mcp:get_brief"):
            return call("mcp:get_brief")
        return call("mcp:report_done", summary="as the task says")

    return by_rules(
        Rule(read_brief, message=BRIEF_LINE),
        Rule(call("mcp:get_brief"), message="."),
        Rule(after_shell, after="shell"),
        Rule(work, after="mcp:get_brief"),
        Rule(say("Reported."), after="mcp:report_done"),
        otherwise=say("I do not know how to go on."),
    )


def _python_file(name: str, text: str) -> str:
    return f"cat > {name} <<'EOF'\n{text}EOF\n"


def _test_of(name: str, expected: str) -> str:
    text = (
        f"import unittest\n\nfrom {name} import {name}\n\n\nclass Test(unittest.TestCase):\n"
        f"    def test_{name}(self):\n        self.assertEqual({name}(2, 3), {expected})\n"
    )
    return _python_file(f"test_{name}.py", text)


BOTH_NAMED = "NAMES = ['add', 'power']\n"
RESOLVE = f"git merge -q INTEGRATION; {_python_file('registry.py', BOTH_NAMED)}git add -A && git commit -q -m resolved"
WORKERS = {
    "TASK-ADD": worker_script(
        _python_file("add.py", "def add(a, b):\n    return a + b\n")
        + _test_of("add", "5")
        + _python_file("registry.py", "NAMES = ['add']\n")
        + "git add -A && git commit -q -m 'add'",
        RESOLVE,
    ),
    "TASK-POWER": worker_script(
        _python_file("power.py", "def power(a, b):\n    return a * b\n") + _test_of("power", "8"),
        _python_file("power.py", "def power(a, b):\n    return a**b\n"),
    ),
    "TASK-NAMES": worker_script(
        _python_file("registry.py", "NAMES = ['power']\n") + "git commit -q -am 'name power'",
        RESOLVE,
    ),
}
"""Whoever of the first and the third is merged last meets a conflict; the second is red at first."""
