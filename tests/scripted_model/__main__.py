"""Run a scenario by hand: ``python -m tests.scripted_model [MODULE:NAME] [--port N]``."""

import argparse
import importlib
import threading

from tests.scripted_model.scenario import ECHO, Scenario
from tests.scripted_model.server import ScriptedModel


def _load(name: str) -> Scenario:
    if not name:
        return ECHO
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    return found if isinstance(found, Scenario) else found()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scripted_model", description=__doc__)
    parser.add_argument("scenario", nargs="?", default="", help="MODULE:NAME of a Scenario; default: echo")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    options = parser.parse_args()
    with ScriptedModel(_load(options.scenario), port=options.port, watch=True) as model:
        print(f"ANTHROPIC_BASE_URL={model.url} OPENAI_BASE_URL={model.url}/v1", flush=True)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
