"""Proof of adapter/ops/logs.py."""

import json
import subprocess
import sys

PROGRAM = """
import logging
from adapter.ops.logs import set_up
set_up("json", "DEBUG")
log = logging.getLogger("adapter.test")
log.debug("request %s: %s", "a/1", "sent", extra={"request": "a/1"})
logging.getLogger("httpx").info("GET https://example.org/?token=secret")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("ended")
"""


def test_a_line_is_one_json_object_with_the_ids_it_is_about() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert first | {"time": ""} == {
        "time": "",
        "level": "DEBUG",
        "logger": "adapter.test",
        "message": "request a/1: sent",
        "request": "a/1",
    }
    assert first["time"].endswith("Z")
    assert "ZeroDivisionError" in second["exception"]
    assert "secret" not in done.stderr


FORGER = """
import logging
from adapter.ops.logs import set_up
set_up("text", "INFO")
log = logging.getLogger("adapter.test")
log.warning("kicked: %s", "bye\\n02:00:00 ERROR   forged line \\x1b[31mred")
try:
    raise ValueError("x\\x1b[2J")
except ValueError:
    log.exception("ended")
"""


def test_foreign_text_forges_no_line_and_no_colour() -> None:
    done = subprocess.run([sys.executable, "-c", FORGER], capture_output=True, text=True, check=True)
    first, *rest = done.stderr.splitlines()
    assert first.endswith("kicked: bye⏎02:00:00 ERROR   forged line ␛[31mred")
    assert rest[-1] == "ValueError: x␛[2J"
    assert "\x1b" not in done.stderr
