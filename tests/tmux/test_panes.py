"""Panes: one exact listing, a readable layout, and nothing left half-way."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentorchestr.clock import until
from agentorchestr.errors import PaneGone, TmuxError, TmuxGone
from agentorchestr.tmux import panes
from agentorchestr.tmux.layout import team_layout
from agentorchestr.tmux.server import TmuxServer

from .conftest import SLEEPER


def test_a_listing_survives_newlines_and_forged_rows_in_names(server, session, tmp_path):
    forged = "x\n%9|@9|9|forged"
    # argv[0] is what tmux shows as the running command.
    script = f"import os,sys; os.execv(sys.executable, [{forged!r}, '-I', '-S', '-c', 'import time; time.sleep(600)'])"
    pane_id = open_worker(
        server, tmp_path, argv=(sys.executable, "-I", "-c", script), title="a\nb #[fg=red]| ü"
    )
    assert until(lambda: row_of(server, pane_id).command.startswith("x"), within_s=5)
    rows = panes.list_panes(server, session)
    assert [row.pane_id for row in rows] == ["%0", pane_id]
    assert rows[1].title == "a b [fg=red]| ü"
    assert rows[1].command == "x %9|@9|9|forged"


def test_a_listing_tells_how_a_program_ended(server, session, tmp_path):
    clean = open_worker(server, tmp_path, argv=("/bin/sh", "-c", "exit 0"))
    red = open_worker(server, tmp_path, argv=("/bin/sh", "-c", "exit 3"))
    killed = open_worker(server, tmp_path)
    living = open_worker(server, tmp_path)
    os.kill(row_of(server, killed).pid, signal.SIGKILL)
    # pane_dead_signal came with tmux 3.3; a status may be told a moment after the death.
    expected = {clean: 0, red: 3, killed: -9 if server.version() >= (3, 3) else None}
    statuses = lambda: {key: row_of(server, key).dead_status for key in expected}  # noqa: E731 - read again each time
    assert until(lambda: statuses() == expected, within_s=5), statuses()
    assert all(row_of(server, pane_id).dead for pane_id in expected)
    assert (row_of(server, living).dead, row_of(server, living).dead_status) == (False, None)


def test_the_title_stays_ours_when_the_program_sets_its_own(server, session, tmp_path):
    script = (
        "import time\nwhile True: print('\\033]2;mine\\007\\033kmine\\033\\\\', flush=True); time.sleep(0.05)"
    )
    argv = (sys.executable, "-I", "-S", "-c", script)
    pane_id = open_worker(server, tmp_path, argv=argv, title="w1 codex", worker_id="w1")
    assert until(lambda: row_of(server, pane_id).program_title == "mine", within_s=5)
    row = row_of(server, pane_id)
    assert (row.title, row.worker_id, row.team) == ("w1 codex", "w1", "team")
    assert server.run("display-message", "-p", "-t", pane_id, "#{window_name}") == ["team"]
    border = server.run("display-message", "-p", "-t", pane_id, "#{T:pane-border-format}")
    assert border == [" w1 codex "]


def test_the_lead_has_the_upper_half_and_the_workers_two_columns_below(server, session, tmp_path):
    lead = open_worker(server, tmp_path, lead=True)
    workers = [open_worker(server, tmp_path) for _ in range(4)]
    rows = {row.pane_id: row for row in panes.list_panes(server)}
    # The uppermost pane gives one line to its border.
    assert (rows[lead].width, rows[lead].height) == (200, 24)
    assert {rows[pane_id].width for pane_id in workers} == {99, 100}
    assert {rows[pane_id].height for pane_id in workers} == {11, 12}
    assert top_of(server, lead) == "1"
    assert len({rows[pane_id].window_id for pane_id in (lead, *workers)}) == 1


def test_a_lead_opened_last_still_stands_above(server, session, tmp_path):
    workers = [open_worker(server, tmp_path) for _ in range(2)]
    lead = open_worker(server, tmp_path, lead=True)
    assert top_of(server, lead) == "1"
    assert all(int(top_of(server, pane_id)) > 20 for pane_id in workers)
    assert row_of(server, lead).lead


def test_the_sixth_pane_opens_a_window_whose_only_pane_is_the_agent(server, session, tmp_path):
    opened = [open_worker(server, tmp_path, lead=n == 0) for n in range(6)]
    rows = panes.list_panes(server, session)
    assert [row.pane_id for row in rows] == ["%0", *opened]
    last = rows[-1]
    assert [row.pane_id for row in rows if row.window_id == last.window_id] == [opened[5]]
    assert last.pid == row_of(server, opened[5]).pid
    assert server.run("list-windows", "-t", session, "-F", "#{window_name}") == [
        "supervisor",
        "team",
        "team-2",
    ]


def test_a_place_that_became_free_is_used_again(server, session, tmp_path):
    opened = [open_worker(server, tmp_path) for _ in range(6)]
    panes.close_pane(server, opened[2])
    again = open_worker(server, tmp_path)
    assert row_of(server, again).window_id == row_of(server, opened[0]).window_id


def test_twelve_panes_opened_at_once_stand_right(server, session, tmp_path):
    with ThreadPoolExecutor(12) as pool:
        jobs = [pool.submit(open_worker, server, tmp_path, title=f"w{n}", lead=n == 5) for n in range(12)]
        opened = {f"w{n}": job.result() for n, job in enumerate(jobs)}
    rows = [row for row in panes.list_panes(server, session) if row.team]
    assert {row.title: row.pane_id for row in rows} == opened
    counts = {
        window: [row.window_id for row in rows].count(window) for window in {row.window_id for row in rows}
    }
    assert sorted(counts.values()) == [2, 5, 5]
    lead = row_of(server, opened["w5"])
    assert (lead.width, top_of(server, lead.pane_id)) == (200, "1")
    assert all(row.height >= 9 for row in rows)
    assert not any(row.dead for row in rows)


def test_what_a_person_looks_at_is_left_alone(server, session, tmp_path):
    lead = open_worker(server, tmp_path, lead=True)
    open_worker(server, tmp_path)
    server.select_window(lead)
    server.run("resize-pane", "-Z", "-t", lead)
    open_worker(server, tmp_path)
    row = row_of(server, lead)
    assert (row.active, row.zoomed) == (True, True)
    for _ in range(4):
        open_worker(server, tmp_path)
    assert server.run("display-message", "-p", "-t", f"={session}:", "#{pane_id}") == [lead]


def test_a_window_without_room_for_a_split_is_passed_over(server, session, tmp_path):
    first = open_worker(server, tmp_path)
    server.run("resize-window", "-t", first, "-x", "20", "-y", "3")
    second = open_worker(server, tmp_path)
    assert row_of(server, second).window_id != row_of(server, first).window_id


def test_a_pane_of_a_session_that_is_gone_is_refused(server, session, tmp_path):
    with pytest.raises(TmuxError):
        panes.open_pane(server, "other", window="team", title="w", argv=SLEEPER, cwd=tmp_path, lead=False)
    assert panes.list_panes(server, "other") == ()


def test_a_server_that_ended_is_told_apart_from_a_session_that_is_gone(server, session):
    server.run("kill-server")
    with pytest.raises(TmuxGone):
        panes.list_panes(server, session)


def test_what_fails_half_way_leaves_no_pane(server, session, tmp_path):
    opening = ("split-window", "-t", "%0", "-P", "-F", "#{pane_id}", "--", *SLEEPER)
    with pytest.raises(TmuxError):
        panes._opened(server, [opening, ("select-layout", "-t", "%0", "ffff,200x50,0,0")], cwd=tmp_path)
    beside = [opening, ("select-pane", "-t", "%99")]
    assert not panes._opened(server, beside, cwd=tmp_path), "one that closed meanwhile is no fault"
    assert [row.pane_id for row in panes.list_panes(server)] == ["%0"]


def test_a_pane_is_respawned_in_place_with_its_title(server, session, tmp_path):
    pane_id = open_worker(server, tmp_path, argv=("/bin/sh", "-c", "exit 1"), title="w1")
    assert until(lambda: row_of(server, pane_id).dead, within_s=5)
    panes.respawn_pane(server, pane_id, SLEEPER)
    row = row_of(server, pane_id)
    assert (row.dead, row.dead_status, row.title) == (False, None, "w1")
    panes.close_pane(server, pane_id)
    panes.close_pane(server, pane_id)
    with pytest.raises(PaneGone):
        panes.respawn_pane(server, pane_id, SLEEPER)


def test_a_screen_is_captured_with_history_and_colours(server, session, tmp_path):
    script = "import time; [print(n) for n in range(300)]; print('\\033[31mrot\\033[0m ü', flush=True); time.sleep(600)"
    pane_id = open_worker(server, tmp_path, argv=(sys.executable, "-I", "-X", "utf8", "-c", script))
    assert until(lambda: panes.capture(server, pane_id)[-1:] == ("rot ü",), within_s=10)
    assert panes.capture(server, pane_id, tail_lines=3) == ("298", "299", "rot ü")
    assert len(panes.capture(server, pane_id, tail_lines=200)) == 200
    assert "\x1b[31mrot" in panes.capture(server, pane_id, colours=True)[-1]
    panes.close_pane(server, pane_id)
    with pytest.raises(PaneGone):
        panes.capture(server, pane_id)


def test_text_that_is_not_ascii_survives_a_locale_that_is(tmux_socket, private_home, tmp_path):
    server = TmuxServer(tmux_socket, env={**private_home, "LANG": "C", "LC_ALL": "C"})
    server.new_session("s1", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    argv = ("/bin/sh", "-c", "printf 'größe 漢字'; exec sleep 600")
    pane_id = open_worker(server, tmp_path, argv=argv, title="prüfer")
    assert until(lambda: panes.capture(server, pane_id) == ("größe 漢字",), within_s=5)
    assert row_of(server, pane_id).title == "prüfer"


def test_an_empty_screen_is_no_lines(server, session):
    assert panes.capture(server, "%0") == ()


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(200, 50), (81, 25), (20, 12), (237, 61)])
def test_a_layout_is_accepted_by_tmux_and_fills_the_window(server, session, tmp_path, workers, size):
    open_worker(server, tmp_path, lead=True)
    for _ in range(workers):
        open_worker(server, tmp_path)
    window = row_of(server, "%1").window_id
    server.run("resize-window", "-t", window, "-x", str(size[0]), "-y", str(size[1]))
    text = team_layout(*size, panes=workers + 1, lead=True)
    server.run("select-layout", "-t", window, text)
    (now,) = server.run("display-message", "-p", "-t", window, "#{window_layout}")
    assert strip_ids(now) == text.split(",", 1)[1]


def test_windows_without_a_lead_or_too_small_are_tiled():
    assert team_layout(200, 50, panes=3, lead=False) == "tiled"
    assert team_layout(200, 50, panes=1, lead=True) == "tiled"
    assert team_layout(10, 5, panes=3, lead=True) == "tiled"


def open_worker(server, cwd, *, argv=SLEEPER, title="w", lead=False, worker_id=""):
    return panes.open_pane(
        server, "s1", window="team", title=title, argv=argv, cwd=cwd, lead=lead, worker_id=worker_id
    )


def row_of(server, pane_id):
    return next(row for row in panes.list_panes(server) if row.pane_id == pane_id)


def top_of(server, pane_id):
    return server.run("display-message", "-p", "-t", pane_id, "#{pane_top}")[0]


def strip_ids(layout):
    """tmux's own layout text without the checksum and the pane numbers."""
    import re

    return re.sub(r"(\d+x\d+,\d+,\d+),\d+(?=[,\]}]|$)", r"\1", layout.split(",", 1)[1])
