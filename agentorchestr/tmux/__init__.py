"""The tmux driver: panes, screens, typed text."""
