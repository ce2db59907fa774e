"""Which agents are installed, and whether somebody is logged in."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from agentorchestr.agents.asking import read_early
from agentorchestr.agents.catalogue import load_askable, load_catalogue
from agentorchestr.agents.probe import Installed, probe_all
from agentorchestr.paths import Paths, ensure_private

if TYPE_CHECKING:
    from agentorchestr.agents.spec import AgentSpec

S = TypeVar("S")


def catalogue(paths: Paths) -> "dict[str, AgentSpec]":
    """All agent specs: the shipped ones, and the person's own, which go first."""
    return load_catalogue(paths.config / "agents")


def detect(paths: Paths, env: Mapping[str, str], names: Sequence[str] = ()) -> tuple[Installed, ...]:
    """Probe the agents called *names* (all when empty), each at the same time as the others.

    The programs are asked while the specs are still being checked: what is found by a spec that turns
    out to say something else is asked again.

    Raises ``AgentSpecInvalid`` for a spec that breaks a rule.
    """
    own, cache = paths.config / "agents", ensure_private(paths.cache) / "probes.json"
    early = read_early(own)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(probe_all, _chosen(early, names), env=env, cache_file=cache)
        wanted = _chosen(load_askable(own), names)
    again = [spec for spec in wanted if spec.name not in early or not early[spec.name].says_as(spec)]
    found = {one.name: one for one in (*asked.result(), *probe_all(again, env=env, cache_file=cache))}
    return tuple(found[spec.name] for spec in wanted if spec.name in found)


def _chosen(specs: Mapping[str, S], names: Sequence[str]) -> list[S]:
    return [specs[name] for name in names if name in specs] if names else list(specs.values())
