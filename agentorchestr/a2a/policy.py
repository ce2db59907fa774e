"""How long a requester waits and how often it tries. The defaults are those of the profile."""

import random
from dataclasses import dataclass

JITTER = 0.2


@dataclass(frozen=True)
class RequestPolicy:
    """Limits of one request."""

    first_reply_s: float = 15.0
    stream_idle_s: float = 30.0
    attempts: int = 3
    """In all, the first one included."""
    backoff_s: tuple[float, ...] = (1.0, 2.0, 4.0)
    expiry_s: int | None = None
    """Message expiry of a request; above the wait for its reply, or it may die on the way."""
    retry_transport_errors: bool = False
    """Try again when the answer is a transport error that allows it, instead of raising it."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or not self.backoff_s:
            raise ValueError("a request is tried at least once, with at least one pause between two tries")
        if self.expiry_s is not None and self.expiry_s <= self.first_reply_s:
            raise ValueError("a request must not expire before its first reply is due")

    def backoff(self, retry: int, dice: random.Random) -> float:
        """The pause before the *retry*-th retry (0: the first), with jitter."""
        base = self.backoff_s[min(retry, len(self.backoff_s) - 1)]
        return base * dice.uniform(1 - JITTER, 1 + JITTER)


PROFILE_POLICY = RequestPolicy()
