"""mosquitto_pub and mosquitto_sub in place of an agent, in swarmbus's form and in ours."""

import json
import subprocess
from collections.abc import Callable

from agentorchestr.bus.line import Place
from agentorchestr.bus.swarmbus_login import make_swarmbus_login
from tests.bus.conftest import Shell
from tests.bus.test_command_line import data

COMPAT = ("--bus-compat", "swarmbus")


def test_a_letter_is_published_and_received_by_hand(
    shell: Shell, place: Callable[[str], Place], mosquitto_clients: tuple[str, str]
) -> None:
    publish, subscribe = mosquitto_clients
    made = make_swarmbus_login(place("swarmbus/planner"))
    login = dict(line.split("=", 1) for line in made.file.read_text().splitlines())
    where = ("-h", "127.0.0.1", "-p", str(made.port), "-q", "1", "-u", made.user)
    where = (*where, "-P", login["SWARMBUS_BROKER_PASSWORD"])
    shell.run("init", "--agent-id", "ben", *COMPAT)
    told = {"from": "planner", "to": "ben", "subject": "by hand", "body": "hello"}
    subprocess.run(
        [publish, *where, "-t", "agents/ben/inbox", "-m", json.dumps(told)], check=True, timeout=30
    )
    [letter] = data(shell.run("read", "--agent-id", "ben", *COMPAT, "--json"), "letters")["letters"]
    assert (letter["from"], letter["subject"], letter["body"], letter["verified"]) == (
        "swarmbus/planner",
        "by hand",
        "hello",
        False,
    )
    # A session first, so that the letter waits for the second visit.
    kept = ("-i", "swarmbus-planner", "-c", "-t", "agents/planner/inbox")
    subprocess.run([subscribe, *where, *kept, "-E"], check=True, timeout=30)
    shell.run("send", "swarmbus/planner", "back", "--agent-id", "ben", *COMPAT)
    heard = subprocess.run(
        [subscribe, *where, *kept, "-C", "1", "-W", "20"], check=True, timeout=30, capture_output=True
    )
    assert json.loads(heard.stdout)["body"] == "back"
