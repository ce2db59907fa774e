"""The launcher becomes the agent, with exactly the environment, words and directory it was given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentorchestr import shim

SHIM = Path(shim.__path__[0])
TELL = "import os, sys, json; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]))"


def launch(tmp_path, content, *, env=None):
    path = tmp_path / "launch.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    argv = [sys.executable, "-I", "-S", str(SHIM / "launcher.py"), str(path)]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    out, err = child.communicate(timeout=20)
    return child, out.decode(errors="surrogateescape"), err.decode()


def test_the_program_gets_the_words_the_environment_and_the_directory(tmp_path):
    cwd = tmp_path / "two\nlines 'ü'"
    cwd.mkdir()
    words = ["$HOME", "a;b", "", "two\nlines", "größe", "--x"]
    env = {
        "ONLY": "this one",
        "SECRET": "ü\n=x",
        "LINES": "1",
        "COLUMNS": "2",
        "TERM": "dumb",
        "LC_CTYPE": "C.UTF-8",
    }
    wish = {"argv": [sys.executable, "-I", "-c", TELL, *words], "env": env, "cwd": str(cwd)}
    child, out, err = launch(tmp_path, wish, env={"TERM": "tmux-256color", "LEAKS": "1", "PYTHONPATH": "/x"})
    assert (child.returncode, err) == (0, "")
    got_words, got_env, got_cwd, pid = json.loads(out)
    assert got_words == words
    assert got_env == {"ONLY": "this one", "SECRET": "ü\n=x", "TERM": "tmux-256color", "LC_CTYPE": "C.UTF-8"}
    assert got_cwd == str(cwd)
    # Become, not start: the pane's process is the agent itself.
    assert pid == child.pid


def test_names_that_are_not_utf8_arrive_under_any_locale(tmp_path):
    name = os.fsdecode(b"raw-\xff\xc3\xbc")
    wish = {"argv": ["/bin/sh", "-c", 'echo "$1 $X"', "sh", name], "env": {"X": name}, "cwd": str(tmp_path)}
    for locale in ("C", "C.UTF-8"):
        child, out, err = launch(tmp_path, wish, env={"LC_ALL": locale})
        assert (child.returncode, out, err) == (0, f"{name} {name}\n", "")


def test_a_broken_pipe_ends_the_agent_as_usual(tmp_path):
    wish = {"argv": ["/bin/sh", "-c", "kill -PIPE $$; echo survived"], "env": {}, "cwd": str(tmp_path)}
    child, out, _ = launch(tmp_path, wish)
    assert (child.returncode, out) == (-13, "")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json", "cannot read the launch file"),
        ("[]", "must hold an object"),
        ({"argv": [], "env": {}, "cwd": "/"}, "argv must be"),
        ({"argv": ["ls"], "env": {}, "cwd": "/"}, "absolute path"),
        ({"argv": ["/bin/ls", 1], "env": {}, "cwd": "/"}, "a word of argv"),
        ({"argv": ["/bin/ls"], "env": {"A": 1}, "cwd": "/"}, "the variable A"),
        ({"argv": ["/bin/ls"], "env": {"A=B": "x"}, "cwd": "/"}, "cannot start"),
        ({"argv": ["/bin/ls"], "env": {}}, "cwd must be"),
        ({"argv": ["/bin/ls"], "env": {}, "cwd": "/nonexistent\nx"}, "cannot enter the directory"),
        ({"argv": ["/nonexistent/agent"], "env": {"KEY": "hunter2"}, "cwd": "/"}, "No such file"),
    ],
)
def test_a_launch_that_fails_says_why_in_one_line_without_secrets(tmp_path, content, says):
    child, out, err = launch(tmp_path, content)
    assert child.returncode == 127
    assert out == ""
    assert err.startswith("agentorchestr: ")
    assert says in err
    assert err.count("\n") == 1
    assert "hunter2" not in err


def test_without_a_launch_file_it_says_how_to_use_it():
    for words in ([], ["/nonexistent/launch.json"], ["a", "b"]):
        argv = [sys.executable, "-I", "-S", str(SHIM / "launcher.py"), *words]
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (127, 1)


def test_the_sentinel_becomes_the_program_and_has_no_child(tmp_path):
    script = "import os, sys; print(os.getpid(), sys.argv[1:])\ntry: os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError: print('childless')"
    argv = [sys.executable, "-I", "-S", str(SHIM / "sentinel.py"), sys.executable, "-I", "-c", script, "a b"]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE)
    out, _ = child.communicate(timeout=20)
    assert out.decode().splitlines() == [f"{child.pid} ['a b']", "childless"]


def test_a_sentinel_without_a_program_says_so():
    for words in ([], ["/nonexistent/program"]):
        argv = [sys.executable, "-I", "-S", str(SHIM / "sentinel.py"), *words]
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        assert (done.returncode, done.stderr.count(b"\n")) == (127, 1)
