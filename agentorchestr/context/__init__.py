"""What an agent is told: roles, briefs, project text."""
