"""Bearer tokens: one per principal, derived from the session's secret, valid while its owner is."""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path

from agentorchestr.errors import OrchestrError
from agentorchestr.model.states import CONTROL
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.paths import write_private
from agentorchestr.supervisor.desk import Principal, PrincipalKind

SECRET_FILE = "secret"  # noqa: S105 - the name of a file, not a secret
SECRET_BYTES = 32


class TokenBook:
    """Makes and reads tokens. They stay valid across supervisors, since the secret is a file."""

    def __init__(self, secret: bytes, session_id: str) -> None:
        self._secret = secret
        self._session_id = session_id

    @classmethod
    def create(cls, folder: Path, session_id: str) -> "TokenBook":
        """A new session's tokens; the secret goes into *folder* with mode 0600."""
        secret = os.urandom(SECRET_BYTES)
        write_private(folder / SECRET_FILE, secret)
        return cls(secret, session_id)

    @classmethod
    def load(cls, folder: Path, session_id: str) -> "TokenBook":
        """The tokens of an existing session. Raises ``OrchestrError`` when its secret is gone."""
        try:
            secret = (folder / SECRET_FILE).read_bytes()
        except OSError as exc:
            raise OrchestrError(
                f"the secret of session {session_id} cannot be read: {exc}",
                hint=f"its branches are kept; end it with: agentorchestr stop {session_id}",
            ) from exc
        return cls(secret, session_id)

    @staticmethod
    def forget(folder: Path) -> None:
        """Remove the secret of a session that is over for good."""
        (folder / SECRET_FILE).unlink(missing_ok=True)

    def token(self, principal: str, nonce: str) -> str:
        """The token of *principal*; a new nonce makes every older token of it stale."""
        text = f"{self._session_id}\n{principal}\n{nonce}".encode()
        digest = hmac.new(self._secret, text, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    @property
    def control(self) -> str:
        """The token of the person's own commands."""
        return self.token(CONTROL, "")

    def owner(self, token: str, view: SessionView, wait_limits: dict[str, float]) -> Principal | None:
        """Whose *token* is, by *view*; *wait_limits* is by agent name. None when nobody's, or no longer."""
        given = token.encode(errors="replace")
        found: Principal | None = None
        # Every candidate is compared, so that the time does not tell how near a guess was.
        if hmac.compare_digest(given, self.control.encode()):
            found = Principal(CONTROL, PrincipalKind.CONTROL)
        for worker in _valid(view.workers.values()):
            if hmac.compare_digest(given, self.token(worker.worker_id, worker.nonce).encode()):
                kind = PrincipalKind.LEAD if worker.is_lead else PrincipalKind.WORKER
                found = Principal(worker.worker_id, kind, wait_limits.get(worker.agent, 25.0))
        return found


def _valid(workers: Iterable[WorkerView]) -> Iterable[WorkerView]:
    return (worker for worker in workers if not worker.killed and (worker.alive or not worker.pid))
