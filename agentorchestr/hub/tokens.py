"""Who may connect as which a2a-hub client: one token per name, kept in a file only its user can read."""

import base64
import contextlib
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from agentorchestr.bus.names import ID_HINT
from agentorchestr.errors import UsageError
from agentorchestr.hub.frames import RESERVED
from agentorchestr.model.mail import ID
from agentorchestr.paths import Paths, ensure_private, write_private

SECRET_BYTES = 32
TOKEN_CHARS = 512


class HubTokens:
    """The tokens of this user's hubs. All are derived from one secret; removing its file ends them all."""

    def __init__(self, paths: Paths) -> None:
        self._folder = paths.state / "hub"

    def file_of(self, name: str) -> Path:
        """The file with the token of *name*, made if missing. Raises ``UsageError``."""
        if ID.fullmatch(name) is None or name in RESERVED or name in {os.curdir, os.pardir}:
            raise UsageError(f"not a name for a client: {name!r}", hint=ID_HINT)
        return write_private(ensure_private(self._folder / "tokens") / name, self._token(name))

    def name_in(self, token: str) -> str | None:
        """Whose token it is; None when it is none of ours."""
        if len(token) > TOKEN_CHARS or not token.isascii():
            return None
        name = token.rpartition(".")[0]
        is_ours = bool(name) and hmac.compare_digest(self._token(name), token)
        return name if is_ours else None

    def _token(self, name: str) -> str:
        digest = hmac.digest(self._secret(), name.encode(), hashlib.sha256)
        return f"{name}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    def _secret(self) -> bytes:
        file = ensure_private(self._folder) / "secret"
        with contextlib.suppress(FileNotFoundError):
            return file.read_bytes()
        # Two that begin at once must end with the same: a link never replaces what is there.
        made = write_private(file.with_name(f"{file.name}.{os.getpid()}"), secrets.token_bytes(SECRET_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(made, file)
        made.unlink()
        return file.read_bytes()


def may_be(name: str, client_id: str) -> bool:
    """Whether the token of *name* is good for *client_id*: itself, or with what a2a-hub's SDK adds.

    Source: a2a-hub 0.1.0, agent.py and mcp_bridge.py: a name, a hyphen and eight hex digits.
    """
    return client_id == name or re.fullmatch(rf"{re.escape(name)}-[0-9a-f]{{8}}", client_id) is not None
