"""Tell what failed because tmux ended from what failed by itself."""

from agentorchestr.errors import TmuxGone
from agentorchestr.process import offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.tmux import panes

FOUND_OUT_S = 20.0
"""How long the watcher may take to find that tmux is gone; it looks twice."""


async def fell_with_tmux(gear: Gear) -> bool:
    """Whether tmux is gone, and the session comes to a pause or its end because of that."""
    try:
        gone = not await offload(panes.list_panes, gear.tmux, gear.tmux_session)
    except TmuxGone:
        gone = True
    return gone and await gear.book.wait_until(lambda view: view.ending, timeout_s=FOUND_OUT_S)
