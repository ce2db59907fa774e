"""All agents we know: the shipped spec files, and the person's own, which override them by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentorchestr.agents.asking import SHIPPED, Askable, needs_check, read_early

if TYPE_CHECKING:
    from agentorchestr.agents.spec import AgentSpec


def load_catalogue(user_dir: Path | None = None) -> "dict[str, AgentSpec]":
    """Every agent spec by name, in the order of the names; *user_dir* may be missing.

    Raises ``AgentSpecInvalid`` for the first file that breaks a rule.
    """
    specs = _load_folder(SHIPPED)
    if user_dir is not None and user_dir.is_dir():
        specs |= _load_folder(user_dir)
    return dict(sorted(specs.items()))


def load_askable(user_dir: Path) -> Mapping[str, Askable]:
    """As ``load_catalogue``, as far as it is needed to ask the programs, and far quicker.

    Raises as it does: a person's own files are checked; the shipped ones are by our tests.
    """
    return load_catalogue(user_dir) if needs_check(user_dir) else read_early(user_dir)


def _load_folder(folder: Path) -> "dict[str, AgentSpec]":
    # Loading pydantic takes longer than many a program takes to tell its version.
    from agentorchestr.agents.spec import load_spec_file

    return {path.stem: load_spec_file(path) for path in sorted(folder.glob("*.toml"))}
