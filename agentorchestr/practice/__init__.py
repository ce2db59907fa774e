"""An agent that needs no model: for the demo and the tests."""
