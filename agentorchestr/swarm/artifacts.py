"""Bodies too large for a letter: kept on a shelf under their hash, and named in the letter instead."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from agentorchestr.errors import UsageError
from agentorchestr.model.mail import INLINE_BYTES, Address
from agentorchestr.paths import ensure_private, write_private

ARTIFACT_BYTES = 16 * 1024 * 1024
KEPT_S = 30 * 86400.0
"""How long an artifact is kept after it was last sent or fetched; as long as the letters that name it."""
STALE_S = 7 * 86400.0
"""How long a fetch that was broken off can go on where it stopped."""
NAME_CHARS = 200
TYPE_CHARS = 100
EXCERPT_CHARS = 20_000
TEXT = "text/plain"
ARTIFACT_TYPE = "application/vnd.agentorchestr.artifact+json"
"""The content type of a letter whose body is kept apart; the body's own stands in what names it."""
_HEAD = '{"agentorchestr_artifact":'
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029/]*")
_REF_CHARS = 2000


@dataclass(frozen=True)
class ArtifactRef:
    """What a letter says of a body that is kept apart. Its sender, or the task's, has it."""

    sha256: str
    size: int
    name: str = ""
    """What to call a file of it; no path."""
    content_type: str = TEXT

    def __post_init__(self) -> None:
        fits = 0 < self.size <= ARTIFACT_BYTES and _HASH.fullmatch(self.sha256)
        if not (fits and len(self.name) <= NAME_CHARS and _NAME.fullmatch(self.name)):
            raise ValueError("no reference to an artifact")
        if len(self.content_type) > TYPE_CHARS or not _NAME.fullmatch(self.content_type.replace("/", "")):
            raise ValueError("no content type")

    def write(self) -> str:
        """The text that stands in a letter in place of the body."""
        fields = {"agentorchestr_artifact": 1, **asdict(self)}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def ref_of(body: str) -> ArtifactRef | None:
    """The artifact that *body* stands for; None for any other text."""
    if not body.startswith(_HEAD) or len(body) > _REF_CHARS:
        return None
    try:
        fields = json.loads(body)
        size = fields["size"]
        if isinstance(size, bool) or not isinstance(size, int):
            return None
        words = (fields["name"], fields["content_type"])
        if not all(isinstance(word, str) for word in words):
            return None
        return ArtifactRef(str(fields["sha256"]), size, *words)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@dataclass(frozen=True)
class Want:
    """An artifact that somebody here waits for, kept on disk until it came or is of no use any more."""

    me: Address
    owner: Address
    ref: ArtifactRef
    until: float


class Shelf:
    """The artifacts of one user on this machine, one file each; its time stamp says until when it is kept.

    Blocking. Safe to use from several processes: what is written is decided by the hash.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(
        self, content: bytes, *, name: str = "", content_type: str = TEXT, until: float = 0
    ) -> ArtifactRef:
        """Keep *content* until *until*, by default for ``KEPT_S``. Raises ``UsageError`` for its size."""
        if not 0 < len(content) <= ARTIFACT_BYTES:
            raise UsageError(
                f"{len(content):,} bytes; an artifact holds at most {ARTIFACT_BYTES:,} (16 MiB)",
                hint="put it where both can read it, and send its place",
            )
        shown = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029/]+", "_", name)[:NAME_CHARS]
        ref = ArtifactRef(hashlib.sha256(content).hexdigest(), len(content), shown, content_type)
        if self.find(ref) is None:
            ensure_private(self.folder)
            write_private(self._file(ref), content)
        self.keep(ref, until=until)
        return ref

    def find(self, ref: ArtifactRef) -> Path | None:
        """The file of *ref* when it is here as a whole."""
        file = self._file(ref)
        with suppress(OSError):
            return file if file.stat().st_size == ref.size else None
        return None

    def keep(self, ref: ArtifactRef, *, until: float = 0) -> None:
        """Keep it at least until *until*, by default for ``KEPT_S`` from now."""
        file, wanted = self._file(ref), until or time.time() + KEPT_S
        with suppress(OSError):
            os.utime(file, (time.time(), max(wanted, file.stat().st_mtime)))

    def piece(self, ref: ArtifactRef, offset: int, size: int) -> bytes | None:
        """A piece of it; None when it is not here."""
        try:
            with self._file(ref).open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError:
            return None

    def begun(self, ref: ArtifactRef, owner: Address) -> int:
        """How many bytes of *ref* came so far from *owner*."""
        with suppress(OSError):
            return min(self._part(ref, owner).stat().st_size, ref.size)
        return 0

    def add(self, ref: ArtifactRef, owner: Address, offset: int, piece: bytes) -> None:
        """Keep a piece that came from *owner*; *offset* is never beyond what came before."""
        ensure_private(self.folder)
        fd = os.open(self._part(ref, owner), os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        try:
            os.pwrite(fd, piece, offset)
        finally:
            os.close(fd)

    def finish(self, ref: ArtifactRef, owner: Address) -> bool:
        """Make the artifact of the pieces *owner* gave; False when they are not what *ref* says."""
        part = self._part(ref, owner)
        try:
            content = part.read_bytes()
        except OSError:
            return self.find(ref) is not None
        if len(content) != ref.size or hashlib.sha256(content).hexdigest() != ref.sha256:
            part.unlink(missing_ok=True)
            return False
        with suppress(FileNotFoundError):
            part.replace(self._file(ref))
        self.keep(ref)
        return self.find(ref) is not None

    def note(self, want: Want) -> None:
        """Remember that *want* is wanted."""
        ensure_private(self.folder)
        fields = {"me": str(want.me), "owner": str(want.owner), "until": want.until, "ref": want.ref.write()}
        write_private(self._want(want), json.dumps(fields))

    def forget(self, want: Want) -> None:
        """Forget that *want* was wanted."""
        self._want(want).unlink(missing_ok=True)

    def wanted(self, me: Address) -> Iterator[Want]:
        """What *me* still waits for."""
        for file in self.folder.glob("*.want"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                fields = json.loads(file.read_text())
                ref = ref_of(fields["ref"])
                if fields["me"] == str(me) and ref is not None:
                    yield Want(me, Address.parse(fields["owner"]), ref, float(fields["until"]))

    def clean(self) -> None:
        """Remove what is kept no longer, and what was broken off long ago."""
        now = time.time()
        for file in list(self.folder.glob("*")):
            with suppress(OSError):
                if file.stat().st_mtime < (now if _HASH.fullmatch(file.name) else now - STALE_S):
                    file.unlink()

    def _file(self, ref: ArtifactRef) -> Path:
        return self.folder / ref.sha256

    def _part(self, ref: ArtifactRef, owner: Address) -> Path:
        # One owner's wrong bytes must not spoil what another one gives.
        return self.folder / f"{ref.sha256}.{_short(owner)}.part"

    def _want(self, want: Want) -> Path:
        return self.folder / f"{want.ref.sha256}.{_short(want.me)}.{_short(want.owner)}.want"


def _short(address: Address) -> str:
    return hashlib.sha256(str(address).encode()).hexdigest()[:16]


def packed(
    shelf: Shelf, body: str, *, content_type: str = TEXT, over: int = INLINE_BYTES, until: float = 0
) -> str:
    """*body* as it stands in a letter: itself, or what names it when it has more than *over* bytes.

    Raises ``UsageError`` when it is too large for both, or no UTF-8.
    """
    try:
        content = body.encode()
    except UnicodeEncodeError as exc:
        raise UsageError("the text is not UTF-8", hint="send text; put other data into a file") from exc
    if len(content) <= over:
        return body
    return shelf.put(content, content_type=content_type, until=until).write()


def text_here(shelf: Shelf, body: str) -> str:
    """*body*, or the text that it stands for when that is here."""
    ref = ref_of(body)
    path = None if ref is None else shelf.find(ref)
    return body if path is None else path.read_bytes().decode(errors="replace")


def excerpt(path: Path, ref: ArtifactRef, *, offset: int = 0) -> dict[str, object]:
    """An artifact for a model: where it is, and its text from the *offset*-th character on."""
    shown: dict[str, object] = {
        "path": str(path),
        "size": ref.size,
        "sha256": ref.sha256,
        "content_type": ref.content_type,
    }
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return shown
    shown["text (data)"] = text[offset : offset + EXCERPT_CHARS]
    return shown if len(text) <= offset + EXCERPT_CHARS else {**shown, "next_offset": offset + EXCERPT_CHARS}
