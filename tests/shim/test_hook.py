"""The hook shim: quick, silent, always 0, and an event is whole or not there."""

import contextlib
import json
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentorchestr import shim

SHIM = Path(shim.__path__[0])


def run(name, *words, stdin=b""):
    argv = [sys.executable, "-I", "-S", str(SHIM / name), *map(str, words)]
    return subprocess.run(argv, input=stdin, capture_output=True, timeout=20, check=False, cwd="/")


def test_a_payload_is_spooled_whole_and_private(tmp_path):
    payload = {"hook_event_name": "Stop", "text": 'größe\n"quoted" 🙂', "n": [1, None, True]}
    before = time.time_ns()
    done = run("hook.py", tmp_path, "w1", stdin=json.dumps(payload).encode())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (path,) = tmp_path.iterdir()
    stamp, pid = path.name.removesuffix(".json").split("-")
    assert before < int(stamp) < time.time_ns()
    assert pid.isdecimal()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    event = json.loads(path.read_text())
    assert (event["worker_id"], event["payload"]) == ("w1", payload)
    assert abs(event["at"] - time.time()) < 20


@pytest.mark.parametrize("name", ["hook.py", "pane_died.py"])
def test_the_bell_rings_after_the_event_is_there_even_under_a_long_path(tmp_path, name, monkeypatch):
    folder = tmp_path / ("long" * 20) / ("path" * 20)
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind("bell")
        bell.settimeout(10)
        run(name, folder, "w1", stdin=b"{}")
        assert bell.recv(10) == b"1"
        assert len(list(folder.glob("*.json"))) == 1


def test_a_full_bell_stops_nobody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind("bell")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ringer:
            ringer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    ringer.sendto(b"1", "bell")
        assert run("hook.py", tmp_path, "w1", stdin=b"{}").returncode == 0
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_a_payload_over_the_limit_keeps_what_says_which_event_it_was(tmp_path):
    # The agents send the names before the long text.
    raw = json.dumps({"session_id": "abc", "hook_event_name": "Stop", "text": "x" * (2 << 20)}).encode()
    done = run("hook.py", tmp_path, "w1", stdin=raw)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (event,) = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    told = event["payload"]
    assert (told["unreadable"], told["hook_event_name"], told["session_id"]) == ("too large", "Stop", "abc")
    assert len(told["head"]) == 4096


def test_an_agent_never_writes_into_a_closed_pipe(tmp_path):
    argv = [sys.executable, "-I", "-S", str(SHIM / "hook.py"), str(tmp_path), "w1"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        for _ in range(64):
            child.stdin.write(b"x" * (1 << 18))
            child.stdin.flush()
    assert child.returncode == 0


@pytest.mark.parametrize("raw", [b"", b"no json", b"\xff\xfe{}", b'{"half": ', b"[" * 200_000])
def test_what_is_no_json_is_spooled_as_such(tmp_path, raw):
    done = run("hook.py", tmp_path, "w1", stdin=raw)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (event,) = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    assert event["payload"]["unreadable"] == "no JSON"


@pytest.mark.parametrize("words", [[], ["/nonexistent/spool", "w1"], ["/proc", "w1"], ["a", "b", "c"]])
@pytest.mark.parametrize("name", ["hook.py", "pane_died.py", "revive.py"])
def test_a_shim_that_cannot_work_says_nothing_and_ends_with_0(name, words):
    done = run(name, *words, stdin=b"{}")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_dead_pane_is_spooled(tmp_path):
    run("pane_died.py", tmp_path, "%3")
    (event,) = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert (event["pane_id"], event["died"], sorted(event)) == ("%3", True, ["at", "died", "pane_id"])


def test_a_hundred_events_at_once_are_all_there(tmp_path):
    argv = [sys.executable, "-I", "-S", str(SHIM / "hook.py"), str(tmp_path), "w1"]
    shims = [subprocess.Popen(argv, stdin=subprocess.PIPE) for _ in range(100)]
    for number, one in enumerate(shims):
        one.communicate(json.dumps({"n": number}).encode(), timeout=60)
    events = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
    assert sorted(event["payload"]["n"] for event in events) == list(range(100))


def test_no_shim_imports_anything_of_ours_or_from_outside():
    import ast

    for path in SHIM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, path.name
