"""All agents we know: the shipped spec files, and the person's own, which override them by name."""

from pathlib import Path

from agentorchestr.agents.spec import AgentSpec, load_spec_file

SHIPPED = Path(__file__).parent / "catalogue"


def load_catalogue(user_dir: Path | None = None) -> dict[str, AgentSpec]:
    """Every agent spec by name, in the order of the names; *user_dir* may be missing.

    Raises ``AgentSpecInvalid`` for the first file that breaks a rule.
    """
    specs = _load_folder(SHIPPED)
    if user_dir is not None and user_dir.is_dir():
        specs |= _load_folder(user_dir)
    return dict(sorted(specs.items()))


def _load_folder(folder: Path) -> dict[str, AgentSpec]:
    return {path.stem: load_spec_file(path) for path in sorted(folder.glob("*.toml"))}
