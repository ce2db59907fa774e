"""Who says what: a scenario is a list of parts, a part is a list of rules."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.scripted_model.conversation import Answer, Call, Conversation, Message, Result

Script = Callable[[Conversation], Answer]


def say(text: str) -> Answer:
    """End the turn with *text*."""
    return Answer(text=text)


def call(tool: str, **arguments: object) -> Answer:
    """Call one tool by its logical name."""
    return Answer(calls=(Call(tool, arguments),))


def call_all(*calls: Call) -> Answer:
    """Call several tools in one answer."""
    return Answer(calls=calls)


@dataclass(frozen=True)
class Rule:
    """Answer when everything named here holds; what is not named does not matter.

    ``after`` is the logical tool whose result came last, ``result`` a pattern in that result, ``message``
    a pattern in a message that came last, ``answers`` how many answers of ours are in the history,
    ``when`` any test of the conversation.
    """

    answer: Answer | Script
    after: str = ""
    result: str = ""
    message: str = ""
    answers: int | None = None
    when: Callable[[Conversation], bool] | None = None

    def holds(self, conversation: Conversation) -> bool:
        last = conversation.last
        if self.answers is not None and conversation.answers != self.answers:
            return False
        if self.after and not (isinstance(last, Result) and last.tool == self.after):
            return False
        if self.result and not (isinstance(last, Result) and re.search(self.result, last.text)):
            return False
        if self.message and not (isinstance(last, Message) and re.search(self.message, last.text)):
            return False
        return self.when is None or self.when(conversation)


def by_rules(*rules: Rule, otherwise: Answer = Answer(text="Nothing left to do.")) -> Script:  # noqa: B008 - frozen
    """A script: the first rule that holds answers."""

    def script(conversation: Conversation) -> Answer:
        for rule in rules:
            if rule.holds(conversation):
                return rule.answer if isinstance(rule.answer, Answer) else rule.answer(conversation)
        return otherwise

    return script


def in_order(*answers: Answer) -> Script:
    """A script: one answer after another, counted by the answers in the client's history."""

    def script(conversation: Conversation) -> Answer:
        turn = conversation.answers
        return answers[turn] if turn < len(answers) else say("Nothing left to do.")

    return script


@dataclass(frozen=True)
class Part:
    """One principal: known by a tool it is offered, or by a pattern in what it heard; neither fits anybody.

    Some of Codex's models see no MCP tool until they search for it: give such a part a pattern too.
    """

    name: str
    script: Script
    offered: str = ""
    heard: str = ""

    def is_played_by(self, conversation: Conversation) -> bool:
        if self.offered and conversation.offers_tool(self.offered):
            return True
        if self.heard:
            return bool(re.search(self.heard, conversation.heard))
        return not self.offered


@dataclass(frozen=True)
class Scenario:
    """The parts, asked in order; nobody's conversation is answered with a harmless sentence."""

    parts: Sequence[Part]

    def answer(self, conversation: Conversation) -> tuple[str, Answer]:
        """The name of the part that speaks, and what it says."""
        if not conversation.offers:
            return "side", _side_answer(conversation)
        for part in self.parts:
            if part.is_played_by(conversation):
                return part.name, part.script(conversation)
        return "nobody", say("No part of the scenario fits this conversation.")


def _side_answer(conversation: Conversation) -> Answer:
    # Titles, topics and quota probes: the clients ask them beside the real conversation.
    return say('{"title": "Scripted session", "isNewTopic": false}' if conversation.wants_json else "ok")


ECHO = Scenario(parts=(Part("echo", lambda c: say(f"You said: {c.messages[-1] if c.messages else ''}")),))
"""The scenario of ``python -m tests.scripted_model`` without a name."""
