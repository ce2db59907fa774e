"""Set-up on machines that lack one thing or another: real scripts, with programs of the system played by small ones."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
SCRIPTS = (
    "scripts/run",
    "scripts/test",
    "scripts/setup.bash",
    "scripts/install-real-agents",
    "scripts/install-neighbours",
    ".ci/run",
)
REAL_PROGRAMS = (
    *("bash", "sh", "true", "env", "sleep", "dirname", "basename", "cat", "tail", "grep", "cksum"),
    *("mkdir", "mktemp", "rm", "cp", "ln", "chmod", "touch"),
)
# The scripts also look here, where a test cannot hide it.
BROKER_IS_INSTALLED = any(
    Path(place, "mosquitto").exists() for place in ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
)

PYTHON = """#!/bin/bash
printf '%s\\n' "python $*" >>"$FAKE_LOG"
case "$1 $2" in
  "-c "*) exit "${FAKE_PYTHON_TOO_OLD:-0}" ;;
  "--version "*) echo "Python 3.11.0" ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip")
    if [ "$3" = install ]; then
      [ -z "$FAKE_PIP_FAILS" ] || { echo "no matching distribution"; exit 1; }
      printf '#!/bin/bash\\nprintf "<%%s>" "$PWD" "$@"\\nexit "${FAKE_EXIT:-0}"\\n' >"${0%/python}/agentorchestr"
      chmod +x "${0%/python}/agentorchestr"
    fi ;;
  "-m ruff") exit "${FAKE_RUFF_EXIT:-0}" ;;
  "-m pytest") echo "tests in $TMPDIR"; touch "$TMPDIR/left"; echo "== 1 passed =="; exit "${FAKE_PYTEST_EXIT:-0}" ;;
esac
"""
APT_GET = """#!/bin/bash
printf '%s\\n' "apt-get $*" >>"$FAKE_LOG"
[ "$FAKE_UID" = 0 ] || [ -n "$SUDO_FAKE" ] || { echo "are you root?"; exit 100; }
case "$*" in
  *update*) touch "$FAKE_BIN/../updated" ;;
  *install*)
    [ -e "$FAKE_BIN/../updated" ] || { echo "Unable to locate package"; exit 100; }
    for word in "$@"; do
      case $word in
        mosquitto) [ -z "$FAKE_NO_MOSQUITTO" ] || exit 100 ;;
        python3-venv) ln -s "$FAKE_BIN/../spare/python3" "$FAKE_BIN/python3" ;;
      esac
      case $word in
        tmux | git | mosquitto) printf '#!/bin/bash\\n' >"$FAKE_BIN/$word"; chmod +x "$FAKE_BIN/$word" ;;
      esac
    done ;;
esac
"""
SUDO = """#!/bin/bash
printf '%s\\n' "sudo $*" >>"$FAKE_LOG"
[ "$1" != -n ] || shift
SUDO_FAKE=yes exec "$@"
"""


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@dataclass
class Machine:
    """A checkout on a machine whose programs are the ones in *bin*."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def checkout(self) -> Path:
        return self.root / "a checkout"

    @property
    def log(self) -> list[str]:
        log = self.root / "log"
        return log.read_text().splitlines() if log.exists() else []

    def add(self, name: str, text: str = "#!/bin/bash\n") -> None:
        _program(self.bin / name, text)

    def type(self, *words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": str(self.bin),
            "HOME": str(self.root),
            "FAKE_LOG": str(self.root / "log"),
            "FAKE_BIN": str(self.bin),
            "FAKE_UID": "0",
        }
        return subprocess.run(
            [str(self.checkout / words[0]), *words[1:]],
            env=given | self.env | env,
            cwd=cwd or self.root,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that lacks nothing but the private environment."""
    made = Machine(tmp_path)
    for folder in ("bin", "spare", "a checkout/scripts"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("run", "test", "setup.bash"):
        shutil.copy2(TOP / "scripts" / name, made.checkout / "scripts" / name)
    (made.checkout / "pyproject.toml").write_text("[project]\n")
    for name in REAL_PROGRAMS:
        (made.bin / name).symlink_to(shutil.which(name) or "")
    made.add("id", '#!/bin/bash\necho "$FAKE_UID"\n')
    made.add("uname", '#!/bin/bash\necho "${FAKE_SYSTEM:-Linux}"\n')
    made.add("apt-get", APT_GET)
    for name in ("tmux", "git", "mosquitto"):
        made.add(name)
    _program(made.root / "spare/python3", PYTHON)
    made.add("python3.11", PYTHON)
    return made


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_good_bash_and_can_be_started(script: str) -> None:
    path = TOP / script
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    assert os.access(path, os.X_OK) == (not script.endswith(".bash"))


def test_words_place_and_exit_code_pass_through_unchanged(machine: Machine) -> None:
    words = ["--goal", "two  spaces", "", "$HOME `id` 'x' \"y\"", "line\nend"]
    done = machine.type("scripts/run", *words, FAKE_EXIT="3")
    assert done.stdout == f"<{machine.root}>" + "".join(f"<{word}>" for word in words)
    assert done.returncode == 3


def test_the_second_start_installs_nothing(machine: Machine) -> None:
    machine.type("scripts/run")
    before = machine.log
    assert any("pip install" in line for line in before)
    assert machine.type("scripts/run", "x").stderr == ""
    assert machine.log == before


def test_a_changed_project_file_is_installed_again(machine: Machine) -> None:
    machine.type("scripts/run")
    (machine.checkout / "pyproject.toml").write_text("[project]\n# more\n")
    machine.type("scripts/run")
    assert sum("pip install" in line for line in machine.log) == 2


def test_a_moved_checkout_gets_a_new_environment(machine: Machine) -> None:
    machine.type("scripts/run")
    machine.checkout.rename(machine.root / "elsewhere")
    (machine.root / "a checkout").symlink_to(machine.root / "elsewhere")
    assert machine.type("scripts/run").returncode == 0
    assert sum("-m venv" in line for line in machine.log) == 2


def test_the_environment_is_unknown_to_git(machine: Machine) -> None:
    machine.type("scripts/run")
    assert (machine.checkout / ".venv/.gitignore").read_text() == "*\n"
    assert {path.name for path in machine.checkout.iterdir()} == {".venv", "scripts", "pyproject.toml"}


def test_a_bare_machine_gets_all_with_one_update(machine: Machine) -> None:
    for name in ("tmux", "git", "mosquitto", "python3.11"):
        (machine.bin / name).unlink()
    done = machine.type("scripts/run", "demo")
    assert done.returncode == 0, done.stderr
    assert "<demo>" in done.stdout
    assert sum(line.endswith(" update") for line in machine.log) == 1
    there = {path.name for path in machine.bin.iterdir()}
    assert {"tmux", "git", "python3"} <= there
    assert "mosquitto" in there or BROKER_IS_INSTALLED


def test_sudo_is_used_by_a_person_who_is_not_root(machine: Machine) -> None:
    (machine.bin / "tmux").unlink()
    machine.add("sudo", SUDO)
    assert machine.type("scripts/run", FAKE_UID="1000").returncode == 0
    assert any(line.startswith("sudo -n env DEBIAN_FRONTEND") for line in machine.log)


def test_without_any_right_to_install_one_command_is_named(machine: Machine) -> None:
    (machine.bin / "tmux").unlink()
    done = machine.type("scripts/run", FAKE_UID="1000")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: tmux is needed and could not be installed",
        "  type: sudo apt-get update && sudo apt-get install -y tmux",
    ]


def test_a_mac_without_brew_is_told_the_brew_command(machine: Machine) -> None:
    (machine.bin / "tmux").unlink()
    done = machine.type("scripts/run", FAKE_SYSTEM="Darwin", FAKE_UID="501")
    assert done.returncode == 1
    assert "type: brew install tmux" in done.stderr


def test_a_missing_broker_is_a_warning_and_no_more(machine: Machine) -> None:
    (machine.bin / "mosquitto").unlink()
    done = machine.type("scripts/run", "demo", FAKE_NO_MOSQUITTO="yes")
    assert done.returncode == 0
    assert "<demo>" in done.stdout
    assert "warning: mosquitto" in done.stderr or BROKER_IS_INSTALLED


def test_a_python_that_is_a_broken_shim_is_passed_over(machine: Machine) -> None:
    machine.add("python3.13", "#!/bin/bash\nexit 127\n")
    assert machine.type("scripts/run").returncode == 0
    assert any("-m venv" in line for line in machine.log)


def test_a_chosen_python_that_is_too_old_is_refused(machine: Machine) -> None:
    chosen = str(machine.bin / "python3.11")
    done = machine.type("scripts/run", AGENTORCHESTR_PYTHON=chosen, FAKE_PYTHON_TOO_OLD="1")
    assert done.returncode == 1
    assert "is no Python 3.11 or newer" in done.stderr


def test_a_failed_installation_shows_why_and_is_tried_again(machine: Machine) -> None:
    done = machine.type("scripts/run", FAKE_PIP_FAILS="yes")
    assert done.returncode == 1
    assert "no matching distribution" in done.stderr
    assert machine.type("scripts/run").returncode == 0


def test_a_set_up_that_was_killed_does_not_block_the_next(machine: Machine) -> None:
    lock = machine.checkout / ".venv/.setting-up"
    lock.mkdir(parents=True)
    ended = subprocess.Popen(["true"])
    ended.wait()
    (lock / "pid").write_text(f"{ended.pid}\n")
    assert machine.type("scripts/run").returncode == 0
    assert not lock.exists()


def _pytest_line(machine: Machine) -> str:
    return next(line for line in machine.log if line.startswith("python -m pytest"))


@pytest.mark.parametrize(
    ("words", "marks"),
    [((), "not real_agents"), (("--fast",), "not slow and not real_agents")],
)
def test_tests_run_without_real_agents_unless_asked(
    machine: Machine, words: tuple[str, ...], marks: str
) -> None:
    done = machine.type("scripts/test", *words, "-k", "some name")
    assert done.returncode == 0, done.stderr
    assert _pytest_line(machine).endswith(f"-m {marks} -k some name")
    assert any("-m ruff" in line for line in machine.log) == (not words)
    assert done.stdout.splitlines()[-1] == "== 1 passed =="


def test_real_agents_are_installed_and_their_folder_is_told(machine: Machine) -> None:
    _program(machine.checkout / "scripts/install-real-agents", "#!/bin/bash\necho noise\necho /agents\n")
    _program(machine.checkout / "scripts/install-neighbours", "#!/bin/bash\necho noise\necho /neighbours\n")
    python = machine.bin / "python3.11"
    told = '"$AGENTORCHESTR_REAL_AGENTS $AGENTORCHESTR_NEIGHBOURS"'
    python.write_text(PYTHON.replace('"== 1 passed =="', told))
    done = machine.type("scripts/test", "--real-agents")
    assert done.stdout.splitlines()[-1] == "/agents /neighbours"
    assert "not real_agents" not in _pytest_line(machine)


def test_a_fault_of_style_fails_the_run_though_the_tests_pass(machine: Machine) -> None:
    done = machine.type("scripts/test", FAKE_RUFF_EXIT="1")
    shutil.rmtree(done.stdout.splitlines()[0].removeprefix("tests in "))
    assert done.returncode == 1
    assert "failed before the tests: ruff check, ruff format" in done.stderr


def test_the_temporary_folder_is_short_and_goes_with_a_green_run(machine: Machine) -> None:
    done = machine.type("scripts/test", "--fast", TMPDIR=str(machine.root))
    folder = Path(done.stdout.splitlines()[0].removeprefix("tests in "))
    assert len(str(folder)) < 20
    assert not folder.exists()


def test_a_red_run_keeps_what_the_tests_left(machine: Machine) -> None:
    done = machine.type("scripts/test", "--fast", FAKE_PYTEST_EXIT="1")
    folder = Path(done.stdout.splitlines()[0].removeprefix("tests in "))
    try:
        assert done.returncode == 1
        assert (folder / "left").exists()
        assert str(folder) in done.stderr
    finally:
        shutil.rmtree(folder)
