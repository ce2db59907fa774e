"""Bodies over 64 KiB: on one machine, from another one, and as text or result of a task; byte for byte."""

import secrets
from pathlib import Path

import pytest

from agentorchestr.bus import Agent, Bus
from agentorchestr.bus.names import address_of
from agentorchestr.mqtt.broker import ensure_broker
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from agentorchestr.swarm.artifacts import ref_of
from tests.bus.conftest import Shell, beside, first, soon
from tests.bus.test_command_line import data, problem

pytestmark = pytest.mark.anyio


def text_of(size: int) -> str:
    """Text of *size* bytes, some characters of which take more than one."""
    made = f"é\n{secrets.token_hex(size // 2)}"
    return made.encode()[:size].decode()


@pytest.mark.parametrize("size", [65_536, 65_537, 100_000, 1_000_000])
async def test_a_large_body_is_got_as_it_was_sent(env: dict[str, str], size: int) -> None:
    body = text_of(size)
    async with Bus("ann", env=env) as ann, Bus("ben", env=env) as ben:
        await ann.send("ben", body, content_type="text/markdown")
        [letter] = await first(ben.messages(), 1)
        assert await ben.fetch(letter) == body.encode()
        ref = ref_of(letter.body)
        assert (ref is None) == (size == 65_536)
        assert ref is None or ref.content_type == "text/markdown"


async def test_a_large_question_and_its_large_answer(env: dict[str, str]) -> None:
    body = text_of(100_000)
    async with (
        Bus("ann", env=env) as ann,
        Bus("ben", env=env) as ben,
        beside(ben.serve(lambda letter: letter.body * 2)),
    ):
        answer = await ann.request("ben", body, timeout_s=20)
        assert await ann.fetch(answer) == body.encode() * 2


async def test_a_task_has_a_large_text_and_a_large_result(env: dict[str, str]) -> None:
    agent, text = Agent("helper", env=env), text_of(1_000_000)

    @agent.task("turn")
    def turn(job):
        return job.text[::-1]

    async with Bus("ann", env=env) as ann, beside(agent.run()):
        await soon(lambda: ann.agents("turn"))
        task = await ann.delegate(text, capability="turn")
        done = await ann.task_result(task.task_id, timeout_s=30)
        assert (done.state, done.result == text[::-1]) == ("completed", True)


async def test_a_large_body_comes_from_another_machine_when_its_sender_is_back(
    env: dict[str, str], private_home: dict[str, str], tmp_path: Path
) -> None:
    """Another home with a named broker is as another machine: nothing of its files is seen."""
    body = text_of(1_000_000)
    here = Paths.from_env(private_home)
    broker = ensure_broker(here, stays=True)
    far = {**env, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    options = {"broker": str(broker.endpoint_tcp), "login": add_login(here, address_of("zoe")), "env": far}
    async with Bus("ben", env=env) as ben:
        async with Bus("zoe", **options) as zoe:
            await zoe.send("ben", body)
            [letter] = await first(ben.messages(), 1)
            assert await ben.fetch(letter, timeout_s=30) == body.encode()
        assert (here.artifacts / ref_of(letter.body).sha256).read_bytes() == body.encode()
        async with Bus("zoe", **options) as zoe:
            sent = await ben.send("zoe", body + "back")
            [back] = await first(zoe.messages(), 1)
            assert back.letter_id == sent.letter_id
            assert await zoe.fetch(back, timeout_s=30) == (body + "back").encode()


def test_a_file_of_any_kind_is_sent_and_fetched_by_commands(shell: Shell, tmp_path: Path) -> None:
    content = b"\x00\xff" + secrets.token_bytes(1_000_000)
    (tmp_path / "small.bin").write_bytes(b"\xff\x00")
    (tmp_path / "large.bin").write_bytes(content)
    for name in ("small.bin", "large.bin"):
        [sent] = data(shell.run("send", "ben", "--file", name, "--json"), "sent")["letters"]
        assert sent["state"] in {"stored", "sent", "received"}
    shown = shell.run("tail", "--agent-id", "ben").stdout.decode()
    letters = data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"]
    assert [one["artifact"]["name"] for one in letters] == ["small.bin", "large.bin"]
    assert [one["artifact"]["content_type"] for one in letters] == ["application/octet-stream"] * 2
    assert f"agentorchestr bus fetch {letters[1]['id']}" in shown
    got = data(
        shell.run("fetch", letters[1]["id"], "--output", "got.bin", "--agent-id", "ben", "--json"), "artifact"
    )
    assert got["path"] == str(tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == content
    assert "nothing to fetch" in problem(shell.run("fetch", "unknown", "--agent-id", "ben"))


def test_a_text_from_a_pipe_and_beside_a_running_instance(shell: Shell) -> None:
    body = text_of(100_000)
    shell.start("--agent-id", "ben")
    [sent] = data(shell.run("send", "ben", "--wait", "received", "--json", stdin=body.encode()), "sent")[
        "letters"
    ]
    assert sent["state"] == "received"
    [letter] = data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"]
    assert letter["artifact"]["size"] == 100_000
    got = data(shell.run("fetch", letter["id"], "--agent-id", "ben", "--json"), "artifact")
    assert Path(got["path"]).read_bytes() == body.encode()


async def test_what_does_not_come_is_said_and_tried_further(
    env: dict[str, str], shell: Shell, tmp_path: Path
) -> None:
    async with Bus("ann", env=env) as ann, Bus("ben", env=env) as ben:
        await ann.send("ben", text_of(100_000))
        [letter] = await first(ben.messages(), 1)
    file = Paths.from_env(env).artifacts / ref_of(letter.body).sha256
    file.rename(tmp_path / "away")
    done = shell.run("fetch", letter.letter_id, "--agent-id", "ben", "--timeout", "0.5s", "--json")
    assert done.returncode == 2
    assert data(done, "artifact")["path"] is None
    (tmp_path / "away").rename(file)
    assert shell.run("fetch", letter.letter_id, "--agent-id", "ben").returncode == 0
