"""An agent in a process of its own, made to be killed: ``send COUNT`` or ``read SLOW_S``; see test_kills.

It is given the socket, the login and the mail file of its agent on standard input, as JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Address, AgentCard, Letter
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.swarm.exchange import Exchange


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def send(exchange: Exchange, to: Address, count: int) -> None:
    for number in range(count):
        sent = await exchange.send(Letter("", exchange.me, to, str(number)))
        say(sent.letter_id)


async def read(exchange: Exchange, log: Path, slow_s: float) -> None:
    async for letter in exchange.inbox():
        say(f"begin {letter.body}")
        await asyncio.sleep(slow_s)
        with log.open("a") as lines:
            lines.write(f"{letter.body}\n")


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    me, verb = Address.parse(told["me"]), sys.argv[1]
    connection = MqttConnection(
        Endpoint(unix=Path(told["socket"])),
        client_id=str(me),
        login=Login(str(me), told["password"]),
        will=None,
    )
    with MailStore(Path(told["mail"])) as store:
        async with connection, Exchange(connection, store, me, card=AgentCard(me)) as exchange:
            if verb == "send":
                await send(exchange, Address.parse(told["to"]), int(sys.argv[2]))
            else:
                await read(exchange, Path(told["log"]), float(sys.argv[2]))


if __name__ == "__main__":
    asyncio.run(main())
