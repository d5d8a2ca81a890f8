"""Log to standard error, as text for people or as JSON for machines."""

import json
import logging
import sys
import time

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


def set_up(form: str, level: str) -> None:
    """Log to standard error as `text` or `json`, from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(_Json() if form == "json" else text)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # httpx logs every URL at INFO, tokens included; sse_starlette logs the messages of the page at DEBUG. The
    # others have nothing to say to an operator.
    for name in ("httpx", "httpcore", "sse_starlette", "PIL", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
