"""Whether names are bound to logins is tried on real brokers, with rules and without."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.binding import binds_names
from agentorchestr.mqtt.broker import BrokerHandle, find_mosquitto
from agentorchestr.mqtt.broker_files import ACL, hashed
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from tests.mqtt.secured import answers, free_port
from tests.swarm.transport_contract import ANN, BEN, taken

pytestmark = pytest.mark.anyio
LOGIN = Login(str(ANN), "secret")
BY_CLIENT_ID = ACL.replace("%u", "%c")
Serve = Callable[..., Endpoint]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a mosquitto with rules of one's own."""
    running: list[subprocess.Popen[bytes]] = []

    def start(rules: str, *lines: str) -> Endpoint:
        port = free_port()
        (tmp_path / "passwd").write_text(f"{hashed(LOGIN.user, LOGIN.password)}\n")
        (tmp_path / "acl").write_text(rules)
        text = (f"listener {port} 127.0.0.1", "user root", *lines, f"password_file {tmp_path}/passwd")
        (tmp_path / "conf").write_text("\n".join((*text, f"acl_file {tmp_path}/acl", "")))
        for file in ("passwd", "acl"):
            (tmp_path / file).chmod(0o600)
        argv = [find_mosquitto(""), "-c", str(tmp_path / "conf")]
        running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        assert until(lambda: answers(port), within_s=10)
        return Endpoint(host="127.0.0.1", port=port)

    yield start
    for child in running:
        child.terminate()
        child.wait(10)


async def test_our_own_broker_binds_names(broker: BrokerHandle, private_paths: Paths) -> None:
    login = add_login(private_paths, ANN)
    assert await binds_names(broker.endpoint_tcp, login, ANN)


async def test_a_login_is_not_bound_to_a_name_it_may_not_use(
    broker: BrokerHandle, private_paths: Paths
) -> None:
    assert not await binds_names(broker.endpoint_tcp, add_login(private_paths, ANN), BEN)


async def test_rules_by_login_bind_names_whatever_the_client_id(serve: Serve) -> None:
    assert await binds_names(serve(ACL), LOGIN, ANN)


@pytest.mark.parametrize("rules", [BY_CLIENT_ID, "pattern readwrite #\n"], ids=["by client id", "none"])
async def test_who_may_choose_a_name_is_not_bound_to_it(serve: Serve, rules: str) -> None:
    assert not await binds_names(serve(rules), LOGIN, ANN)


async def test_the_trial_takes_nothing_of_what_was_kept(serve: Serve) -> None:
    endpoint = serve(f"{ACL}\nuser {ANN}\ntopic readwrite kept/#\n", "use_username_as_clientid true")
    mine = MqttConnection(endpoint, client_id=str(ANN), login=LOGIN, will=None, session_expiry_s=300)
    async with mine as line:
        await line.subscribe(["kept/#"])
        await line.publish("kept/for/me", b"first")  # not acknowledged, so it is kept
    assert await binds_names(endpoint, LOGIN, ANN)
    again = MqttConnection(endpoint, client_id=str(ANN), login=LOGIN, will=None, session_expiry_s=300)
    async with again as line:
        assert await taken(line, 1) == [b"first"]


async def test_no_broker_and_no_entry_are_told(serve: Serve) -> None:
    endpoint = serve(ACL)
    with pytest.raises(CarrierRefused):
        await binds_names(endpoint, Login(str(ANN), "wrong"), ANN)
    async with asyncio.timeout(60):
        with pytest.raises(CarrierGone):
            await binds_names(Endpoint(host="127.0.0.1", port=free_port()), LOGIN, Address("o", "u", "a"))
