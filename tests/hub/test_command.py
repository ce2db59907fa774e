"""The hub as a command, in a process of its own."""

import json
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bus.conftest import Shell, soon
from tests.hub.conftest import RunningHub
from tests.hub.test_ten_types import found


@pytest.fixture
def shell(env: dict[str, str], tmp_path: Path) -> Shell:
    return Shell(env, tmp_path)


@contextmanager
def hub_process(shell: Shell, port: int = 0) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    child = subprocess.Popen(
        shell.argv("hub", "--port", str(port)),
        env=shell.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        said = child.stdout.readline().decode()
        assert "ws://127.0.0.1:" in said, said or child.communicate()[1]
        yield child, int(said.split("ws://127.0.0.1:")[1].split(";")[0])
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


@pytest.mark.anyio
async def test_a_killed_hub_loses_no_task(shell, env):
    with hub_process(shell) as (child, port):
        hub = RunningHub(env, port)
        async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
            await soon(lambda: found(asker, "echo"))
            await asker.ask("delegate", {"task_id": "t1", "capability": "echo"}, to="echo")
            await echo.of_type("delegate")
            child.send_signal(signal.SIGKILL)
            child.wait()
    with hub_process(shell, port) as (child, again):
        assert again == port
        async with hub.client("asker") as asker, hub.client("echo", "echo") as echo:
            assert (await echo.of_type("delegate"))["payload"]["task_id"] == "t1"
            await echo.write("result", {"task_id": "t1", "result": "after all"})
            assert (await asker.of_type("result"))["payload"]["result"] == "after all"
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=20) == 0
            assert echo.socket.transport.is_closing() or await echo.socket.wait_closed() is None
    assert not (Path(env["XDG_RUNTIME_DIR"]) / "agentorchestr/mqtt.sock").exists(), "it let the broker go"


def test_a_taken_port_is_one_clear_line(shell):
    with hub_process(shell) as (_, port):
        done = shell.run("hub", "--port", str(port))
    assert done.returncode == 1
    assert f"port {port}" in done.stderr.decode()
    assert "--port 0" in done.stderr.decode()


def test_hub_token_shows_where_the_token_is_and_never_the_token(shell):
    done = shell.run("hub-token", "echo")
    file = Path(done.stdout.decode().strip())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = json.loads(shell.run("hub-token", "echo", "--json").stdout)
    assert told["data"] == {"name": "echo", "file": str(file)}
    assert file.read_bytes() not in done.stdout
    assert shell.run("hub-token", "a b").returncode == 1
    assert [one.name for one in file.parent.iterdir()] == ["echo"]
