"""Take stock after a crash: adopt agents that live, record those that are gone, end what they left."""

import logging
from dataclasses import dataclass

from agentorchestr.errors import TmuxGone
from agentorchestr.model import facts as f
from agentorchestr.model.view import WorkerView
from agentorchestr.process import lives, offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.spawner import Spawner, unfinished
from agentorchestr.tmux import panes
from agentorchestr.tmux.panes import PaneRow

logger = logging.getLogger(__name__)

MOVED = "its tools have a new address, since the old port was taken: started again in its own conversation"


@dataclass(frozen=True)
class Stock:
    """What an older supervisor left."""

    adopted: tuple[str, ...]
    gone: tuple[str, ...]
    moved: tuple[str, ...]
    """They live, and hold an address where we cannot be reached any more."""


async def take_stock(gear: Gear, spawner: Spawner, *, moved: bool) -> Stock:
    """Find out who lives, and make the rest ready to be started again.

    A living agent is never restarted, unless the session *moved* to another port.
    """
    rows = await offload(_rows, gear)
    stock = await offload(compare, tuple(gear.view.workers.values()), rows, moved=moved)
    facts: list[f.Fact] = [f.ProgressNoted(worker_id, MOVED) for worker_id in stock.moved]
    facts += [f.PaneDied(key, None, "", from_outside=True) for key in (*stock.moved, *stock.gone)]
    # Ended before it is said that they are gone: whoever reads that starts the next ones.
    await spawner.clear_away(*stock.moved, *stock.gone, *unfinished(gear.view))
    await gear.book.record(*facts)
    logger.info("stock taken", extra={"detail": f"{len(stock.adopted)} adopted, {len(facts)} gone"})
    return stock


def _rows(gear: Gear) -> dict[str, PaneRow]:
    try:
        return {row.pane_id: row for row in panes.list_panes(gear.tmux, gear.tmux_session)}
    except TmuxGone:
        return {}


def compare(workers: tuple[WorkerView, ...], rows: dict[str, PaneRow], *, moved: bool) -> Stock:
    """Compare what was recorded with panes and processes.

    A pane that died while nobody looked is left to the watcher, which reads its status and its last screen.
    """
    adopted: list[str] = []
    gone: list[str] = []
    elsewhere: list[str] = []
    for worker in workers:
        row = rows.get(worker.pane_id)
        if not worker.alive or (row is not None and row.dead and row.pid == worker.pid):
            continue
        # Pane ids and pids begin anew after a restart of tmux or the machine: both, and the start, must fit.
        here = row is not None and row.pid == worker.pid and lives(worker.pid, worker.pid_started)
        (gone if not here else elsewhere if moved else adopted).append(worker.worker_id)
    return Stock(tuple(adopted), tuple(gone), tuple(elsewhere))
