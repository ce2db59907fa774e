"""The append-only record of a session, and the view computed from it."""
