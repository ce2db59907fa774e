"""Long polls, callers that leave, and the end of the app."""

import asyncio
import contextlib
import logging
import signal
import statistics
import time

import httpx
import pytest

pytestmark = pytest.mark.anyio

END_S = 2.0


class Poll:
    """A verb that hangs until released, and counts who is inside and how each came out."""

    def __init__(self) -> None:
        self.inside = 0
        self.cancelled = 0
        self.finished = 0
        self.entered = asyncio.Event()
        self.left = asyncio.Event()
        self.release = asyncio.Event()
        self.expected = 1

    async def __call__(self, **_: object) -> dict[str, object]:
        self.inside += 1
        if self.inside >= self.expected:
            self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.left.set()
        self.finished += 1
        return {"events": []}


async def within(event: asyncio.Event, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        await event.wait()


async def test_twenty_long_polls_leave_the_app_responsive(served, desk, rpc, version):
    poll = desk.scripts["wait_for_any"] = Poll()
    poll.expected = 20
    async with served.client() as http:
        polls = [asyncio.ensure_future(rpc(http, version).tool("wait_for_any")) for _ in range(20)]
        await within(poll.entered)
        began = time.monotonic()
        assert (await rpc(http, version).tool("list_workers"))[0]
        assert time.monotonic() - began < 1
        poll.release.set()
        assert await asyncio.gather(*polls) == [(True, '{"events":[]}')] * 20


@pytest.mark.parametrize("tool", ["wait_for_any", "wait_for_worker", "merge_worker", "verify"])
async def test_a_caller_that_leaves_ends_its_wait(served, desk, rpc, version, tool):
    arguments = {} if tool == "wait_for_any" else {"worker_id": "w1"}
    poll = desk.scripts[tool] = Poll()
    async with served.client() as http:
        waiting = asyncio.ensure_future(rpc(http, version).tool(tool, **arguments))
        await within(poll.entered)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await within(poll.left)
    assert (poll.cancelled, poll.finished) == (1, 0)


async def test_a_caller_that_leaves_the_plain_route_ends_its_wait(served, desk):
    poll = desk.scripts["wait_for_any"] = Poll()
    async with served.client() as http:
        waiting = asyncio.ensure_future(http.post("/tools/wait_for_any"))
        await within(poll.entered)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await within(poll.left)
    assert poll.cancelled == 1


async def test_an_act_goes_on_to_its_end_without_its_caller(served, desk, rpc, version):
    act = desk.scripts["spawn_worker"] = Poll()
    async with served.client() as http:
        asking = asyncio.ensure_future(rpc(http, version).tool("spawn_worker", task="x"))
        await within(act.entered)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        # A whole round trip later, the server has seen that the caller is gone.
        assert (await http.get("/healthz")).status_code == 200
        act.release.set()
        await within(act.left)
    assert (act.cancelled, act.finished) == (0, 1)


async def test_the_end_answers_every_long_poll_and_is_quick(served, desk, rpc, version, caplog):
    caplog.set_level(logging.INFO)
    poll = desk.scripts["wait_for_any"] = Poll()
    poll.expected = 8
    async with served.client() as http:
        polls = [asyncio.ensure_future(rpc(http, version).tool("wait_for_any")) for _ in range(8)]
        await within(poll.entered)
        began = time.monotonic()
        await served.stop()
        assert time.monotonic() - began < END_S
        assert await asyncio.gather(*polls) == [(False, "the session is ending")] * 8
    assert poll.cancelled == 8
    assert not [r for r in caplog.records if r.exc_info or r.levelno >= logging.WARNING]


async def test_the_end_cuts_what_hangs_without_a_traceback(served, desk, rpc, caplog):
    """An act that never ends, a message that never arrives, a connection that says nothing."""
    act = desk.scripts["spawn_worker"] = Poll()
    half = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(3)]
    half[1][1].write(b"POST /mcp HTTP/1.1\r\nHost: 127.0")
    half[2][1].write(
        f"POST /tools/list_workers HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        "Authorization: Bearer lead-token\r\nContent-Length: 100\r\n\r\n{".encode()
    )
    async with served.client() as http:
        hanging = [
            asyncio.ensure_future(rpc(http, v).post("tools/call", {"name": "spawn_worker", "arguments": {"task": "x"}}))
            for v in ("2025-11-25", "2026-07-28")
        ]  # fmt: skip
        hanging.append(asyncio.ensure_future(http.post("/tools/spawn_worker", json={"task": "x"})))
        act.expected = 3
        await within(act.entered)
        began = time.monotonic()
        await served.stop()
        assert time.monotonic() - began < END_S
        for ended in await asyncio.gather(*hanging, return_exceptions=True):
            assert isinstance(ended, httpx.Response), ended
            assert ended.status_code in (200, 503)
    for _, writer in half:
        writer.close()
    assert act.cancelled == 3
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_finished_act_is_answered_during_the_end(served, desk, rpc):
    """The lead's last call ends the session: it still gets its answer."""
    act = desk.scripts["mark_goal_done"] = Poll()
    async with served.client() as http:
        asking = asyncio.ensure_future(rpc(http, "2026-07-28").tool("mark_goal_done", summary="all"))
        await within(act.entered)
        ending = asyncio.ensure_future(served.stop())
        act.release.set()
        assert await asking == (True, '{"events":[]}')
        await ending


async def test_signal_handlers_stay_with_the_caller(desk, serving):
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with serving(desk):
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


async def test_the_port_is_free_after_the_end(desk, serving):
    from agentorchestr.mcp_server.serving import bind_loopback

    async with serving(desk) as first:
        port = first.port
        async with first.client(None) as http:
            assert (await http.get("/healthz")).status_code == 200
    bind_loopback(port).close()


async def test_a_port_that_is_bound_cannot_be_taken_before_it_is_served():
    from agentorchestr.mcp_server.serving import bind_loopback

    with bind_loopback() as first, pytest.raises(OSError, match="in use"):
        bind_loopback(first.getsockname()[1]).close()


async def test_nothing_is_reachable_from_outside_the_machine(served):
    """The socket is bound to 127.0.0.1 alone: another loopback address is another machine here."""
    with pytest.raises(OSError):  # noqa: PT011 - refused or unreachable, as the system likes
        await asyncio.open_connection("127.0.0.2", served.port)


async def test_a_short_call_is_answered_without_a_delayed_ack(served, desk, rpc):
    """Headers and body leave in two writes; with Nagle's rule each reply would take 40 ms more."""
    async with served.client() as http:
        speak = rpc(http, "2025-11-25")
        await speak.tool("list_workers")
        took = []
        for _ in range(20):
            began = time.monotonic()
            await speak.tool("list_workers")
            took.append(time.monotonic() - began)
    assert statistics.median(took) < 0.03
