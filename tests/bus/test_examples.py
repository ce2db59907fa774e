"""Every Python example of the docs runs as it stands and says what it should."""

import re
import subprocess
import sys

import pytest

from tests.bus.conftest import ROOT

TEXT = (ROOT / "docs" / "bus.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SAID = (
    "ann wrote: The parser is ready.\nit was read\nben can review\n",
    "IS IT DONE?\n",
    "2 lines, no fault\n",
    '{"words": 3}\n',
)


def test_every_example_has_its_answer():
    assert len(EXAMPLES) == len(SAID)


@pytest.mark.parametrize(("example", "said"), list(zip(EXAMPLES, SAID, strict=False)), ids=range(len(SAID)))
def test_an_example_runs(env, tmp_path, example, said):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (said, "")


def test_every_verb_and_option_is_documented():
    from agentorchestr.cli.bus_command import VERBS, BusGroup

    group = BusGroup("bus")
    words = set(VERBS)
    for name in VERBS:
        found = group.get_command(None, name)  # type: ignore[arg-type]
        assert found is not None
        words |= {option for param in found.params for option in param.opts if option.startswith("--")}
    assert not [word for word in sorted(words) if not re.search(rf"(?<![\w-]){word}(?![\w-])", TEXT)]


def test_every_variable_for_a_command_is_documented():
    from agentorchestr.bus.command import environment_of
    from agentorchestr.bus.letters import make_letter
    from agentorchestr.bus.names import address_of

    told = environment_of(make_letter(address_of("a"), address_of("b"), "x"))
    assert not [name for name in told if f"`{name}`" not in TEXT and f"`_{name[14:]}`" not in TEXT]
