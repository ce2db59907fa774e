"""Where things lie: the XDG folders, all private, none in the shared temporary directory."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.clock import until
from agentorchestr.errors import OrchestrError, UsageError

APP = "agentorchestr"
# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
SOCKET_PATH_BYTES = 103


@dataclass(frozen=True)
class Paths:
    """The four folders of one user. ``from_env`` is the way to get one."""

    state: Path
    """Sessions, worktrees, trust: survives a reboot."""
    run: Path
    """Sockets and the environment of living sessions: gone after a reboot."""
    config: Path
    cache: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Paths":
        """Read the XDG variables of *env*; a relative value is ignored, as the XDG text demands."""
        home = Path(env.get("HOME") or Path.home())
        state = _xdg(env, "XDG_STATE_HOME", home / ".local" / "state") / APP
        runtime = env.get("XDG_RUNTIME_DIR", "")
        run = Path(runtime) / APP if runtime.startswith("/") and Path(runtime).is_dir() else state / "run"
        return cls(
            state=state,
            run=run,
            config=_xdg(env, "XDG_CONFIG_HOME", home / ".config") / APP,
            cache=_xdg(env, "XDG_CACHE_HOME", home / ".cache") / APP,
        )

    @property
    def sessions(self) -> Path:
        """One folder per session, named by its id."""
        return self.state / "sessions"

    def session(self, session_id: str) -> Path:
        """The folder of one session: journal, secret, briefs, log, the command its agents find."""
        return self.sessions / session_id

    def session_run(self, session_id: str) -> Path:
        """The run folder of one session: environment and launch files with secrets."""
        return self.run / session_id

    @property
    def artifacts(self) -> Path:
        """Bodies of messages that were too large for a letter, by their hash."""
        return self.state / "artifacts"

    def worktrees(self, project_key: str, session_id: str) -> Path:
        """The folder that holds a session's worktrees."""
        return self.state / "worktrees" / project_key / session_id

    @property
    def tmux_socket(self) -> Path:
        """Our own tmux socket, one per user.

        Raises ``UsageError`` when the path is longer than a socket address holds.
        """
        socket = self.run / "tmux.sock"
        if len(os.fsencode(socket)) > SOCKET_PATH_BYTES:
            raise UsageError(
                f"the path of the tmux socket is too long: {socket}",
                hint="set XDG_RUNTIME_DIR to a short private directory of yours",
            )
        return socket


def _xdg(env: Mapping[str, str], name: str, default: Path) -> Path:
    value = env.get(name, "")
    return Path(value) if value.startswith("/") else default


def whole_path(folder: Path, name: str) -> Path:
    """The file that somebody in *folder* calls *name*. Raises ``UsageError`` for a home that nobody has."""
    try:
        return folder / Path(name).expanduser()
    except RuntimeError as exc:
        raise UsageError(f"there is no such home: {name}", hint="write the whole path") from exc


def ensure_private(folder: Path) -> Path:
    """Create *folder* (and parents) with mode 0700 and return it.

    Raises ``OrchestrError`` when it exists and is a link or belongs to somebody else; a looser mode of
    our own folder is tightened.
    """
    # mkdir gives its mode to the last folder only.
    missing = [place for place in folder.parents if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
        raise OrchestrError(
            f"{folder} is a link or belongs to another user",
            hint="remove it, or point the XDG variables at directories of your own",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def write_private(path: Path, content: str | bytes) -> Path:
    """Write *path* whole with mode 0600, by a rename, so that a reader never sees half of it."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.new")
    fd = os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(content.encode() if isinstance(content, str) else content)
    scratch.replace(path)
    return path


class LockHeld(OrchestrError):
    """Another command holds a lock for longer than it was waited for."""


@contextlib.contextmanager
def holding_lock(path: Path, *, within_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file *path* of ours, which ends with the process at the latest.

    Raises ``LockHeld`` when another process still holds it after *within_s* seconds.
    """
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        if not until(lambda: _locked(fd), within_s=within_s, every_s=0.05):
            raise LockHeld(f"another command of yours is at work: it holds {path}", hint="try again later")
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
