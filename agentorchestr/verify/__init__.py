"""Find the project's checks, run them, keep the evidence."""
