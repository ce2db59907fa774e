"""One tmux server on our own socket: sessions, their status line, and the hook for a dying pane."""

import logging
import os
import re
import shlex
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentorchestr.errors import MissingDependency, TmuxError
from agentorchestr.process import Completed, ProgramTimeout, run
from agentorchestr.tmux import quoting

logger = logging.getLogger(__name__)

INSTALL_HINT = "install it: sudo apt-get install tmux (Debian, Ubuntu) or brew install tmux (macOS)"
# A free slot of tmux's hook array, so that a pane-died hook in the person's own configuration stays.
HOOK = "pane-died[2217]"
NO_SERVER = ("no server running", "error connecting", "server exited", "lost server")
GONE = ("can't find", *NO_SERVER)

Command = Sequence[str]


class TmuxServer:
    """The tmux server behind *socket*, started by the first session.

    The person's own configuration is loaded, as always; what must hold for us is set again on our
    sessions and windows. *env* is what the server and its panes inherit: ``TMUX`` is taken out of it.
    """

    def __init__(
        self,
        socket: Path,
        *,
        program: str = "tmux",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.socket = socket
        self.program = program
        self.layout_lock = threading.Lock()
        """Held while panes are opened: two splits at once would count the same free places."""
        inherited = os.environ if env is None else env
        self._env = {name: value for name, value in inherited.items() if name not in {"TMUX", "TMUX_PANE"}}

    def version(self) -> tuple[int, int]:
        """Major and minor number, (3, 3) for "3.3a". Raises ``MissingDependency`` without tmux."""
        told = self._spawn([self._binary(), "-V"], timeout_s=5.0).text.strip()
        found = re.fullmatch(r"tmux (\d+)\.(\d+)[a-z]?", told)
        return (int(found[1]), int(found[2])) if found else self._odd_version()

    def _odd_version(self) -> tuple[int, int]:
        # libtmux knows what "master", "next-3.6" and OpenBSD's tmux stand for; it is slow to import.
        from libtmux.common import get_version

        numbers = re.findall(r"\d+", str(get_version(self._binary())))
        return (int(numbers[0]), int(numbers[1]))

    def is_running(self) -> bool:
        """Whether a server answers on the socket."""
        return self.call([("list-sessions",)]).returncode == 0

    def has_session(self, name: str) -> bool:
        """Whether the tmux session *name* exists."""
        return self.call([("has-session", "-t", quoting.session_target(name))]).returncode == 0

    def new_session(
        self,
        name: str,
        *,
        window: str,
        argv: Sequence[str],
        cwd: Path,
        size: tuple[int, int] = (200, 50),
    ) -> str:
        """Open the detached tmux session *name* with *argv* in its first pane; return the pane's id.

        It outlives its clients whatever the person's configuration says. Needs two words in *argv*.
        """
        target = quoting.session_target(name)
        # tmux 3.3a crashes on a new session when the person's configuration sets window-size to manual.
        opening = ("new-session", "-d", "-s", name, "-n", quoting.plain_title(window))
        sized = ("-x", str(size[0]), "-y", str(size[1]), "-P", "-F", "#{pane_id}")
        lines = self.run_all(
            [
                ("start-server",),
                ("if-shell", "-F", "#{==:#{window-size},manual}", "set-option -gw window-size largest"),
                (*opening, *sized, *quoting.exec_words(tuple(argv))),
                ("set-option", "-sq", "exit-unattached", "off"),
                ("set-option", "-sq", "exit-empty", "on"),
                ("set-option", "-q", "-t", target, "destroy-unattached", "off"),
                ("set-option", "-q", "-t", target, "status-right-length", "160"),
                *window_options(target),
            ],
            cwd=cwd,
        )
        return lines[0]

    def new_window(self, name: str, *, window: str, argv: Sequence[str], cwd: Path) -> str:
        """Open *argv* in a new window of the tmux session *name*, behind the one that shows; its pane's id.

        Needs two words in *argv*.
        """
        target = quoting.session_target(name)
        opening = (
            "new-window",
            "-d",
            "-t",
            target,
            "-n",
            quoting.plain_title(window),
            "-P",
            "-F",
            "#{pane_id}",
        )
        (pane_id,) = self.run_all([(*opening, *quoting.exec_words(tuple(argv)))], cwd=cwd)
        self.run_all(window_options(quoting.pane_target(pane_id)))
        return pane_id

    def end_session(self, name: str) -> None:
        """End the tmux session *name* and its panes; one that is gone is fine."""
        self.call([("kill-session", "-t", quoting.session_target(name))])

    def detach_clients(self, name: str) -> None:
        """Detach every terminal that shows the tmux session *name*."""
        self.call([("detach-client", "-s", quoting.session_target(name))])

    def attached_clients(self, name: str) -> int:
        """How many terminals show the tmux session *name*; 0 when it is gone."""
        asked = self.call([("list-clients", "-t", quoting.session_target(name), "-F", "client")])
        return len(asked.text.splitlines()) if asked.returncode == 0 else 0

    def set_status(self, name: str, text: str) -> None:
        """Show *text* on the right of the status line. It is data: no format or style in it acts."""
        target = quoting.session_target(name)
        shown = f" {quoting.status_literal(text)} "
        self.run_all([("set-option", "-q", "-t", target, "status-right", shown)])

    def select_window(self, pane_id: str) -> None:
        """Bring the pane's window to the front of its session, with that pane active."""
        target = quoting.pane_target(pane_id)
        self.run_all([("select-window", "-t", target), ("select-pane", "-t", target)])

    def on_pane_died(self, name: str, argv: Sequence[str], *, pane_id: str = "") -> None:
        """Run *argv* with the pane's id as one more word whenever a pane of *name* dies.

        With *pane_id* only for that pane, in place of what the session has. Panes opened later are
        covered, also those that die at once.

        Source: since tmux 3.2 ``pane-died`` is an option of panes, so a hook set on a session is not
        found. One global hook therefore asks the pane, then its session, for ``@ao_died``. ``run-shell``
        uses /bin/sh, whatever the person's shell is.
        """
        target = quoting.session_target(name)
        place = ("-p", "-t", quoting.pane_target(pane_id)) if pane_id else ("-t", target)
        command = " ".join(shlex.quote(word) for word in argv)
        action = quoting.command_line(("run-shell", "-b", "#{@ao_died} '#{pane_id}'"))
        hook = quoting.command_line(("if-shell", "-F", "#{@ao_died}", action))
        self.run_all(
            [
                ("set-option", *place, "@ao_died", command),
                ("set-hook", "-g", HOOK, hook),
            ]
        )

    def run(self, *args: str, timeout_s: float = 5.0) -> list[str]:
        """Run one tmux command, its words as they are, and return the lines it printed.

        Raises ``TmuxError`` when tmux refuses it or does not answer in time.
        """
        return self.run_all([args], timeout_s=timeout_s)

    def run_all(
        self,
        commands: Sequence[Command],
        *,
        cwd: Path | None = None,
        stdin: bytes = b"",
        timeout_s: float = 5.0,
    ) -> list[str]:
        """Run *commands* in one call, with nothing in between; the first that fails ends the list.

        New panes start in *cwd*: it is the client's own directory, so no format in it can act.
        """
        done = self.call(commands, cwd=cwd, stdin=stdin, timeout_s=timeout_s)
        if done.returncode != 0:
            raise refusal(done, during=" ; ".join(words[0] for words in commands))
        return done.text.splitlines()

    def call(
        self,
        commands: Sequence[Command],
        *,
        cwd: Path | None = None,
        stdin: bytes = b"",
        timeout_s: float = 5.0,
    ) -> Completed:
        """Run *commands* as ``run_all`` does, and leave a refusal to the caller."""
        # -u: without it, text that is not ASCII comes back as underscores under LANG=C.
        argv = [self._binary(), "-u", "-S", str(self.socket)]
        for place, words in enumerate(commands):
            argv += [";"] if place else []
            argv += [quoting.argv_word(word) for word in words]
        done = self._spawn(argv, cwd=cwd, stdin=stdin, timeout_s=timeout_s)
        took_ms = round(done.took_s * 1000, 1)
        logger.debug("tmux answered", extra={"detail": commands[0][0], "took_ms": took_ms})
        return done

    def _spawn(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | None = None,
        stdin: bytes = b"",
    ) -> Completed:
        try:
            return run(argv, timeout_s=timeout_s, cwd=cwd, env=self._env, stdin=stdin)
        except MissingDependency as exc:
            raise MissingDependency(str(exc), hint=INSTALL_HINT) from exc
        except ProgramTimeout as exc:
            raise TmuxError(f"tmux did not answer within {timeout_s:g} s") from exc

    def _binary(self) -> str:
        found = shutil.which(self.program, path=self._env.get("PATH"))
        if found is None:
            raise MissingDependency("tmux is not installed", hint=INSTALL_HINT)
        return found


def window_options(target: str) -> list[Command]:
    """What must hold in a window of ours, whatever the person's configuration says.

    The border shows our title, so a program that sets its own cannot hide whose pane it is.
    """
    options = (
        ("remain-on-exit", "on"),
        ("allow-rename", "off"),
        ("automatic-rename", "off"),
        ("synchronize-panes", "off"),
        ("pane-border-status", "top"),
        ("pane-border-format", " #{?@ao_title,#{@ao_title},#{pane_index}} "),
    )
    return [("set-option", "-wq", "-t", target, name, value) for name, value in options]


def refusal(done: Completed, *, during: str) -> TmuxError:
    """The error for a command that tmux refused."""
    return TmuxError(f"tmux refused {during}: {done.error_text or f'exit code {done.returncode}'}")


def is_gone(done: Completed) -> bool:
    """Whether tmux refused because the target or the whole server is not there."""
    return done.returncode != 0 and any(words in done.error_text for words in GONE)


def no_server(done: Completed) -> bool:
    """Whether nobody answers on the socket, which is no proof that the target is gone."""
    return done.returncode != 0 and any(words in done.error_text for words in NO_SERVER)
