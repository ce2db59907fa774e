"""What is installed, and what is missing for a goal to start."""
