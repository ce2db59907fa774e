"""Messages of one session that are too large to stand in its journal."""

import secrets
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentorchestr.errors import ToolRefused
from agentorchestr.process import offload
from agentorchestr.supervisor.desk import Principal, PrincipalKind
from agentorchestr.supervisor.mail_verbs import MailDesk
from agentorchestr.swarm.artifacts import Shelf
from tests.supervisor.test_desks import book, lives

__all__ = ["book"]
pytestmark = pytest.mark.anyio


def desk(book: Any, folder: Path, worker_id: str) -> MailDesk:
    gear: Any = SimpleNamespace(book=book, view=book.view, shelf=Shelf(folder / "artifacts"), session_id="s1")
    return MailDesk(gear, Principal(worker_id, PrincipalKind.WORKER), None)


@pytest.mark.parametrize("size", [65_536, 100_000, 1_000_000])
async def test_a_large_message_is_fetched_as_it_was_sent(book: Any, tmp_path: Path, size: int) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    body = secrets.token_hex(size // 2)
    sent = await desk(book, tmp_path, "w1").send_message(
        "w2", body, subject="", priority="normal", answers="", operation=""
    )
    reader = desk(book, tmp_path, "w2")
    [message] = (await reader.read_inbox())["messages"]  # type: ignore[misc]
    if size <= 65_536:
        assert message["body"] == body
        return
    assert "body" not in message
    assert message["artifact"]["size"] == size
    got = await reader.fetch_artifact(str(sent["message_id"]), offset=0)
    assert await offload(Path(str(got["path"])).read_text) == body
    assert body.startswith(str(got["text (data)"]))
    assert all(len(str(item.fact)) < 5000 for item in await book.facts(after=0, limit=-1))


async def test_only_the_receiver_fetches_a_message(book: Any, tmp_path: Path) -> None:
    await book.record(*lives("w1"), *lives("w2"), *lives("w3"))
    sender = desk(book, tmp_path, "w1")
    sent = await sender.send_message(
        "w2", "x" * 100_000, subject="", priority="normal", answers="", operation=""
    )
    small = await sender.send_message("w3", "x", subject="", priority="normal", answers="", operation="")
    for message_id in (sent["message_id"], small["message_id"], "unknown"):
        with pytest.raises(ToolRefused, match="nothing to fetch"):
            await desk(book, tmp_path, "w3").fetch_artifact(str(message_id), offset=0)
