"""One practice agent: from a prompt to the end of a turn."""

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from agentorchestr.practice import brief as briefs
from agentorchestr.practice.lead import Lead
from agentorchestr.practice.mcp_client import Interrupted, McpError, ToolFailed
from agentorchestr.practice.options import Options
from agentorchestr.practice.scenario import RUN_TASKS, LeadPlan, Scenario, Step, Turn, WorkerPlan
from agentorchestr.practice.steps import ONCE, STEPS
from agentorchestr.practice.tasks import NOT_EDITING
from agentorchestr.practice.view import Mark
from agentorchestr.practice.work import StepFailed, TurnEnds, TurnFailed, Work

BETWEEN_STEPS_S = 0.25
ANYTHING = ""
SHOWN_CHARS = 2000
"""So much of a message is shown and kept: a body may have a megabyte."""


class Agent:
    """Takes prompts one after another; ``Work`` is its hands, the scenario its head."""

    def __init__(self, options: Options, scenario: Scenario, work: Work) -> None:
        self._options = options
        self._scenario = scenario
        self._work = work
        self._lead: Lead | None = None
        self._lead_plan: LeadPlan | None = None
        self._worker_plan: WorkerPlan | None = None
        self._heard: list[str] = []

    def start(self) -> None:
        """Tell the hooks, and ask the MCP server for our tools: that makes us known as ready."""
        source = "resume" if self._options.resumed else "startup"
        self._work.hooks.fire("SessionStart", source=source)
        if self._work.client is None:
            self._work.note("no MCP server was given")
            return
        try:
            self._work.tools = self._work.client.list_tools()
        except (McpError, Interrupted) as exc:
            self._work.error(str(exc))
            return
        self._work.note(f"MCP server: {len(self._work.tools)} tools")

    def take(self, prompt: str) -> str:
        """Work through one turn; how it ended: ``ended``, ``interrupted`` or ``failed``."""
        work = self._work
        work.last_words, work.errors = "", 0
        work.hooks.fire("UserPromptSubmit", prompt=prompt)
        work.transcript.user(prompt)
        try:
            self._turn(prompt)
        except Interrupted:
            work.note("interrupted")
            work.hooks.fire("Stop", last_assistant_message=work.last_words, interrupted=True)
            return "interrupted"
        except TurnFailed as exc:
            work.error(f"the turn failed: {exc}")
            work.hooks.fire("StopFailure", error=str(exc), last_assistant_message=work.last_words)
            return "failed"
        except (StepFailed, McpError) as exc:
            self._step_failed(str(exc))
        work.hooks.fire("Stop", last_assistant_message=work.last_words)
        return "failed" if work.errors else "ended"

    def end(self, reason: str) -> None:
        """Tell the hooks that the session ends."""
        self._work.hooks.fire("SessionEnd", reason=reason)
        self._work.hooks.flush(within_s=3.0)

    def _turn(self, prompt: str) -> None:
        if not self._work.tools and self._work.client is not None:
            self._work.tools = self._work.client.list_tools()
        if "spawn_worker" in self._work.tools:
            self._lead_turn(prompt)
        else:
            self._worker_turn(prompt)

    def _lead_turn(self, prompt: str) -> None:
        lead, plan = self._lead_of(prompt)
        if lead.finished:
            self._work.say("The goal has ended; there is nothing left to do.")
            return
        self._heard.append(prompt)
        if self._is_through(plan.turns) and plan.reactions:
            self._heard += self._lead_news()
        self._play(plan.turns, plan.reactions, perform=lambda step: self._perform(step, lead))

    def _lead_news(self) -> list[str]:
        """What waits for a lead that only reacts: its events are used up, its messages are told."""
        with contextlib.suppress(McpError):
            self._work.call("wait_for_any", timeout_s=0.1)
        return self._new_messages(self._work.call("read_inbox"))

    def _lead_of(self, prompt: str) -> tuple[Lead, LeadPlan]:
        if self._lead is None or self._lead_plan is None:
            names = self._work.transcript.progress.names
            if "first_prompt" not in names:
                self._work.transcript.remember("first_prompt", prompt)
            text = briefs.read_named(names["first_prompt"])
            goal = briefs.goal_in(text)
            self._work.names.update(goal=goal, worker_id=self._options.name)
            self._lead_plan = self._scenario.for_lead(text) or _plan_for(goal)
            resumed = self._options.resumed or briefs.begun_before(text)
            self._lead = Lead(self._work, self._lead_plan, resumed=resumed)
        return self._lead, self._lead_plan

    def _worker_turn(self, prompt: str) -> None:
        brief = self._brief(prompt)
        self._work.names.update(briefs.names_of(brief, default_name=self._options.name))
        if self._worker_plan is None:
            task = self._work.names["task"]
            self._work.say(f"Task: {task.splitlines()[0] if task else '(none)'}")
            self._worker_plan = self._scenario.for_worker(task) or _note_plan(brief, self._work.names)
        self._heard += [prompt, *self._new_messages(brief)]
        plan = self._worker_plan
        self._play(plan.turns, plan.reactions, perform=self._perform)

    def _brief(self, prompt: str) -> Mapping[str, Any]:
        if "get_brief" in self._work.tools:
            return self._work.call("get_brief")
        return {"task": briefs.goal_in(briefs.read_named(prompt))}

    def _new_messages(self, brief: Mapping[str, Any]) -> list[str]:
        found = brief.get("messages")
        fresh, self._work.heard = [], []
        for message in found if isinstance(found, list) else []:
            key = str(message.get("message_id", ""))
            sender = str(message.get("sender", "somebody"))
            # A message that is handed over again after a crash is known from the transcript.
            if not key or f"heard:{key}" not in self._work.transcript.progress.names:
                body = self._body_of(message)
                self._work.transcript.remember(f"heard:{key}", sender)
                self._work.console.show(Mark.PERSON, f"{sender}: {body[:SHOWN_CHARS]}")
                first_line = body.partition("\n")[0][:SHOWN_CHARS]
                self._work.heard.append({"message_id": key, "sender": sender, "body": first_line})
                fresh.append(body)
        return fresh

    def _body_of(self, message: Mapping[str, Any]) -> str:
        """The text of a message; of one that is kept apart, its first page."""
        if "artifact" in message and "fetch_artifact" in self._work.tools:
            page = self._work.call("fetch_artifact", id=message["message_id"])
            return str(page.get("text (data)", ""))
        return str(message.get("body", ""))

    def _is_through(self, turns: tuple[Turn, ...]) -> bool:
        return self._work.transcript.progress.turn >= len(turns)

    def _react(self, reactions: tuple[Turn, ...], perform: Callable[[Step], None]) -> None:
        """Do the first reaction that fits what was heard; one that is cut short is not taken up again."""
        heard = "\n".join(self._heard)
        self._heard.clear()
        fitting = next((one for one in reactions if one.on is None or one.on.search(heard)), None)
        if fitting is None:
            self._work.say("There is nothing for me to do about that.")
            return
        with contextlib.suppress(TurnEnds):
            for step in fitting.steps:
                perform(step)

    def _play(
        self, turns: tuple[Turn, ...], reactions: tuple[Turn, ...], *, perform: Callable[[Step], None]
    ) -> None:
        """Do the steps of the turn that is due, from where the last one was cut short."""
        progress = self._work.transcript.progress
        if self._is_through(turns) and reactions:
            self._react(reactions, perform)
            return
        if self._is_through(turns):
            self._work.say("There is nothing more for me to do.")
            return
        turn = turns[progress.turn]
        fresh = progress.step == 0 and not progress.begun
        if fresh and turn.on and not turn.on.search("\n".join(self._heard)):
            self._work.say("There is nothing for me to do about that.")
            return
        self._heard.clear()
        try:
            while progress.step < len(turn.steps):
                self._one_step(turn.steps[progress.step], perform)
        except TurnEnds as ends:
            if not ends.drop:
                return
        self._work.transcript.turn_ended()

    def _one_step(self, step: Step, perform: Callable[[Step], None]) -> None:
        transcript = self._work.transcript
        if not (transcript.progress.begun and step.do in ONCE):
            transcript.step("begun", do=step.do)
            try:
                perform(step)
            except TurnEnds as ends:
                if not ends.stay:
                    transcript.step("ended", do=step.do)
                raise
            self._work.think(BETWEEN_STEPS_S)
        transcript.step("ended", do=step.do)

    def _perform(self, step: Step, lead: Lead | None = None) -> None:
        if step.do == "call" and step.args["tool"] == "report_done" and self._work.client is not None:
            self._report_done(self._work.fill(dict(step.args.get("args", {}))))
        elif step.do in STEPS:
            STEPS[step.do](self._work, self._work.fill(dict(step.args)))
        elif lead is not None:
            lead.perform(step)

    def _report_done(self, args: Mapping[str, Any]) -> None:
        """Report; when messages wait, read them first, and report again unless they bring new work."""
        # What is refused is shown already; a real agent would go on too.
        with contextlib.suppress(McpError):
            try:
                self._work.call("report_done", **args)
            except ToolFailed:
                fresh = self._new_messages(self._work.call("get_brief"))
                self._heard += fresh
                if not self._brings_work("\n".join(fresh)):
                    self._work.call("report_done", **args)

    def _brings_work(self, heard: str) -> bool:
        turns = self._worker_plan.turns if self._worker_plan is not None else ()
        later = turns[self._work.transcript.progress.turn + 1 :]
        return bool(heard and later and later[0].on and later[0].on.search(heard))

    def _step_failed(self, reason: str) -> None:
        """Say so to whom it concerns; the scenario's other steps of this turn make no sense any more."""
        self._work.error(reason)
        self._work.transcript.turn_ended()
        try:
            if self._lead is not None and not self._lead.finished:
                self._lead.give_up(reason)
            elif "report_failed" in self._work.tools:
                self._work.call("report_failed", reason=reason)
        except (McpError, Interrupted):
            return


def _plan_for(goal: str) -> LeadPlan:
    """Without a scenario: one worker gets the goal as its task."""
    return LeadPlan(
        match=re.compile(ANYTHING), turns=RUN_TASKS, tasks=({"task": goal},), summary="The goal is merged."
    )


def _note_plan(brief: Mapping[str, Any], names: Mapping[str, str]) -> WorkerPlan:
    """Without a scenario: a note named after the task; nothing is changed by roles that may not."""
    role = str(brief.get("role") or "implementer")
    file = f"notes/{briefs.slug(names['task'])}-{briefs.slug(names['worker_id'])}.md"
    text = f"# Note of {names['worker_id']}\n\nTask: {names['task']}\n"
    edit = (Step("write", {"file": file, "text": text}), Step("commit", {"message": f"note: {file}"}))
    done = Step("call", {"tool": "report_done", "args": {"summary": f"wrote {file}"}})
    seen = Step("call", {"tool": "report_done", "args": {"summary": "looked at it; no findings"}})
    stuck = Step("call", {"tool": "report_blocked", "args": {"reason": "no scenario tells me how to go on"}})
    first = Turn((seen,) if role in NOT_EDITING else (*edit, done))
    again = Turn((stuck,), re.compile("conflict|checks fail|not merged", re.IGNORECASE))
    return WorkerPlan(re.compile(ANYTHING), (first, again))
