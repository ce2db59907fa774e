"""The raw opposite side of an exchange: bytes in, bytes out, nothing of the product's own reading."""

import json
from typing import Any, Self

from agentorchestr.model.carrier import Properties
from agentorchestr.model.mail import Address
from tests.a2a.bus import Bus, Packet, Wire

ANN = Address("acme", "lab", "ann")
"""Asks."""
BEN = Address("acme", "lab", "ben")
"""Answers."""
CAT = Address("acme", "lab", "cat")
TASK = "6f1f9d0e-3c1b-4d7e-9a55-0d1e2f3a4b5c"
CONTEXT = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"


def request(
    method: str = "SendStreamingMessage", params: dict[str, Any] | None = None, rpc_id: object = "r1"
) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": rpc_id, "method": method, "params": params or {}}).encode()


def message(
    text: str = "do it", *, task_id: str = TASK, context_id: str = CONTEXT, message_id: str = "m1"
) -> dict[str, Any]:
    turn = {"messageId": message_id, "role": "ROLE_USER", "parts": [{"text": text}]}
    return turn | ({"taskId": task_id} if task_id else {}) | ({"contextId": context_id} if context_id else {})


def send(method: str = "SendStreamingMessage", **turn: Any) -> bytes:
    return request(method, {"message": message(**turn)})


def status(state: str, *, task_id: str = TASK, **more: Any) -> dict[str, Any]:
    return {"statusUpdate": {"taskId": task_id, "contextId": CONTEXT, "status": {"state": state}} | more}


def result(value: object, rpc_id: object = "r1") -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": rpc_id, "result": value}).encode()


def error(code: int, data: object = None, text: str = "no") -> bytes:
    wire: dict[str, Any] = {"code": code, "message": text} | ({"data": data} if data is not None else {})
    return json.dumps({"jsonrpc": "2.0", "id": "r1", "error": wire}).encode()


class Raw:
    """A wire with helpers for either side."""

    def __init__(self, bus: Bus, me: Address) -> None:
        self.me = me
        self.wire: Wire = bus.wire(str(me))
        self.reply_topic = f"$a2a/v1/reply/{me}/s1"

    async def __aenter__(self) -> Self:
        await self.wire.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.wire.__aexit__(*exc)

    async def listen(self, *filters: str) -> None:
        await self.wire.subscribe(filters or [self.reply_topic])

    async def ask(self, to: Address, payload: bytes, correlation: bytes = b"c1", **more: Any) -> None:
        """Publish a request."""
        properties = Properties(response_topic=self.reply_topic, correlation=correlation, **more)
        await self.wire.publish(f"$a2a/v1/request/{to}", payload, properties=properties)

    async def answer(
        self,
        asked: Packet,
        payload: bytes,
        user: tuple[tuple[str, str], ...] = (),
        correlation: bytes | None = None,
    ) -> None:
        """Reply to *asked*."""
        said = asked.properties.correlation if correlation is None else correlation
        await self.wire.publish(
            asked.properties.response_topic, payload, properties=Properties(correlation=said, user=user)
        )

    def taken(self) -> list[Packet]:
        """Everything that came since the last look."""
        found = []
        while not self.wire.incoming.empty():
            packet = self.wire.incoming.get_nowait()
            if packet is not None:
                found.append(packet)
        return found


def read(packet: Packet) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(packet.payload)
    return body


def states(packets: list[Packet]) -> list[str]:
    """The states that the items in *packets* tell, with ``artifact`` for artifacts and codes for errors."""
    found = []
    for body in map(read, packets):
        if "error" in body:
            found.append(str(body["error"]["code"]))
            continue
        item = body["result"]
        holder = item.get("statusUpdate") or item.get("task") or item
        found.append(
            "artifact" if "artifactUpdate" in item else holder["status"]["state"].removeprefix("TASK_STATE_")
        )
    return found
