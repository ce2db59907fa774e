"""Frozen values: what the rest of the house speaks about."""
