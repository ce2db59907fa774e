"""The one place where concrete parts meet: what the commands call, and what a supervisor is made of."""
