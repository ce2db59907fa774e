"""Logins of the private broker: made, known at once, taken away."""

import os
import signal
import threading
from pathlib import Path

import psutil

from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker, stop_broker
from agentorchestr.mqtt.knock import knock
from agentorchestr.mqtt.logins import add_login, remove_logins
from agentorchestr.paths import Paths
from tests.swarm.transport_contract import ANN


def test_a_login_is_not_handed_out_before_the_broker_knows_it(
    broker: BrokerHandle, private_paths: Paths
) -> None:
    os.kill(broker.pid, signal.SIGSTOP)
    waking = threading.Timer(0.5, os.kill, (broker.pid, signal.SIGCONT))
    waking.start()
    add_login(private_paths, ANN)
    assert psutil.Process(broker.pid).status() != psutil.STATUS_STOPPED
    waking.join()


def test_a_login_works_at_once_and_not_after_it_was_taken_away(
    broker: BrokerHandle, private_paths: Paths
) -> None:
    door = broker.endpoint_unix.unix or Path()
    ann = add_login(private_paths, ANN)
    assert knock(door, ann, timeout_s=5) == 0
    assert add_login(private_paths, ANN) == ann
    assert remove_logins(private_paths, [ANN])
    assert not remove_logins(private_paths, [ANN])
    assert knock(door, ann, timeout_s=5) not in {None, 0}
    assert add_login(private_paths, ANN).password != ann.password


def test_a_login_made_before_the_broker_runs_works_in_it(private_paths: Paths) -> None:
    ann = add_login(private_paths, ANN)
    handle = ensure_broker(private_paths)
    assert knock(handle.endpoint_unix.unix or Path(), ann, timeout_s=5) == 0
    assert stop_broker(private_paths)
