"""The counts in tmux's status line: written when they change, never on a timer."""

import logging
from collections import Counter
from functools import partial

from agentorchestr.errors import TmuxError
from agentorchestr.model.states import WorkerState
from agentorchestr.model.view import SessionView
from agentorchestr.process import offload
from agentorchestr.supervisor.book import LONG_S
from agentorchestr.supervisor.gear import Gear

logger = logging.getLogger(__name__)


def status_text(view: SessionView) -> str:
    """The session in a few words: ``k3f9: 2 working, 1 done, 1 merged``."""
    states = Counter(worker.state for worker in view.team)
    parts = [f"{states[state]} {state}" for state in WorkerState if states[state]]
    merged = sum(1 for worker in view.team if worker.merged)
    if merged:
        parts.append(f"{merged} merged")
    asks = [worker.worker_id for worker in view.workers.values() if worker.asks]
    if asks:
        parts.append(f"! {', '.join(asks)} asks")
    return f"{view.session_id}: {', '.join(parts) or 'no workers yet'}"


async def keep_status_line(gear: Gear) -> None:
    """Follow the session until cancelled."""
    shown = ""
    while True:
        seq, trouble = gear.view.last_seq, gear.book.trouble
        text = f"! nothing can go on: {trouble}" if trouble else status_text(gear.view)
        if text != shown:
            try:
                await offload(gear.tmux.set_status, gear.tmux_session, text)
            except TmuxError as exc:
                logger.warning("status line not set", extra={"detail": str(exc)})
            shown = text
        await gear.book.wait_until(partial(_is_news, gear, seq=seq, trouble=trouble), timeout_s=LONG_S)


def _is_news(gear: Gear, view: SessionView, *, seq: int, trouble: str) -> bool:
    return view.last_seq > seq or gear.book.trouble != trouble
