"""Let ``python -m agentorchestr`` stand for the console script."""

from agentorchestr.cli.main import main

main()
