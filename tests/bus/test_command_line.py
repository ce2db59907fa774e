"""``agentorchestr bus …`` as a person types it: real processes, a real broker."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.model.carrier import Delivered
from agentorchestr.mqtt.endpoint import parse_broker_url, read_login
from agentorchestr.mqtt.post import Parcel, post
from agentorchestr.paths import Paths
from tests.bus.conftest import Shell

CONTROLS = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


def data(done: subprocess.CompletedProcess[bytes], kind: str):
    assert done.stdout, done.stderr.decode()
    document = json.loads(done.stdout)
    assert (document["schema"], document["kind"]) == ("agentorchestr/1", kind)
    return document["data"]


def problem(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 1
    assert done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith("agentorchestr: "), lines
    assert len(lines) <= 2
    assert not any("Traceback" in line for line in lines)
    return lines[0].removeprefix("agentorchestr: ")


def entries(file) -> list[str]:
    found = (
        re.findall(r"^<!-- agentorchestr (\{.*\}) -->$", file.read_text(), re.MULTILINE)
        if file.exists()
        else []
    )
    return [json.loads(one)["id"] for one in found]


def send(shell: Shell, *words: str, to: str = "ben") -> dict:
    [one] = data(shell.run("send", to, *words, "--json"), "sent")["letters"]
    return one


def test_up_and_down(shell):
    first = data(shell.run("up", "--json"), "broker")
    assert data(shell.run("up", "--json"), "broker")["pid"] == first["pid"]
    assert shell.run("down").stdout == b"the broker was ended\n"
    assert shell.run("down").stdout == b"no broker ran\n"


def test_doctor_tells_what_the_broker_can_do(shell):
    told = data(shell.run("doctor", "--json"), "broker_doctor")
    assert told["reachable"]
    assert told["abilities"]["retained"]
    assert told["abilities"]["session_expiry"]
    assert told["abilities"]["shared"]
    assert not told["abilities"]["shared_on_a2a"]


def test_doctor_says_when_there_is_no_broker(shell):
    done = shell.run("doctor", "--broker", "mqtt://127.0.0.1:1", "--json")
    assert done.returncode == 2
    assert data(done, "broker_doctor")["reachable"] is False


def test_a_message_goes_into_the_inbox_file_and_is_read_once(shell, tmp_path):
    inbox = tmp_path / "ben.md"
    shell.run("up")
    shell.start("--agent-id", "ben", "--inbox", "ben.md")
    sent = send(shell, "the body", "--subject", "the subject", "--agent-id", "ann", "--wait", "received")
    assert sent["state"] in {"received", "handed"}
    assert until(lambda: entries(inbox) == [sent["id"]], within_s=10)
    [got] = data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"]
    assert (got["from"], got["subject"], got["body"], got["verified"]) == (
        "ann",
        "the subject",
        "the body",
        True,
    )
    assert data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"] == []


def test_bodies_come_from_a_file_or_a_pipe(shell, tmp_path):
    (tmp_path / "body.md").write_text("from a file 💡\n")
    send(shell, "--file", "body.md")
    assert shell.run("send", "ben", stdin=b"from a pipe").returncode == 0
    assert shell.run("send", "ben", "--file", "-", stdin=b"named pipe").returncode == 0
    shell.start("--agent-id", "ben")
    assert until(
        lambda: (
            len(data(shell.run("read", "--keep", "--agent-id", "ben", "--json"), "letters")["letters"]) == 3
        ),
        within_s=15,
    )
    bodies = [
        one["body"] for one in data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"]
    ]
    assert sorted(bodies) == ["from a file 💡\n", "from a pipe", "named pipe"]


def test_what_cannot_be_sent_is_one_clear_line(shell, tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "large").write_bytes(b"x" * 16_777_217)
    assert "not UTF-8 (at byte 4)" in problem(shell.run("send", "ben", stdin=b"caf\xe9"))
    assert "16 MiB" in problem(shell.run("send", "ben", "--file", "large"))
    assert "cannot be read" in problem(shell.run("send", "ben", "--file", "missing"))
    assert "twice" in problem(shell.run("send", "ben", "x", "--file", "latin"))
    assert "not UTF-8" in problem(shell.run("send", "ben", b"caf\xe9"))
    assert "one line" in problem(shell.run("send", "ben", "x", "--subject", "a\nb"))
    assert "not the name" in problem(shell.run("send", "ben\n", "x"))
    assert "not the name" in problem(shell.run("send", "../ben", "x"))
    assert "not the name" in problem(shell.run("send", "ben", "x", "--agent-id", ".."))
    assert "not a duration" in problem(shell.run("send", "ben", "x", "--expires", "soon"))
    assert "30 years" in problem(shell.run("send", "ben", "x", "--expires", "999999999"))
    assert "not a duration" in problem(shell.run("send", "ben", "x", "--expires", "10000000h"))
    assert "no such home" in problem(shell.run("send", "ben", "x", "--outbox", "~no-such-user/{agent_id}.md"))
    assert "process list" in problem(shell.run("send", "ben", "x", "--broker", "mqtt://u:secret@h"))
    assert "no such command" in problem(shell.run("sned", "ben", "x"))


def test_a_message_to_nobody_is_kept_and_says_so(shell):
    done = shell.run("send", "ben", "x")
    assert done.returncode == 0
    assert done.stdout.startswith(b"kept for ben: nobody there")
    assert send(shell, "y", "--wait", "received", "--timeout", "0.5s")["state"] == "stored"
    assert shell.run("send", "ben", "z", "--wait", "received", "--timeout", "0.3").returncode == 2


def test_a_message_to_many_and_to_all(shell):
    shell.run("up")
    for name in ("ben", "cat"):
        shell.start("--agent-id", name)
    many = data(shell.run("send", "ben,cat,ben", "x", "--wait", "received", "--json"), "sent")["letters"]
    assert [(one["to"], one["state"]) for one in many] == [("ben", "received"), ("cat", "received")]
    assert send(shell, "to everybody", to="all")["to"] == "all"

    def bodies(name):
        letters = data(shell.run("tail", "--agent-id", name, "--json"), "letters")["letters"]
        return [one["body"] for one in letters]

    assert until(lambda: bodies("ben") == bodies("cat") == ["x", "to everybody"], within_s=10)


def test_watch_takes_one_and_leaves_the_rest(shell):
    shell.run("up")
    shell.start("--agent-id", "ben")
    waiting: list[subprocess.CompletedProcess[bytes]] = []
    watcher = threading.Thread(
        target=lambda: waiting.append(shell.run("watch", "--agent-id", "ben", "--json"))
    )
    watcher.start()
    for number in range(3):
        send(shell, f"number {number}")
    watcher.join()
    [one] = data(waiting[0], "letters")["letters"]
    assert one["body"] == "number 0"
    assert until(lambda: b"number 2" in shell.run("tail", "--agent-id", "ben").stdout, within_s=10)
    rest = data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"]
    assert [one["body"] for one in rest] == ["number 1", "number 2"]
    assert shell.run("watch", "--agent-id", "ben", "--timeout", "0.2s").returncode == 1


def test_each_consumer_sees_each_message_once(shell):
    for number in range(3):
        send(shell, f"number {number}")
    shell.start("--agent-id", "ben")

    def tail(*words):
        letters = data(shell.run("tail", "--agent-id", "ben", "--json", *words), "letters")["letters"]
        return [one["body"] for one in letters]

    assert until(lambda: len(tail()) == 3, within_s=10)
    assert tail("-n", "2") == ["number 1", "number 2"]
    assert tail("-n", "0") == []
    assert tail("--consumer", "a") == ["number 0", "number 1", "number 2"]
    assert tail("--consumer", "a") == []
    assert len(tail("--consumer", "b")) == 3
    assert len(tail("--consumer", "a", "--reset")) == 3
    assert "not the name of a consumer" in problem(
        shell.run("tail", "--agent-id", "ben", "--consumer", "../x")
    )


def test_tail_follows(shell):
    shell.run("up")
    shell.start("--agent-id", "ben")
    child = subprocess.Popen(
        shell.argv("tail", "--follow", "--agent-id", "ben"), env=shell.env, stdout=subprocess.PIPE
    )
    try:
        for number in range(2):
            send(shell, f"number {number}")
            assert child.stdout is not None
            heading, body = child.stdout.readline(), child.stdout.readline()
            assert b"person" in heading
            assert body == f"    number {number}\n".encode()
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 130
    finally:
        child.kill()
        child.communicate()


def test_a_daemon_killed_with_a_backlog_handles_all_and_none_twice(shell, tmp_path):
    """Of 100 messages with a slow command, by SIGKILL and then by SIGTERM."""
    log = tmp_path / "log"
    log.touch()
    (tmp_path / "work.sh").write_text(f'sleep 0.03; echo "$AGENTORCHESTR_LETTER_ID" >> {log}\n')
    shell.run("up")
    words = ("--agent-id", "ben", "--invoke", "sh work.sh", "--inbox", "ben.md", "--archive", "ben.sqlite")
    child = shell.start(*words)
    sent = [send(shell, f"number {number}")["id"] for number in range(4)]
    script = "from agentorchestr.bus.quick import send_now\n"
    script += "from agentorchestr.bus.line import Place\nfrom agentorchestr.bus.names import address_of\n"
    script += "from agentorchestr.bus.letters import make_letter\nimport os\n"
    script += "p = Place.of(os.environ, address_of('ann'))\n"
    script += "ls = [make_letter(p.me, address_of('ben'), str(n)) for n in range(96)]\n"
    script += "send_now(p, ls)\nprint(*(l.letter_id for l in ls))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=shell.env, capture_output=True, text=True, check=True, timeout=60
    )
    sent += done.stdout.split()

    def lines() -> list[str]:
        return log.read_text().split()

    for sig, after in ((signal.SIGKILL, 10), (signal.SIGTERM, 30), (signal.SIGKILL, 60)):
        assert until(lambda after=after: len(lines()) >= after, within_s=60)
        child.send_signal(sig)
        child.wait(timeout=10)
        child = shell.start(*words)
    assert until(lambda: len(lines()) >= 100, within_s=60)
    assert until(lambda: len(entries(tmp_path / "ben.md")) >= 100, within_s=20)
    assert sorted(lines()) == sorted(sent)
    assert sorted(entries(tmp_path / "ben.md")) == sorted(sent)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_presence_is_right_however_a_daemon_ends(shell, sig):
    shell.run("up")
    child = shell.start("--agent-id", "ben", "--skill", "review")

    def is_online():
        [ben] = data(shell.run("list", "--json"), "agents")["agents"]
        return ben["online"]

    assert until(is_online, within_s=10)
    child.send_signal(sig)
    code = child.wait(timeout=10)
    assert code == (0 if sig != signal.SIGKILL else -signal.SIGKILL)
    # The broker waits a moment before it says that a lost agent is gone.
    assert until(lambda: not is_online(), within_s=2 if sig != signal.SIGKILL else 15)


def test_a_second_instance_is_refused_and_sending_beside_the_first_works(shell):
    shell.run("up")
    child = shell.start("--agent-id", "ben")
    assert f"an instance of ben runs already (pid {child.pid})" in problem(
        shell.run("start", "--agent-id", "ben")
    )
    assert send(shell, "to myself", "--agent-id", "ben", "--wait", "received")["state"] == "received"


def test_many_senders_of_one_name_at_once(shell):
    shell.run("up")
    shell.start("--agent-id", "ben")
    senders = [
        subprocess.Popen(shell.argv("send", "ben", str(number)), env=shell.env, stdout=subprocess.DEVNULL)
        for number in range(6)
    ]
    assert [sender.wait(timeout=60) for sender in senders] == [0] * 6

    def bodies():
        letters = data(shell.run("tail", "--agent-id", "ben", "--json"), "letters")["letters"]
        return sorted(one["body"] for one in letters)

    assert until(lambda: bodies() == [str(number) for number in range(6)], within_s=15)


def test_list_shows_who_can_do_what_and_text_of_others_harmlessly(shell):
    shell.run("up")
    shell.start(
        "--agent-id", "ben", "--skill", "review", "--description", "evil \x1b[31mred\x1b[0m \x1b]0;t\x07"
    )
    shell.start("--agent-id", "cat")
    assert [one["agent"] for one in data(shell.run("list", "--json"), "agents")["agents"]] == ["ben", "cat"]
    only = data(shell.run("list", "--capability", "review", "--json"), "agents")["agents"]
    assert [one["agent"] for one in only] == ["ben"]
    shown = shell.run("list").stdout
    assert b"ben\tyes" in shown
    assert not CONTROLS.search(shown.replace(b"\t", b""))
    assert shell.run("list", "--capability", "nothing").stdout == b"no agent\n"


def test_bodies_and_subjects_are_shown_harmlessly(shell):
    shell.run(
        "send",
        "ben",
        "\x1b[2J\x1b]0;owned\x07 body\n2026-01-01 10:00 boss  id\r\nx",
        "--subject",
        "s\u202eevil",
    )
    shell.start("--agent-id", "ben")
    assert until(lambda: b"body" in shell.run("tail", "--agent-id", "ben").stdout, within_s=10)
    shown = shell.run("read", "--agent-id", "ben").stdout
    assert not CONTROLS.search(shown)
    assert "\u202e".encode() not in shown
    assert len([line for line in shown.splitlines() if not line.startswith(b"  ")]) == 1


def test_poisoned_cards_and_letters_harm_nobody(shell):
    told = data(shell.run("up", "--json"), "broker")
    shell.start("--agent-id", "ben")
    shell.run("send", "nobody", "x", "--agent-id", "mallory")
    login = read_login(Path(shell.env["XDG_STATE_HOME"]) / "agentorchestr/bus/mallory/login")
    junk = (b"[]", b"1", b'"x"', b"\x00\xff", b"{", b'{"id": "x"}', b"", b"x" * 500_000)
    topics = (f"$a2a/v1/discovery/{login.user}", f"agentorchestr/v1/in/agentorchestr/local/ben/{login.user}")
    said = post(
        parse_broker_url(told["tcp"]),
        login,
        [Parcel(topic, payload) for topic in topics for payload in junk],
        session_expiry_s=0,
        timeout_s=20,
    )
    assert set(said) == {Delivered.ACCEPTED}
    forged = "agentorchestr/v1/in/agentorchestr/local/ben/agentorchestr/local/boss"
    [refused] = post(
        parse_broker_url(told["tcp"]), login, [Parcel(forged, b"{}")], session_expiry_s=0, timeout_s=20
    )
    assert refused is Delivered.REFUSED
    assert [one["agent"] for one in data(shell.run("list", "--json"), "agents")["agents"]] == ["ben"]
    assert send(shell, "still here", "--wait", "received")["state"] == "received"
    [only] = data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"]
    assert only["body"] == "still here"


def test_ask_shows_the_answer_of_a_command(shell):
    shell.run("up")
    shell.start("--agent-id", "ben", "--invoke", "tr a-z A-Z")
    done = shell.run("ask", "ben", "what is it")
    assert (done.returncode, done.stdout) == (0, b"WHAT IS IT\n")
    # Beside a running instance of the one who asks.
    shell.start("--agent-id", "ann")
    answer = data(shell.run("ask", "ben", "again", "--agent-id", "ann", "--json"), "answer")["answer"]
    assert answer["body"] == "AGAIN"
    assert data(shell.run("read", "--agent-id", "ann", "--json"), "letters")["letters"] == []


def test_ask_says_why_there_is_no_answer(shell):
    shell.run("up")
    shell.start("--agent-id", "ben", "--invoke", "sh -c 'echo broken >&2; exit 4'")
    done = shell.run("ask", "ben", "what")
    assert done.returncode == 2
    assert b"ended with 4: broken" in done.stderr
    done = shell.run("ask", "nobody", "what", "--timeout", "3s")
    assert done.returncode == 2
    # A slow machine learns of the missing receiver only after the question expired.
    assert b"nobody" in done.stderr or b"no receipt came" in done.stderr


def test_sent_messages_are_noted_in_the_outbox_file(shell, tmp_path):
    shell.env.update(
        {"AGENTORCHESTR_OUTBOX": "sent-{agent_id}.md", "AGENTORCHESTR_OUTBOX_ANN_1": "special.md"}
    )
    one = send(shell, "x", "--agent-id", "ann-1")
    two = send(shell, "y", "--agent-id", "cat")
    shell.env["AGENTORCHESTR_OUTBOX_ANN_1"] = ""
    three = send(shell, "z", "--agent-id", "ann-1")
    four = send(shell, "z", "--agent-id", "cat", "--outbox", "own.md")
    assert entries(tmp_path / "special.md") == [one["id"]]
    assert entries(tmp_path / "sent-cat.md") == [two["id"]]
    assert entries(tmp_path / "sent-ann-1.md") == [three["id"]]
    assert entries(tmp_path / "own.md") == [four["id"]]
    assert "To: ben" in (tmp_path / "own.md").read_text()


def test_init_makes_a_mailbox_that_keeps_what_comes(shell):
    shell.run("up")
    made = data(shell.run("init", "--agent-id", "ben", "--json"), "mailbox")
    assert made["address"] == "agentorchestr/local/ben"
    assert send(shell, "early")["state"] == "sent"
    [got] = data(shell.run("read", "--agent-id", "ben", "--json"), "letters")["letters"]
    assert got["body"] == "early"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--inbox", "in box.md"),
        ("--invoke", "sh -c 'echo $HOME 100%'", "--at-once", "2", "--time-limit", "30s"),
        ("--archive", 'a "quoted" \\ file', "--skill", "a", "--skill", "b", "--description", "it's"),
        ("--broker", "mqtts://host:8883", "--login-file", "login"),
    ],
)
def test_a_systemd_unit_holds_every_option(shell, tmp_path, words):
    done = shell.run("init", "--agent-id", "ben", "--systemd", *words)
    text = done.stdout.decode()
    assert "start" in text
    assert not (tmp_path.parent / "bus").exists()
    for word in words:
        if word.startswith("--"):
            assert f'"{word}"' in text
    if "--invoke" in words:
        # Neither variables nor specifiers of systemd have an effect.
        assert "\"sh -c 'echo $$HOME 100%%'\"" in text
    if (verify := shutil.which("systemd-analyze")) is None:
        return
    unit = tmp_path / "agentorchestr-bus-ben.service"
    unit.write_text(text)
    verified = subprocess.run(
        [verify, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "agentorchestr-bus-ben" not in verified.stderr, verified.stderr


def test_tasks_are_listed(shell):
    assert shell.run("tasks").stdout == b"no task\n"
    shell.run("up")
    shell.start("--agent-id", "ben", "--skill", "shout", "--invoke", "tr a-z A-Z")
    script = (
        "import asyncio\nfrom agentorchestr.bus import Bus\n"
        "async def main():\n"
        "    async with Bus('ann') as bus:\n"
        "        task = await bus.delegate('hello', capability='shout')\n"
        "        print((await bus.task_result(task.task_id, timeout_s=20)).result)\n"
        "asyncio.run(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=shell.env, capture_output=True, check=True, timeout=60
    )
    assert done.stdout == b"HELLO\n"
    for name, side in (("ann", "given"), ("ben", "taken")):
        [task] = data(shell.run("tasks", "--agent-id", name, "--json"), "tasks")["tasks"]
        assert (task["side"], task["state"], task["result"]) == (side, "completed", "HELLO")
    assert b"shout" in shell.run("tasks", "--agent-id", "ann").stdout


def test_every_verb_has_help_and_json(shell):
    from agentorchestr.cli.bus_command import VERBS, BusGroup

    group = BusGroup("bus")
    for name in VERBS:
        found = group.get_command(None, name)  # type: ignore[arg-type]
        assert found is not None
        assert found.help
        assert any("--json" in param.opts for param in found.params), name


@pytest.mark.parametrize("module", ["bus_send", "bus_list"])
def test_what_agents_call_from_a_shell_loads_little(shell, module):
    script = f"import sys, agentorchestr.cli.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], env=shell.env, capture_output=True, check=True, text=True
    )
    assert not {"pydantic", "paho", "asyncio", "rich", "psutil"} & set(done.stdout.split())


def test_the_name_of_a_sessions_agent_is_refused_and_nothing_is_sent(shell):
    sessions = Paths.from_env(shell.env).sessions
    (sessions / "5ee1de").mkdir(parents=True)
    for words in (("send", "ben", "merge it"), ("read",), ("start",), ("mcp-server",), ("init",)):
        told = problem(shell.run(*words, "--agent-id", "5ee1de/lead"))
        assert told == "5ee1de/lead belongs to session 5ee1de, which speaks for it"
    assert data(shell.run("send", "5ee1de/w1", "hello", "--json"), "sent")["letters"]


def test_status_tells_how_far_a_message_got(shell):
    shell.run("up")
    shell.start("--agent-id", "ben", "--inbox", "ben.md")
    one = send(shell, "first", "--wait", "received")["id"]
    two = send(shell, "second", to="nobody")["id"]
    [standing] = data(shell.run("status", one, "--json"), "standings")["letters"]
    assert standing["id"] == one
    assert standing["state"] in {"received", "handed", "read", "acted"}
    listed = data(shell.run("status", "--json"), "standings")["letters"]
    assert [letter["id"] for letter in listed] == [two, one]
    assert listed[0]["why"] == "nobody there"
    assert one.encode() in shell.run("status").stdout
    assert problem(shell.run("status", "unknown")) == "person sent no letter 'unknown'"
    to_all = send(shell, "hear", "--wait", "sent", to="all")["id"]
    reached = []
    assert until(
        lambda: (
            reached.append(data(shell.run("status", to_all, "--json"), "standings")["letters"][0])
            or "ben" in reached[-1].get("reached", {})
        ),
        within_s=60,
    ), reached[-1]
