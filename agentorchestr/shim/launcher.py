"""Become an agent: read a launch file and exec what it names. Run as ``python -I -S launcher.py FILE``.

The file carries the whole environment, so that no secret stands in a command line or in tmux.
"""

import json
import os
import signal
import sys

CANNOT_LAUNCH = 127


class BadLaunch(Exception):
    """The launch file does not hold what it must."""


def encoded(text: object, what: str) -> bytes:
    """*text* as the bytes the kernel gets, whatever the locale; names that are not UTF-8 come back."""
    if not isinstance(text, str) or "\0" in text:
        raise BadLaunch(f"{what} must be text")
    return text.encode("utf-8", "surrogateescape")


def read_launch(path: str) -> tuple[list[bytes], dict[bytes, bytes], bytes]:
    """The command line, the environment and the directory that the file at *path* holds."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib alone costs a third of the start-up
        launch = json.loads(file.read())
    if not isinstance(launch, dict):
        raise BadLaunch("it must hold an object")
    argv, env = launch.get("argv"), launch.get("env")
    if not isinstance(argv, list) or not argv:
        raise BadLaunch("argv must be a list of words")
    if not isinstance(env, dict):
        raise BadLaunch("env must be an object")
    words = [encoded(word, "a word of argv") for word in argv]
    if not words[0].startswith(b"/"):
        raise BadLaunch("the program must be an absolute path")
    variables = {
        encoded(name, "a variable"): encoded(value, f"the variable {name}") for name, value in env.items()
    }
    return words, variables, encoded(launch.get("cwd"), "cwd")


def fit_terminal(variables: dict[bytes, bytes]) -> None:
    """Take TERM from the pane we are in; a size in the environment would be wrong after a resize."""
    term = os.environb.get(b"TERM")
    if term:
        variables[b"TERM"] = term
    variables.pop(b"COLUMNS", None)
    variables.pop(b"LINES", None)


def enter_scope(path: str) -> None:
    """Go into the cgroup the launch file names, with all we will ever start, if there is one and we may."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            scope = json.loads(file.read()).get("scope")
        if isinstance(scope, str) and scope.startswith("/"):
            with open(f"{scope}/cgroup.procs", "w", encoding="ascii") as procs:  # noqa: PTH123 - as above
                procs.write(str(os.getpid()))
    except OSError:
        return


def default_signals() -> None:
    """Give back what Python ignores: an ignored signal stays ignored in the program we become."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def main(arguments: list[str]) -> int:
    """Exec the launch file's program; return only when that failed."""
    if len(arguments) != 1:
        return _failed("usage: launcher.py LAUNCH.json")
    during = f"cannot read the launch file {arguments[0]}"
    try:
        words, variables, folder = read_launch(arguments[0])
        fit_terminal(variables)
        during = f"cannot enter the directory {os.fsdecode(folder)!a}"
        os.chdir(folder)
        during = f"cannot start {os.fsdecode(words[0])!a}"
        default_signals()
        enter_scope(arguments[0])
        os.execve(words[0], words, variables)  # noqa: S606 - that is what a launcher is for
    except OSError as exc:
        return _failed(f"{during}: {exc.strerror}")
    except (BadLaunch, ValueError, RecursionError) as exc:
        return _failed(f"{during}: {exc}")


def _failed(line: str) -> int:
    sys.stderr.write(f"agentorchestr: {line}\n")
    return CANNOT_LAUNCH


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
