"""Small stand-alone programs that stand between tmux or an agent and the supervisor."""
