"""Hand a line to an agent by its own queue: no key is pressed, so a person's draft stays as it is."""

from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.typed_text import sanitise
from agentorchestr.errors import OrchestrError
from agentorchestr.model.view import WorkerView
from agentorchestr.process import run
from agentorchestr.supervisor.composer import Held
from agentorchestr.supervisor.gear import Gear

QUEUE = "queue"
"""The channel's name in facts."""
QUEUE_LIMIT_S = 20.0


def has_queue(worker: WorkerView, spec: AgentSpec) -> bool:
    """Whether this agent can be told without a key: its program can, and its session is known."""
    return spec.queue is not None and bool(worker.agent_session)


def put_in_queue(gear: Gear, worker: WorkerView, spec: AgentSpec, line: str) -> Held | None:
    """Queue *line*; None when the agent's program says that it did. Blocks."""
    if spec.queue is None:
        return Held("it has no queue")
    told = {"{session}": worker.agent_session, "{line}": sanitise(spec, line)}
    words = [told.get(word, word) for word in spec.queue.argv]
    try:
        done = run((str(gear.binaries[spec.name]), *words), timeout_s=QUEUE_LIMIT_S, env=gear.environment)
    except OrchestrError as exc:
        return Held(f"its queue did not answer: {exc}")
    return None if done.returncode == 0 else Held(f"its queue refused the line: {done.error_text[:200]}")
