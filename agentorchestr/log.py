"""One private log file per session; nothing is configured on import."""

import json
import logging
import os
from pathlib import Path

EXTRA_KEYS = ("session_id", "worker_id", "pane_id", "branch", "topic", "took_ms", "detail", "why")


class JsonLines(logging.Formatter):
    """One JSON object per line, with our fixed extra keys and nothing else."""

    def format(self, record: logging.LogRecord) -> str:
        """Render *record*; the message never holds prompts, keys or screen text."""
        line: dict[str, object] = {
            "at": record.created,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: getattr(record, key) for key in EXTRA_KEYS if hasattr(record, key)})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_file(path: Path, *, level: int = logging.INFO) -> None:
    """Send the package's log to *path*, created with mode 0600."""
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("agentorchestr").setLevel(level)
