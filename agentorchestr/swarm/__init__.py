"""Agents that talk: letters, cards and delegated tasks, whatever carries them."""
