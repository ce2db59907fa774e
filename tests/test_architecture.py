"""The house of the design, kept by a machine. Each rule is also shown to find what it forbids."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import house_rules as rules
from tests.house_reading import PACKAGE, Module, modules

TOP = Path(__file__).parent.parent
TOP_NAMES = {
    "pyproject.toml",
    "agentorchestr",
    "tests",
    "scripts",
    "docs",
    ".github",
    ".ci",
    "README.md",
    "LICENSE",
}
HOUSE = modules(TOP / PACKAGE)
Rule = Callable[[Module], Iterator[str]]


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    faults = [f"{module.place}: {fault}" for module in HOUSE for fault in rule(module)]
    assert not faults, "\n".join(faults)


def test_at_most_three_places_catch_everything() -> None:
    found = [f"{module.place}:{line}" for module in HOUSE for line in rules.broad_excepts(module)]
    assert len(found) <= 3, found


def test_the_top_level_holds_the_allowed_names_and_nothing_else() -> None:
    listed = subprocess.run(
        ["git", "-C", str(TOP), "ls-files", "-z"], capture_output=True, check=False, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {name.split("/")[0] for name in listed.stdout.split("\0") if name} == TOP_NAMES


def test_a_start_of_the_command_loads_nothing_heavy() -> None:
    shown = "import sys, agentorchestr.cli.main; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, check=True, text=True, cwd=TOP, timeout=60
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & (set(rules.HOMES) - {"click", "subprocess"})


def _verbs(protocol: str) -> list[str]:
    from agentorchestr.supervisor import desk

    return [name for name in vars(getattr(desk, protocol)) if not name.startswith("_")]


@pytest.mark.parametrize("verb", sorted({*_verbs("LeadVerbs"), *_verbs("WorkerVerbs")}))
def test_every_tool_is_documented(verb: str) -> None:
    assert f"`{verb}`" in (TOP / "docs/tools.md").read_text()


RED: list[tuple[Rule, str, str]] = [
    (rules.imports_go_down, "tmux/a.py", "from agentorchestr.worktree.merging import x"),
    (rules.imports_go_down, "tmux/a.py", "import agentorchestr.supervisor.session"),
    (rules.imports_go_down, "journal/a.py", "def f():\n    from agentorchestr.cli import main"),
    (rules.imports_go_down, "doctor/a.py", "from agentorchestr.practice.agent import x"),
    (rules.imports_go_down, "doctor/a.py", "from ..web import page"),
    (rules.imports_go_down, "doctor/a.py", "from agentorchestr import wiring"),
    (rules.imports_go_down, "wiring.py", "import agentorchestr.cli.main"),
    (rules.imports_go_down, "process.py", "from agentorchestr.paths import Paths"),
    (rules.imports_go_down, "shim/hook.py", "from agentorchestr.errors import OrchestrError"),
    (rules.imports_go_down, "model/a.py", "importlib.import_module('agentorchestr.tmux.panes')"),
    (rules.imports_go_down, "helpers/a.py", "import os"),
    (rules.imports_go_down, "tmux/a.py", "from agentorchestr.helpers import x"),
    (rules.libraries_stay_home, "supervisor/a.py", "import libtmux"),
    (rules.libraries_stay_home, "tmux/a.py", "def f():\n    import subprocess"),
    (rules.libraries_stay_home, "cli/a.py", "from sqlite3 import connect"),
    (rules.libraries_stay_home, "cli/a.py", "import requests"),
    (rules.libraries_stay_home, "supervisor/a.py", "from mcp.server import Server"),
    (rules.sizes_are_kept, "tmux/a.py", "x = 1\n" * 301),
    (rules.sizes_are_kept, "tmux/a.py", "def f():\n" + "    x = 1\n" * 50),
    (rules.init_says_what_it_is, "tmux/__init__.py", "import os"),
    (rules.init_says_what_it_is, "tmux/__init__.py", '"""Docs."""\nfrom agentorchestr.tmux.panes import x'),
    (rules.init_says_what_it_is, "tmux/__init__.py", '"""Docs."""\n__version__ = "1"'),
    (rules.broad_excepts_are_at_home, "tmux/a.py", "try:\n    x\nexcept Exception:\n    pass"),
    (rules.broad_excepts_are_at_home, "tmux/a.py", "try:\n    x\nexcept:\n    pass"),
    (rules.broad_excepts_are_at_home, "tmux/a.py", "try:\n    x\nexcept (OSError, BaseException):\n    pass"),
    (rules.broad_excepts_are_at_home, "tmux/a.py", "with contextlib.suppress(Exception):\n    x"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "run(['git', 'worktree', 'remove', path])"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "repo.git.worktree('remove', path)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "git(repo, 'reset', '-q', '--hard', tip)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "repo.git.clean('-fdx')"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "git('checkout', '-f', branch)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "git('branch', '-D', branch)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "argv = ('push', remote, '--force')"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "run_git(tree, 'worktree', 'prune')"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "run_git(tree, 'checkout', '--', name)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "run_git(tree, 'read-tree', '--reset', '-u', tip)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "run_git(root, 'update-ref', '-d', ref)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "run_git(root, 'stash', 'drop')"),
    (rules.destruction_has_one_gateway, "shim/a.py", "subprocess.run(['sh', '-c', 'git reset --hard'])"),
    (rules.destruction_has_one_gateway, "shim/a.py", "LINE = 'git clean -fdx'"),
    (rules.destruction_has_one_gateway, "shim/a.py", "os.removedirs(folder)"),
    (rules.destruction_has_one_gateway, "cli/a.py", "run(['rm', '-rf', folder])"),
    (rules.destruction_has_one_gateway, "cli/a.py", "shutil.rmtree(folder)"),
    (rules.destruction_has_one_gateway, "cli/a.py", "from shutil import rmtree as gone"),
    (rules.no_shell, "process.py", "subprocess.run(line, shell=True)"),
    (rules.no_shell, "process.py", "subprocess.run(line, shell=wanted)"),
    (rules.no_shell, "cli/a.py", "import os\nos.system('ls')"),
    (rules.no_shell, "cli/a.py", "from os import popen as p\np('ls')"),
    (rules.signals_have_one_home, "wiring/a.py", "import os\nos.kill(pid, 9)"),
    (rules.signals_have_one_home, "mqtt/a.py", "from os import killpg as end\nend(pid, 9)"),
    (rules.only_the_clock_sleeps, "tmux/a.py", "import time\ntime.sleep(1)"),
    (rules.only_the_clock_sleeps, "tmux/a.py", "from time import sleep\nsleep(1)"),
    (
        rules.only_the_clock_sleeps,
        "supervisor/a.py",
        "import asyncio as aio\nasync def f():\n    await aio.sleep(0)",
    ),
    (rules.only_the_renderer_prints, "supervisor/a.py", "print('x')"),
    (rules.only_the_renderer_prints, "cli/a.py", "import click\nclick.echo('x')"),
    (rules.only_the_renderer_prints, "cli/a.py", "import sys\nsys.stderr.write('x')"),
    (rules.nothing_happens_on_import, "paths.py", "import os\nHOME = os.environ['HOME']"),
    (rules.nothing_happens_on_import, "paths.py", "from os import getenv\nHOME = getenv('HOME')"),
    (rules.nothing_happens_on_import, "log.py", "import logging\nlogging.basicConfig()"),
    (rules.nothing_happens_on_import, "a.py", "TEXT = (Path(__file__).parent / 'x').read_text()"),
    (rules.nothing_happens_on_import, "a.py", "class A:\n    text = open('x').read()"),
    (rules.nothing_happens_on_import, "a.py", "def f(home=Path.home()):\n    pass"),
    (rules.nothing_happens_on_import, "a.py", "start()"),
]

GREEN: list[tuple[Rule, str, str]] = [
    (rules.imports_go_down, "supervisor/a.py", "from agentorchestr.tmux.panes import x\nfrom . import desk"),
    (rules.imports_go_down, "cli/a.py", "from agentorchestr import __version__, wiring"),
    (rules.libraries_stay_home, "tmux/a.py", "import libtmux, os\nfrom pydantic import BaseModel"),
    (rules.sizes_are_kept, "tmux/a.py", "def f():\n" + "    x = 1\n" * 49),
    (rules.init_says_what_it_is, "__init__.py", '"""Docs."""\n__version__ = "1"'),
    (rules.broad_excepts_are_at_home, "cli/main.py", "try:\n    x\nexcept Exception:\n    pass"),
    (
        rules.broad_excepts_are_at_home,
        "tmux/a.py",
        "try:\n    x\nexcept BaseException:\n    undo()\n    raise",
    ),
    (rules.destruction_has_one_gateway, "worktree/gateway.py", "shutil.rmtree(folder)"),
    (rules.destruction_has_one_gateway, "worktree/a.py", "git('worktree', 'add', path)\ngit('reset', '-q')"),
    (rules.no_shell, "process.py", "subprocess.run(argv, shell=False)"),
    (rules.signals_have_one_home, "process_table.py", "import os\nos.kill(pid, 9)"),
    (rules.only_the_clock_sleeps, "clock.py", "import time\ntime.sleep(1)"),
    (rules.only_the_renderer_prints, "cli/render.py", "print('x')"),
    (rules.nothing_happens_on_import, "a.py", "P = re.compile('x')\ndef f():\n    return os.environ"),
    (rules.nothing_happens_on_import, "shim/hook.py", "if __name__ == '__main__':\n    main()"),
]


def test_every_command_and_option_is_documented() -> None:
    from agentorchestr.cli.main import COMMANDS, cli

    text = (TOP / "docs/cli.md").read_text()
    options = [name for param in cli.params for name in param.opts if name.startswith("--")]
    missing = [word for word in (*COMMANDS, *options) if not re.search(rf"(?<![\w-]){word}(?![\w-])", text)]
    assert not missing


def _shown(case: object) -> str:
    return getattr(case, "__name__", "")


@pytest.mark.parametrize(("rule", "place", "source"), RED, ids=_shown)
def test_a_rule_finds_what_it_forbids(rule: Rule, place: str, source: str) -> None:
    assert list(rule(Module(place, source)))


@pytest.mark.parametrize(("rule", "place", "source"), GREEN, ids=_shown)
def test_a_rule_allows_what_is_right(rule: Rule, place: str, source: str) -> None:
    assert not list(rule(Module(place, source)))


def test_scripts_destroy_only_what_they_made() -> None:
    texts = [
        (path.relative_to(TOP).as_posix(), path.read_text())
        for folder in ("scripts", ".ci", ".github")
        for path in sorted((TOP / folder).rglob("*"))
        if path.is_file() and path.suffix not in {".pyc", ".md"}
    ]
    assert len(texts) > 5
    faults = [fault for place, text in texts for fault in rules.scripts_destroy_only_their_own(place, text)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "line",
    [
        'rm -rf "$HOME"',
        "rm -fr $1",
        "git worktree remove --force x",
        "git reset -q --hard",
        "git clean -fdx",
        "git checkout -f main",
        "git branch -D x",
        'run(["git", "worktree", "remove", path])',
        "import shutil; shutil.rmtree(folder)",
    ],
)
def test_a_script_that_destroys_is_found(line: str) -> None:
    assert list(rules.scripts_destroy_only_their_own("scripts/a", line))


def test_every_rule_was_shown_red_and_green() -> None:
    assert {rule for rule, *_ in RED} == set(rules.RULES) == {rule for rule, *_ in GREEN}
