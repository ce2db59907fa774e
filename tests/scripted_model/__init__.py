"""A model server on loopback that follows a scenario, for agents that have no account."""
