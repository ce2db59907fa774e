"""The life of a session: spawn, watch, deliver, verify, merge, finish."""
