"""Keep the traceback of a fault of ours where the person can find it."""

import os
import traceback

from agentorchestr.errors import OrchestrError
from agentorchestr.paths import Paths, ensure_private, write_private


def keep_crash(fault: BaseException) -> str:
    """Write the traceback to the state folder, private, and say where it is."""
    text = "".join(traceback.format_exception(fault))
    try:
        folder = ensure_private(Paths.from_env(os.environ).state)
        path = write_private(folder / "last-fault.txt", text.encode("utf-8", "backslashreplace"))
    except (OSError, OrchestrError) as exc:
        return f"the traceback could not be kept: {exc}"
    return f"please report it; the traceback is in {path}"
