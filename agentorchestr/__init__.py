"""agentorchestr: one goal, a lead, its workers, and a result that was checked."""

__version__ = "0.1.0"
