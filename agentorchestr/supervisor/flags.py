"""Reports of agents without MCP: the flag file and the line on the screen, both with the task's nonce."""

import contextlib
import re
from pathlib import Path

from agentorchestr.model.facts import WorkerReported
from agentorchestr.model.states import Report
from agentorchestr.model.view import WorkerView

FLAG = Path(".agentorchestr") / "done.flag"
FLAG_LIMIT_BYTES = 16 * 1024
SUMMARY_CHARS = 2000
WORDS = {"done": Report.DONE, "blocked": Report.BLOCKED, "failed": Report.FAILED}
SENTINEL = re.compile(r"WORKER_(DONE|BLOCKED|FAILED):\s*(\S+)\s*(.*)")


def read_flag(worker: WorkerView) -> WorkerReported | None:
    """The report in the worker's ``done.flag``, if it carries this worker's nonce.

    First line: ``done <nonce>`` (or ``blocked``, ``failed``); the rest is the summary. A flag of an older
    task, or one that came with the repository, has another nonce and says nothing. The file stays, for
    ``use_up_flag``: a crash before the report is stored must not lose it.
    """
    path = _flag_of(worker)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            text = file.read(FLAG_LIMIT_BYTES).decode(errors="replace")
    except OSError:
        return None
    first, _, rest = text.partition("\n")
    word, _, nonce = first.strip().partition(" ")
    report = WORDS.get(word.lower())
    if report is None or nonce.strip() != worker.report_nonce:
        return None
    return WorkerReported(worker.worker_id, report, rest.strip()[:SUMMARY_CHARS], "flag")


def use_up_flag(worker: WorkerView) -> None:
    """Remove the worker's flag file, whose report is stored."""
    path = _flag_of(worker)
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _flag_of(worker: WorkerView) -> Path | None:
    path = Path(worker.worktree) / FLAG
    # A link could make us read, and then show, any file of the person's.
    try:
        linked = path.is_symlink() or path.parent.is_symlink()
        return path if not linked and path.is_file() else None
    except OSError:
        return None


def read_sentinel(worker: WorkerView, screen: str) -> WorkerReported | None:
    """The last ``WORKER_DONE: <nonce> summary`` on *screen* with this worker's nonce.

    Decoration before the word is fine; the brief on the screen shows the two halves apart.
    """
    for word, nonce, rest in reversed(SENTINEL.findall(screen)):
        if nonce.strip("<>.,") == worker.report_nonce:
            return WorkerReported(
                worker.worker_id, WORDS[word.lower()], rest.strip()[:SUMMARY_CHARS], "sentinel"
            )
    return None
