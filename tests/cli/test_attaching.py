import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.cli.attaching import attach
from agentorchestr.cli.product import Shell
from agentorchestr.clock import until
from agentorchestr.errors import TmuxError


def tmux(socket: Path, *words: str) -> str:
    done = subprocess.run(["tmux", "-S", str(socket), *words], capture_output=True, check=True, timeout=10)
    return done.stdout.decode()


def test_inside_tmux_a_new_window_attaches_without_nesting(
    stage: Any, tmux_socket: Path, tmp_path: Path
) -> None:
    tmux(tmux_socket, "-f", "/dev/null", "new-session", "-d", "-s", "mine", "sleep 60")
    seen = tmp_path / "it's seen"
    stage.product.attach_argv = lambda *_: ["sh", "-c", f'echo "TMUX=[$TMUX]" > "{seen}"; sleep 60']
    shell = Shell({**stage.env, "TMUX": f"{tmux_socket},1,0"}, stage.project, lambda: stage.product)
    assert attach(shell, "abc123") is False
    assert "ao-abc123" in tmux(tmux_socket, "list-windows", "-t", "mine", "-F", "#{window_name}").split()
    assert until(lambda: seen.exists() and seen.read_text() == "TMUX=[]\n", within_s=10)


def test_a_tmux_that_refuses_says_that_the_session_goes_on(stage: Any, short_dir: Path) -> None:
    shell = Shell({**stage.env, "TMUX": f"{short_dir}/gone,1,0"}, stage.project, lambda: stage.product)
    with pytest.raises(TmuxError, match="could not show session abc123") as caught:
        attach(shell, "abc123")
    assert "agentorchestr status abc123" in caught.value.hint


def test_outside_of_tmux_this_terminal_attaches_until_the_person_leaves(stage: Any) -> None:
    shell = Shell(stage.env, stage.project, lambda: stage.product)
    assert attach(shell, "abc123") is True
    stage.product.attach_argv = lambda *_: ["false"]
    with pytest.raises(TmuxError, match="exit 1"):
        attach(shell, "abc123")
