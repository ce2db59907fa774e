"""One agent of a storm, in a process of its own: sends numbered letters and acts on what comes.

``python -m scripts.chaos.bus_agent ME COUNT PACE_S SEED FILE PEER…``; made to be killed at any moment and
started again with the same words: what it sent is in its mail file, what it acted on in *FILE*.
"""

import asyncio
import logging
import random
import sys
from pathlib import Path

from agentorchestr.bus import Bus, FileBridge

ALL = 1_000_000


async def send(bus: Bus, *, count: int, pace_s: float, seed: str, peers: list[str]) -> None:
    """Send what is missing of letters 0 to *count*; who gets which depends on *seed* alone."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    plan = [chance.choice(peers) for _ in range(count)]
    exchange = bus.exchange
    stored = await exchange.lane.do(lambda: exchange.store.outbox.recent(bus.me, limit=ALL))
    known = {int(each.letter.body) for each in stored if each.letter.body.isdecimal()}
    for number, peer in enumerate(plan):
        if number not in known:
            await bus.send(peer, str(number))
            await asyncio.sleep(pace_s)


async def main(me: str, count: str, pace_s: str, seed: str, acted: str, *peers: str) -> None:
    async with Bus(me) as bus, asyncio.TaskGroup() as group:
        group.create_task(bus.serve(FileBridge(Path(acted))))
        group.create_task(
            send(bus, count=int(count), pace_s=float(pace_s), seed=seed + me, peers=list(peers))
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(main(*sys.argv[1:]))
