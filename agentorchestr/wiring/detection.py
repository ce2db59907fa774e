"""Which agents are installed, and whether somebody is logged in."""

from collections.abc import Mapping, Sequence

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.probe import Installed, probe_all
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.paths import Paths, ensure_private


def catalogue(paths: Paths) -> dict[str, AgentSpec]:
    """All agent specs: the shipped ones, and the person's own, which go first."""
    return load_catalogue(paths.config / "agents")


def detect(paths: Paths, env: Mapping[str, str], names: Sequence[str] = ()) -> tuple[Installed, ...]:
    """Probe the agents called *names* (all when empty), each at the same time as the others."""
    specs = catalogue(paths)
    wanted = [specs[name] for name in names if name in specs] if names else list(specs.values())
    cache = ensure_private(paths.cache) / "probes.json"
    return probe_all(wanted, env=env, cache_file=cache)
