"""What may be said of a message beside its receiver and body."""

import re
from dataclasses import dataclass, replace
from typing import TypedDict

from agentorchestr.errors import ToolRefused
from agentorchestr.model.mail import Address, Letter, LetterKind
from agentorchestr.supervisor.answers import REQUEST_THREADS
from agentorchestr.swarm.artifacts import ARTIFACT_TYPE, ref_of

TEXT = "text/plain"
ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Words(TypedDict, total=False):
    """``Wording`` as keyword arguments."""

    subject: str
    priority: str
    content_type: str
    reply_to: str
    thread: str
    answers: str
    question: bool
    expires_s: float
    operation: str


@dataclass(frozen=True)
class Wording:
    """How a message is meant."""

    subject: str = ""
    priority: str = "normal"
    content_type: str = TEXT
    reply_to: str = ""
    """Who is to have the answer: an agent of this session, or an address. Empty: the sender."""
    thread: str = ""
    answers: str = ""
    question: bool = False
    """The sender needs an answer to go on."""
    expires_s: float = 0.0
    """0: never."""
    operation: str = ""
    """The sender's own id of this act: a repeat sends nothing."""

    def check(self, *, inside: bool, outside: bool) -> None:
        """Raise ``ToolRefused`` for what cannot be said of a message to somebody here or elsewhere."""
        if self.thread in REQUEST_THREADS:
            raise ToolRefused(f"the thread {self.thread!r} is ours", hint="Choose another name.")
        if outside and self.thread and ID.fullmatch(self.thread) is None:
            raise ToolRefused(f"{self.thread!r} is no thread", hint="Write up to 64 of A-Z a-z 0-9 _ . -")
        if inside and self.expires_s:
            raise ToolRefused("messages within the session do not expire", hint="Leave expires_s out.")

    def letter(
        self, body: str, *, sender: Address, reply_to: Address | None = None, now: float = 0.0
    ) -> Letter:
        """A letter whose receiver, id and time are filled in when it is sent."""
        kind = LetterKind.ANSWER if self.answers else LetterKind.NOTE
        letter = Letter(
            "",
            sender,
            None,
            body,
            subject=self.subject,
            kind=LetterKind.ASK if self.question else kind,
            content_type=self.content_type,
            priority=self.priority,
            reply_to=reply_to,
            thread=self.thread,
            answers=self.answers,
            expires_at=now + self.expires_s if self.expires_s else 0.0,
        )
        return letter if ref_of(body) is None else replace(letter, content_type=ARTIFACT_TYPE)


PLAIN = Wording()
