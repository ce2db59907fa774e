"""A broker of somebody else's, named on the command line, over TLS: one that lets us in, and ones that do not."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import Journal
from agentorchestr.model.states import WorkerState
from agentorchestr.model.view import SessionView
from tests.e2e.conftest import Product
from tests.e2e.test_bus import GOAL, LISTENER, NEEDS_BROKER
from tests.e2e.test_sessions import wait_for
from tests.mqtt.secured import NEEDS_OPENSSL, PASSWORD, USER, Secured, make_certificates, secured_broker

pytestmark = [NEEDS_BROKER, NEEDS_OPENSSL]
LOGIN_FILE = "AGENTORCHESTR_BROKER_LOGIN_FILE"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    pki, folder = tmp_path_factory.mktemp("pki"), tmp_path_factory.mktemp("tls")
    with secured_broker(make_certificates(pki), folder) as made:
        yield made


def variables(secured: Secured, **files: str) -> dict[str, str]:
    return {
        f"AGENTORCHESTR_BROKER_{what.upper()}": str(path) for what, path in secured.files(**files).items()
    }


OURS = {"ca": "ours.pem"}
STRANGER = {**OURS, "cert": "stranger.pem", "key": "stranger.key"}


class Refusal(NamedTuple):
    """A way in that is shut, and what the person is told."""

    way: str
    files: dict[str, str]
    told: str
    next_step: str


@pytest.mark.parametrize(
    "shut",
    [
        Refusal(
            "open", {"ca": "theirs.pem"}, "not trusted: unable to get local issuer", "AGENTORCHESTR_BROKER_CA"
        ),
        Refusal("expired", OURS, "not trusted: certificate has expired", "renew"),
        Refusal("client", OURS, "closed the connection", "AGENTORCHESTR_BROKER_CERT"),
        Refusal("client", STRANGER, "localhost", "AGENTORCHESTR_BROKER_CERT"),
        Refusal("login", OURS, "Not authorized", "AGENTORCHESTR_BROKER_PASSWORD"),
        Refusal("open", {"ca": "nowhere.pem"}, "No such file", "PEM"),
    ],
    ids=lambda shut: f"{shut.way} {shut.next_step}",
)
def test_a_goal_does_not_start_on_a_broker_that_does_not_let_us_in(
    product: Product, repo: Path, secured: Secured, shut: Refusal
) -> None:
    named = variables(secured, **shut.files)
    done = product.run(*GOAL, "--broker", secured.url(shut.way), cwd=repo, **named)
    assert done.returncode == 1, done.stdout
    problem, hint = done.stderr.splitlines()[-2:]
    assert shut.told in problem
    assert shut.next_step in hint
    assert product.sessions() == []


def test_a_name_the_certificate_does_not_hold_is_told(product: Product, repo: Path, secured: Secured) -> None:
    url = secured.url("open", host="127.0.0.1")
    done = product.run(*GOAL, "--broker", url, cwd=repo, **variables(secured, **OURS))
    assert done.returncode == 1
    assert "not valid for '127.0.0.1'" in done.stderr
    assert "write the host as its certificate names it" in done.stderr


def test_the_doctor_tries_out_a_broker_and_says_what_it_can_do(
    product: Product, repo: Path, secured: Secured
) -> None:
    words = ("--doctor", "--json", "--broker", secured.url("client"))
    named = variables(secured, **OURS, cert="agent.pem", key="agent.key")
    done = product.run(*words, cwd=repo, **named)
    found = {one["name"]: one for one in json.loads(done.stdout)["data"]["findings"]}
    assert found["broker"]["level"] == "ok"
    for name in ("a2a_topics", "retained", "session_expiry", "will_delay", "nobody_there", "packet_bytes"):
        assert found[name]["level"] == "ok", name
    if found["shared_on_a2a"]["level"] != "ok":
        assert "granted, but nothing is delivered" in found["shared_on_a2a"]["text"]


def test_the_doctor_says_what_keeps_us_out(product: Product, repo: Path, secured: Secured) -> None:
    words = ("--doctor", "--json", "--broker", secured.url("plain"))
    done = product.run(*words, cwd=repo, **variables(secured, **OURS))
    findings = {one["name"]: one for one in json.loads(done.stdout)["data"]["findings"]}
    assert findings["broker"]["level"] == "warning"
    assert f"mqtt://localhost:{secured.ports['plain']}" in findings["broker"]["text"]


def _is_ready(view: SessionView) -> bool:
    idle = bool(view.team) and view.team[0].state is WorkerState.IDLE
    return idle and view.broker_tried is not None


def test_a_session_talks_over_tls_with_a_password_from_a_file(
    product: Product, repo: Path, secured: Secured, scenario: Callable[[str], str]
) -> None:
    login = repo.parent / "login"
    login.write_text(f"{USER}:{PASSWORD}\n")
    login.chmod(stat.S_IRUSR | stat.S_IWUSR)
    # Named from where the person stands: the supervisor runs elsewhere.
    env = {**variables(secured, **OURS), LOGIN_FILE: os.path.relpath(login, repo)}
    broker = ("--broker", secured.url("login"))
    process = product.start(
        *GOAL, *broker, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(LISTENER), **env
    )
    view = wait_for(product, _is_ready)
    to = f"{view.session_id}/w1"
    sent = product.run(
        "bus", "send", to, "the port is 7", "--wait", "acted", "--json", *broker, cwd=repo, **env
    )
    assert sent.returncode == 0, sent.stdout + sent.stderr
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    with Journal.open_read(product.paths.session(view.session_id)) as journal:
        (letter,) = [m for m in derive(journal.facts()).messages.values() if "/" in m.sender]
    assert not letter.verified, "nobody binds names to logins on this broker"
    bus = product.json("status", view.session_id, cwd=repo)["bus"]
    assert bus["problem"] is None
    assert bus["abilities"]["retained"]
    held = [path for path in product.paths.sessions.rglob("*") if path.is_file()]
    assert not [path for path in held if PASSWORD.encode() in path.read_bytes()]
    product.assert_nothing_left()
