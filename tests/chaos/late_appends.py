"""What an adapter publishes late: the events that a former lease holder had on its disk.

`watch` notes the texts of such events in a file, `noted` reads it. An append is late where the adapter stands by,
or where an earlier process or term has written the record. Another adapter may have gone on meanwhile.
"""

import json
import os
from pathlib import Path
from typing import Any

import msgpack

from adapter.bus.spool import publisher, replay
from adapter.bus.spool.replay import split_record

# Where the text stands in a packed event.
_TEXT = 6


def watch(file: Path) -> None:
    """Note from now on what this process publishes late."""
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    append, begin = publisher.append_next, publisher.DurablePublisher.__init__
    # Records that were on disk when the present term began.
    left = 0

    def began(self: Any, bus: Any, lease: Any, spool: Any, **options: Any) -> None:
        nonlocal left
        begin(self, bus, lease, spool, **options)
        left = spool.unpublished

    async def appended(bus: Any, spool: Any, fence: Any, payload: bytes, **options: Any) -> Any:
        nonlocal left
        done = await append(bus, spool, fence, payload, **options)
        if done.added and (fence is None or left > 0):
            rows = msgpack.unpackb(split_record(payload)[1], unicode_errors="surrogateescape")
            os.write(log, json.dumps([row[_TEXT] for row in rows]).encode() + b"\n")
        if fence is not None:
            left = max(0, left - 1)
        return done

    publisher.append_next = replay.append_next = appended  # type: ignore[attr-defined]
    publisher.DurablePublisher.__init__ = began  # type: ignore[method-assign]


def noted(file: Path | None) -> frozenset[str]:
    """Return the texts of what was published late."""
    if file is None or not file.exists():
        return frozenset()
    lines = file.read_text(encoding="ascii").splitlines()
    return frozenset(text for line in lines if line.endswith("]") for text in json.loads(line))
