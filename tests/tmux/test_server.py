"""Sessions on our own server, whatever the person's configuration says."""

import sys

import pytest

from agentorchestr.clock import until
from agentorchestr.errors import MissingDependency, TmuxError, TmuxGone
from agentorchestr.tmux import panes
from agentorchestr.tmux.server import TmuxServer

from .conftest import SLEEPER

HOSTILE = """
set -g base-index 1
set -g pane-base-index 1
set -g remain-on-exit off
set -g default-command "/bin/sh -c 'echo from the default command; exit 9'"
set -g default-size 60x20
set -g window-size {window_size}
set -g destroy-unattached on
set -g exit-unattached on
set -g synchronize-panes on
set -g automatic-rename on
set -g allow-rename on
set -g pane-border-status off
set -g @theirs yes
set-hook -g pane-died 'set-option -g @their-hook ran'
"""


@pytest.fixture
def write_config(private_home):
    def write(text):
        from pathlib import Path

        Path(private_home["HOME"], ".tmux.conf").write_text(text)

    return write


def test_nothing_runs_before_the_first_session(server):
    assert not server.is_running()
    assert not server.has_session("s1")
    assert server.attached_clients("s1") == 0
    with pytest.raises(TmuxGone):
        panes.list_panes(server)
    server.end_session("s1")
    server.detach_clients("s1")
    panes.close_pane(server, "%1")


def test_a_session_is_detached_named_and_full_size(server, tmp_path):
    pane_id = server.new_session("s1", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    (row,) = panes.list_panes(server, "s1")
    assert (row.pane_id, row.session, row.window_size) == (pane_id, "s1", (200, 50))
    assert not row.dead
    assert server.has_session("s1")
    assert not server.has_session("s")
    assert server.attached_clients("s1") == 0
    server.end_session("s1")
    assert until(lambda: not server.is_running(), within_s=5)


def test_a_second_session_of_the_same_name_is_refused(server, session, tmp_path):
    with pytest.raises(TmuxError, match="duplicate"):
        server.new_session(session, window="supervisor", argv=SLEEPER, cwd=tmp_path)


@pytest.mark.parametrize("name", ["", "a.b", "a:b", "a b", "=a", "*", "$1", "ö"])
def test_a_name_that_tmux_would_change_is_refused(server, tmp_path, name):
    with pytest.raises(ValueError, match="not a name"):
        server.new_session(name, window="w", argv=SLEEPER, cwd=tmp_path)


def test_a_single_word_is_refused_because_tmux_gives_it_to_a_shell(server, session, tmp_path):
    with pytest.raises(ValueError, match="shell"):
        panes.open_pane(server, session, window="t", title="w", argv=["id"], cwd=tmp_path, lead=False)


@pytest.mark.parametrize("window_size", ["latest", "smallest", "largest", "manual"])
def test_a_hostile_configuration_loads_and_breaks_nothing(server, tmp_path, write_config, window_size):
    write_config(HOSTILE.format(window_size=window_size))
    server.new_session("s1", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    opened = [open_worker(server, tmp_path, name=f"w{n}", lead=n == 0) for n in range(7)]
    rows = {row.pane_id: row for row in panes.list_panes(server, "s1")}
    assert server.run("show-options", "-gv", "@theirs") == ["yes"]
    assert [rows[pane_id].window_index for pane_id in opened] == [2, 2, 2, 2, 2, 3, 3]
    assert {row.window_size for row in rows.values()} == {(200, 50)}
    assert not any(row.dead for row in rows.values())
    assert rows[opened[0]].width == 200
    for window in {row.window_id for row in rows.values()}:
        assert server.run("show-options", "-wv", "-t", window, "synchronize-panes") == ["off"]


def test_a_program_that_ends_at_once_keeps_its_pane_though_the_configuration_says_off(
    server, tmp_path, write_config
):
    write_config(HOSTILE.format(window_size="latest"))
    server.new_session("s1", window="supervisor", argv=("/nonexistent", "x"), cwd=tmp_path)
    pane_id = open_worker(server, tmp_path, argv=("/bin/sh", "-c", "echo last words; exit 7"))
    rows = lambda: {row.pane_id: row for row in panes.list_panes(server)}  # noqa: E731 - read again each time
    assert until(lambda: len(rows()) == 2 and all(row.dead for row in rows().values()), within_s=5)
    assert until(lambda: rows()[pane_id].dead_status == 7, within_s=5)
    assert panes.capture(server, pane_id)[0] == "last words"


def test_a_configuration_with_mistakes_still_gives_a_session(server, tmp_path, write_config):
    write_config("set -g no-such-option 1\nnot-a-command\nset -g base-index 1\n")
    server.new_session("s1", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    row = row_of(server, open_worker(server, tmp_path))
    assert (row.dead, row.in_mode) == (False, False)


def test_no_pane_runs_a_shell_or_the_default_command(server, tmp_path, write_config):
    write_config(HOSTILE.format(window_size="latest"))
    server.new_session("s1", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    script = "import os,sys,time; print(sys.argv[1:], flush=True); time.sleep(600)"
    words = ("$HOME", "a;b", ";", "#{pane_id}", "it's", "two\nlines", "", "--x", "ü")
    pane_id = open_worker(server, tmp_path, argv=(sys.executable, "-I", "-c", script, *words))
    assert until(lambda: "".join(panes.capture(server, pane_id)) == str(list(words)), within_s=10)


@pytest.mark.parametrize(
    "folder", ["two\nlines", 'it\'s "quoted"', "größe 漢字", "#{pane_id} #[x] ##", "%H $HOME;", "-x"]
)
def test_a_pane_starts_in_a_directory_of_any_name(server, tmp_path, folder):
    cwd = tmp_path / folder
    cwd.mkdir()
    script = "import os,time; open('here','w').write(os.getcwd()); time.sleep(600)"
    argv = (sys.executable, "-I", "-c", script)
    first = server.new_session("s1", window="supervisor", argv=argv, cwd=cwd)
    assert until(lambda: (cwd / "here").exists() and (cwd / "here").read_text() == str(cwd), within_s=10)
    for lead in (True, False):
        (cwd / "here").unlink()
        pane_id = open_worker(server, cwd, argv=argv, lead=lead)
        assert until(lambda: (cwd / "here").exists() and (cwd / "here").read_text() == str(cwd), within_s=10)
    assert panes.list_panes(server)[0].pane_id == first
    assert not row_of(server, pane_id).dead


def test_the_status_line_shows_text_as_it_is(server, session, tmp_path):
    text = "3 working · #[fg=red]1 ##[x] #{pane_id} ###x ## #S 100% %H #(touch pwned) #,#}#"
    server.set_status(session, text)
    outer = watch(server, session, tmp_path)
    assert until(lambda: text in last_line(server, outer), within_s=5), last_line(server, outer)
    assert not list(tmp_path.glob("pwned"))


def test_clients_are_counted_and_detached(server, session, tmp_path):
    outer = watch(server, session, tmp_path)
    assert server.attached_clients(session) == 1
    server.detach_clients(session)
    assert until(lambda: server.attached_clients(session) == 0, within_s=5)
    assert until(lambda: row_of(server, outer).dead, within_s=5)
    assert server.has_session(session)


def test_a_window_is_brought_to_the_front(server, session, tmp_path):
    lead = open_worker(server, tmp_path, lead=True)
    open_worker(server, tmp_path)
    server.select_window(lead)
    assert server.run("display-message", "-p", "-t", f"={session}:", "#{pane_id}") == [lead]


def test_the_version_is_two_numbers(server):
    assert server.version() >= (3, 0)


@pytest.mark.parametrize(
    ("told", "version"), [("tmux 3.3a", (3, 3)), ("tmux 3.0", (3, 0)), ("tmux next-3.6", (3, 6))]
)
def test_versions_are_read_as_tmux_tells_them(tmp_path, told, version):
    program = tmp_path / "tmux"
    program.write_text(f"#!/bin/sh\necho {told}\n")
    program.chmod(0o755)
    assert TmuxServer(tmp_path / "s", program=str(program)).version() == version


def test_without_tmux_the_error_says_how_to_install_it(tmp_path):
    server = TmuxServer(tmp_path / "s", env={"PATH": str(tmp_path)})
    for ask in (server.version, server.is_running, lambda: panes.list_panes(server)):
        with pytest.raises(MissingDependency) as told:
            ask()
        assert "apt-get install tmux" in told.value.hint


def test_a_tmux_that_hangs_is_an_error_in_time(tmp_path):
    program = tmp_path / "tmux"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with pytest.raises(TmuxError, match="did not answer"):
        TmuxServer(tmp_path / "s", program=str(program)).run("list-sessions", timeout_s=0.2)


def open_worker(server, cwd, *, argv=SLEEPER, name="w", lead=False):
    return panes.open_pane(server, "s1", window="team", title=name, argv=argv, cwd=cwd, lead=lead)


def row_of(server, pane_id):
    return next(row for row in panes.list_panes(server) if row.pane_id == pane_id)


def watch(server, session, cwd):
    """A terminal that shows *session*: a pane of another session of the same server."""
    argv = (
        "/usr/bin/env",
        "-u",
        "TMUX",
        "TERM=screen",
        "tmux",
        "-S",
        str(server.socket),
        "attach",
        "-t",
        session,
    )
    outer = server.new_session("outer", window="terminal", argv=argv, cwd=cwd)
    assert until(lambda: server.attached_clients(session) == 1, within_s=5)
    return outer


def last_line(server, pane_id):
    return (panes.capture(server, pane_id) or ("",))[-1]
