"""Programs are asked before their specs are checked: quicker, and with the same answers."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.agents.asking import EarlySpec, read_early
from agentorchestr.agents.catalogue import load_askable, load_catalogue
from agentorchestr.agents.probe import probe_all
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.errors import AgentSpecInvalid
from agentorchestr.paths import Paths
from agentorchestr.wiring.detection import detect

Program = Callable[[str, str], Path]
TOP = Path(__file__).parents[2]
MINE = """
name = "{name}"
title = "Mine"
roles = ["worker"]
binaries = ["{name}"]
prompt_by = "argv"
{more}
[login]
argv = ["login"]
not_logged_in = 'nobody'
[launch]
argv = ["{{prompt}}"]
"""


@pytest.fixture
def env(private_home: dict[str, str], short_dir: Path) -> dict[str, str]:
    return {**private_home, "PATH": f"{short_dir / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"}


@pytest.fixture
def own(private_paths: Paths) -> Path:
    folder = private_paths.config / "agents"
    folder.mkdir(parents=True)
    return folder


def write(own: Path, name: str, more: str = "") -> None:
    (own / f"{name}.toml").write_text(MINE.format(name=name, more=more))


def test_every_shipped_spec_says_early_what_it_says_checked(
    tmp_path: Path, catalogue: dict[str, AgentSpec]
) -> None:
    early = read_early(tmp_path)
    assert list(early) == list(catalogue)
    assert [name for name, spec in early.items() if not spec.says_as(catalogue[name])] == []


def test_one_other_word_is_another_saying(catalogue: dict[str, AgentSpec], tmp_path: Path) -> None:
    assert not read_early(tmp_path)["codex"].says_as(catalogue["claude"])
    assert not EarlySpec(name="claude").says_as(catalogue["claude"])


def test_a_persons_file_goes_before_a_shipped_one(own: Path) -> None:
    write(own, "aider")
    write(own, "mine")
    early = read_early(own)
    assert list(early) == list(load_catalogue(own))
    assert early["aider"].title == "Mine"
    assert all(spec.says_as(load_catalogue(own)[name]) for name, spec in early.items())


@pytest.mark.parametrize(
    "more", ['builtin = "yes"', 'binaries = "claude"', "env = 3", "binaries = [1]", "version = 1", "title ="]
)
def test_what_only_a_check_can_judge_is_left_to_it(own: Path, more: str) -> None:
    (own / "mine.toml").write_text(f'name = "mine"\n{more}\n')
    (own / "aider.toml").write_text(f'name = "aider"\n{more}\n')
    assert not {"mine", "aider"} & set(read_early(own))


def test_only_a_persons_own_files_are_checked(own: Path) -> None:
    assert not any(isinstance(spec, AgentSpec) for spec in load_askable(own).values())
    write(own, "mine")
    assert load_askable(own) == load_catalogue(own)
    write(own, "mine", more="extra = 1")
    with pytest.raises(AgentSpecInvalid, match=r"mine\.toml: extra"):
        load_askable(own)


def test_early_answers_are_those_of_checked_specs(
    own: Path, private_paths: Paths, env: dict[str, str], program: Program, tmp_path: Path
) -> None:
    log = tmp_path / "calls"
    answers = {
        "claude": "2.1.0 (Claude Code)",
        "codex": "no version here",
        "aider": "aider 0.86.1",
        "mine": "mine 1.5",
        "odd": "odd 1.6",
    }
    for name, version in answers.items():
        case = f"case $1 in --version) echo '{version}' ;; *) echo nobody; exit 1 ;; esac"
        program(name, f"echo {name} $1 >> {log}; {case}")
    program("gemini", "").write_text("#!/nowhere/interpreter\n")
    write(own, "mine")
    # Accepted once it is checked; until then nobody can say.
    write(own, "odd", more="builtin = 0")
    found = detect(private_paths, env)
    asked = sorted(log.read_text().splitlines())
    log.unlink()
    assert found == probe_all(load_catalogue(own).values(), env=env)
    assert asked == sorted(log.read_text().splitlines())
    assert {one.name for one in found} == {*answers, "gemini", "practice"}
    assert {one.name for one in found if one.broken} == {"codex", "gemini"}
    assert [one.name for one in detect(private_paths, env, ("odd", "aider"))] == ["odd", "aider"]


def test_a_known_version_is_not_asked_for_early(
    private_paths: Paths, env: dict[str, str], program: Program, tmp_path: Path
) -> None:
    log = tmp_path / "calls"
    program("aider", f"echo $1 >> {log}; echo aider 0.86.1")
    assert detect(private_paths, env) == detect(private_paths, env)
    assert log.read_text().split() == ["--version"]


def test_a_broken_file_of_a_person_is_told_whatever_was_asked(
    own: Path, private_paths: Paths, env: dict[str, str], program: Program
) -> None:
    program("mine", "echo mine 1.5")
    write(own, "mine", more="extra = 1")
    with pytest.raises(AgentSpecInvalid):
        detect(private_paths, env)


@pytest.mark.parametrize(
    ("table", "key"), [("[version]\npattern = '('", "version.pattern"), ("[version]\nx = 1", "version.x")]
)
def test_a_mistake_in_how_to_ask_is_told_by_its_key(own: Path, table: str, key: str) -> None:
    write(own, "mine")
    file = own / "mine.toml"
    file.write_text(f"{file.read_text()}{table}\n")
    with pytest.raises(AgentSpecInvalid, match=rf"mine\.toml: {key}: "):
        load_catalogue(own)


def test_nothing_slow_is_loaded_before_the_programs_are_asked(env: dict[str, str], program: Program) -> None:
    program("claude", "echo '2.1.0 (Claude Code)'")
    asked = (
        "import sys, agentorchestr.cli.main as m\n"
        "try: m.cli(['--detect'])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], env=env, cwd=TOP, capture_output=True, text=True, check=True
    )
    assert "2.1.0" in done.stdout
    assert not {"pydantic", "asyncio", "rich", "email", "importlib.metadata"} & set(done.stderr.split())
