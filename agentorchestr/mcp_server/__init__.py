"""The tools of lead and workers, over MCP and over plain HTTP."""
