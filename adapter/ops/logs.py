"""Log to standard error, as text for people or as JSON for machines."""

import json
import logging
import sys
import time
from typing import Any

from adapter.plain_text import harmless

# Attributes of a record that say which request, entry or event it is about: `extra` of logging.
IDS = ("request", "entry", "event")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in IDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class LineFormatter(logging.Formatter):
    """One line for a message: foreign text in it neither forges another one nor commands the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 – the name of logging
        """Return the line of a record."""
        record.message = harmless(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 – likewise
        """Return the lines of a traceback."""
        return "\n".join(harmless(line) for line in super().formatException(ei).splitlines())


def set_up(form: str, level: str) -> None:
    """Log to standard error as `text` or `json`, from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    text = LineFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(_Json() if form == "json" else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    mute_libraries()


def mute_libraries() -> None:
    """Let libraries log warnings alone.

    httpx logs every URL at INFO, tokens included; sse_starlette logs the messages of the page at DEBUG. The
    others have nothing to say to an operator.
    """
    for name in ("httpx", "httpcore", "sse_starlette", "PIL", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
