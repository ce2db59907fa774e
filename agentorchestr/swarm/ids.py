"""Ids of letters and tasks: unique for ever, and later ones sort behind earlier ones."""

import secrets
import time


def new_id() -> str:
    """A new id. Its order keeps the index of the mail file small and quick; nothing else relies on it."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"
