"""Which repositories the person allowed to run which commands.

The record is one private JSON file. A repository is trusted for exactly the commands that were shown;
a new or changed one is asked about again, a dropped one is not.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from agentorchestr.errors import OrchestrError
from agentorchestr.paths import ensure_private, write_private


class TrustedRepository(BaseModel):
    """One allowance: since when, for which command lines."""

    model_config = ConfigDict(frozen=True)

    at: float
    commands: tuple[str, ...]


class TrustRecord(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    repositories: dict[str, TrustedRepository] = {}


class TrustStore:
    """The record at *path*. Reading needs no lock, since the file is replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_trusted(self, repo_root: Path, commands: Sequence[str]) -> bool:
        """Whether the repository was trusted, and each of *commands* was among what was shown then."""
        known = self._read().repositories.get(_key(repo_root))
        return known is not None and set(commands) <= set(known.commands)

    def trust(self, repo_root: Path, commands: Sequence[str]) -> None:
        """Record that the person allowed *commands*; earlier ones that are gone are forgotten."""
        with self._locked():
            record = self._read()
            entry = TrustedRepository(at=time.time(), commands=tuple(dict.fromkeys(commands)))
            grown = record.model_copy(
                update={"repositories": {**record.repositories, _key(repo_root): entry}},
            )
            write_private(self._path, json.dumps(grown.model_dump(), indent=1) + "\n")

    def _read(self) -> TrustRecord:
        try:
            return TrustRecord.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return TrustRecord()
        except ValidationError as exc:
            raise OrchestrError(
                f"the record of trusted repositories is damaged: {self._path}",
                hint=f"remove it; you will be asked again: rm {self._path}",
            ) from exc

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = ensure_private(self._path.parent)
        lock = os.open(folder / f".{self._path.name}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _key(repo_root: Path) -> str:
    return str(repo_root.resolve())
