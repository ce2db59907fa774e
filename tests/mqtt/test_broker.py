"""The life of the private mosquitto: started once, found again, killed, ended, and what it leaves."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from agentorchestr.clock import until
from agentorchestr.errors import BusError, MissingDependency, UsageError
from agentorchestr.model.carrier import Delivered
from agentorchestr.mqtt.broker import (
    BrokerHandle,
    broker_folder,
    ensure_broker,
    find_mosquitto,
    leave_broker,
    read_record,
    stop_broker,
)
from agentorchestr.mqtt.knock import knock
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from agentorchestr.process import start_time
from tests.mqtt.conftest import BrokerWorld, kill_hard
from tests.swarm.transport_contract import ANN, BEN, card, inbox, next_of, own_inbox, taken

ENSURE = """
import sys
from agentorchestr.mqtt.broker import ensure_broker
from agentorchestr.paths import Paths
import os
sys.stdin.readline()
print(ensure_broker(Paths.from_env(os.environ)).pid)
"""


def runs_in(pid: int, folder: Path) -> bool:
    try:
        return psutil.Process(pid).cwd() == str(folder)
    except psutil.Error:
        return False


def all_files(paths: Paths) -> list[Path]:
    found = [path for top in (paths.state, paths.run) for path in top.rglob("*")]
    return [path for path in found if not path.is_symlink()]


def test_a_second_call_finds_the_same_broker(broker: BrokerHandle, private_paths: Paths) -> None:
    assert ensure_broker(private_paths) == broker
    assert knock(broker.endpoint_unix.unix or Path(), broker.admin, timeout_s=5) == 0


def test_two_processes_at_once_start_one_broker(private_home: dict[str, str], private_paths: Paths) -> None:
    env = {**private_home, "PYTHONPATH": str(Path(__file__).parents[2])}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        pids = {racer.communicate(timeout=60)[0].strip() for racer in racers}
        folder = broker_folder(private_paths).path
        running = [pid for pid in psutil.pids() if runs_in(pid, folder)]
        assert pids == {str(pid) for pid in running}
        assert len(running) == 1
    finally:
        stop_broker(private_paths)


def test_it_outlives_who_started_it_and_belongs_to_no_session(broker: BrokerHandle) -> None:
    found = psutil.Process(broker.pid)
    assert os.getsid(broker.pid) != os.getsid(0)
    assert os.getpgid(broker.pid) != os.getpgid(0)
    assert not [name for name in found.environ() if name.startswith("AGENTORCHESTR")]


def test_no_secret_stands_in_its_command_line(broker: BrokerHandle, private_paths: Paths) -> None:
    ann = add_login(private_paths, ANN)
    assert ann.password
    for secret in (ann.password, broker.admin.password):
        assert secret not in " ".join(psutil.Process(broker.pid).cmdline())
        assert secret not in repr((ann, broker))


def test_all_its_files_are_private(broker: BrokerHandle, private_paths: Paths) -> None:
    add_login(private_paths, ANN)
    os.kill(broker.pid, signal.SIGUSR1)
    database = broker_folder(private_paths).path / "mosquitto.db"
    assert until(database.exists, within_s=10)
    found = all_files(private_paths)
    assert {path.name for path in found} >= {"mosquitto.conf", "passwd", "acl", "users.json", "mqtt.sock"}
    loose = [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert not loose
    assert stat.S_IMODE((broker.endpoint_unix.unix or Path()).stat().st_mode) == 0o600


def test_only_hashes_of_passwords_are_given_to_mosquitto(broker: BrokerHandle, private_paths: Paths) -> None:
    ann = add_login(private_paths, ANN)
    assert ann.password not in (broker_folder(private_paths).path / "passwd").read_text()


def test_tcp_is_on_loopback_only(broker: BrokerHandle) -> None:
    listening = [
        one.laddr.ip
        for one in psutil.Process(broker.pid).net_connections()
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_ended_it_leaves_no_process_socket_or_record(private_paths: Paths) -> None:
    handle = ensure_broker(private_paths)
    assert stop_broker(private_paths)
    assert start_time(handle.pid) is None
    names = {path.name for path in (private_paths.state / "broker").iterdir()}
    assert not names & {"broker.json", "mosquitto.pid", "run"}
    assert list(private_paths.run.iterdir()) == []
    assert not stop_broker(private_paths)


def test_a_broker_that_ignores_the_end_is_killed(broker: BrokerHandle, private_paths: Paths) -> None:
    os.kill(broker.pid, signal.SIGSTOP)
    assert stop_broker(private_paths)
    assert start_time(broker.pid) is None


def test_the_last_user_ends_it(private_paths: Paths) -> None:
    handle = ensure_broker(private_paths, holder="s1")
    assert ensure_broker(private_paths, holder="s2") == handle
    assert not leave_broker(private_paths, "s1")
    assert start_time(handle.pid) is not None
    assert leave_broker(private_paths, "s2")
    assert start_time(handle.pid) is None


def test_a_dead_user_does_not_keep_it(private_home: dict[str, str], private_paths: Paths) -> None:
    env = {**private_home, "PYTHONPATH": str(Path(__file__).parents[2])}
    held = ENSURE.replace("os.environ)", "os.environ), holder='gone'")
    subprocess.run([sys.executable, "-c", held], env=env, input=b"go\n", check=True, stdout=subprocess.PIPE)
    ensure_broker(private_paths, holder="s1")
    assert leave_broker(private_paths, "s1")


def test_one_started_by_hand_stays_until_it_is_asked(private_paths: Paths) -> None:
    ensure_broker(private_paths, holder="s1")
    handle = ensure_broker(private_paths, stays=True)
    assert not leave_broker(private_paths, "s1")
    assert ensure_broker(private_paths) == handle
    assert stop_broker(private_paths)


def test_a_stale_record_of_another_process_is_not_believed(private_paths: Paths) -> None:
    handle = ensure_broker(private_paths)
    folder = broker_folder(private_paths)
    record = read_record(folder)
    assert record is not None
    assert stop_broker(private_paths)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        stale = record.model_copy(update={"pid": innocent.pid, "started": record.started - 100})
        (folder.path / "broker.json").write_text(stale.model_dump_json())
        (folder.path / "mosquitto.pid").write_text(str(innocent.pid))
        try:
            fresh = ensure_broker(private_paths)
            assert fresh.pid not in {innocent.pid, handle.pid}
            assert stop_broker(private_paths)
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_a_record_that_is_no_record_is_not_believed(private_paths: Paths) -> None:
    (broker_folder(private_paths).path / "broker.json").write_text("{}")
    assert ensure_broker(private_paths).pid
    assert stop_broker(private_paths)


def test_a_port_that_was_taken_meanwhile_is_left_to_its_owner(private_paths: Paths) -> None:
    import socket

    first = ensure_broker(private_paths)
    kill_hard(first.pid)
    with socket.create_server(("127.0.0.1", first.endpoint_tcp.port)):
        again = ensure_broker(private_paths)
        assert again.endpoint_tcp.port != first.endpoint_tcp.port
    assert stop_broker(private_paths)


def test_a_broker_without_its_socket_is_replaced(broker: BrokerHandle, private_paths: Paths) -> None:
    assert broker.endpoint_unix.unix is not None
    broker.endpoint_unix.unix.unlink()
    again = ensure_broker(private_paths)
    assert again.pid != broker.pid
    assert again.endpoint_tcp == broker.endpoint_tcp
    assert start_time(broker.pid) is None


@pytest.mark.anyio
async def test_a_killed_broker_comes_back_with_cards_and_kept_sessions(
    broker: BrokerHandle, private_paths: Paths, world: BrokerWorld
) -> None:
    async with world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
    async with world.transport(ANN) as ann:
        await ann.publish(card(ANN), b"{}", retain=True)
        assert await ann.publish(inbox(BEN, ANN), b"kept") is Delivered.ACCEPTED
    saved = broker_folder(private_paths).path / "mosquitto.db"
    os.kill(broker.pid, signal.SIGUSR1)  # mosquitto's word for: save now
    assert until(lambda: saved.exists() and b"kept" in saved.read_bytes(), within_s=10)
    kill_hard(broker.pid)
    again = ensure_broker(private_paths)
    assert again.pid != broker.pid
    assert (again.endpoint_tcp, again.admin) == (broker.endpoint_tcp, broker.admin)
    async with world.transport(BEN) as ben:
        assert await taken(ben, 1) == [b"kept"]
        await ben.subscribe([card(ANN)])
        assert (await next_of(ben)).retained
    assert stop_broker(private_paths)


@pytest.mark.slow
def test_it_saves_by_itself(broker: BrokerHandle, private_paths: Paths) -> None:
    saved = broker_folder(private_paths).path / "mosquitto.db"
    assert until(saved.exists, within_s=30, every_s=0.2)


@pytest.mark.parametrize("name", ["with space", "new\nline", "per%cent #1", "ü"])
def test_any_name_of_a_folder_will_do(private_home: dict[str, str], short_dir: Path, name: str) -> None:
    home, runtime = short_dir / name / "h", short_dir / name / "r"
    for folder in (home, runtime):
        folder.mkdir(parents=True, mode=0o700)
    paths = Paths.from_env({"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)})
    handle = ensure_broker(paths)
    ann = add_login(paths, ANN)
    assert knock(handle.endpoint_unix.unix or Path(), ann, timeout_s=5) == 0
    assert stop_broker(paths)


def test_a_path_too_long_for_a_socket_is_refused_with_advice(short_dir: Path) -> None:
    runtime = short_dir / ("x" * 100)
    runtime.mkdir(mode=0o700)
    with pytest.raises(UsageError) as caught:
        ensure_broker(Paths.from_env({"HOME": str(short_dir), "XDG_RUNTIME_DIR": str(runtime)}))
    assert "XDG_RUNTIME_DIR" in caught.value.hint


def test_without_mosquitto_the_command_that_installs_it_is_told(tmp_path: Path) -> None:
    tool = tmp_path / "dnf"
    tool.touch(mode=0o755)
    with pytest.raises(MissingDependency) as caught:
        find_mosquitto(str(tmp_path), places=())
    assert "mosquitto" in str(caught.value)
    assert caught.value.hint == "sudo dnf install mosquitto"


def test_a_mosquitto_that_does_not_start_says_why(private_paths: Paths, tmp_path: Path) -> None:
    fake = tmp_path / "mosquitto"
    fake.write_text("#!/bin/sh\necho 'Error: something odd' >&2\nexit 3\n")
    fake.chmod(0o755)
    with pytest.raises(BusError, match="something odd"):
        ensure_broker(private_paths, program=fake)
    assert read_record(broker_folder(private_paths)) is None


def test_a_port_that_is_taken_between_look_and_start_is_given_up(
    private_paths: Paths, tmp_path: Path
) -> None:
    first_fails = tmp_path / "mosquitto"
    first_fails.write_text(
        "#!/bin/sh\n"
        "if [ -e tried ]; then exec "
        f'{find_mosquitto(os.environ["PATH"])} "$@"; fi\n'
        "touch tried; sleep 0 & echo $! > mosquitto.pid; wait\n"
        "echo '1: Error: Address already in use' >> mosquitto.log\n"
    )
    first_fails.chmod(0o755)
    assert ensure_broker(private_paths, program=first_fails).pid
    assert stop_broker(private_paths)
