"""What an adapter publishes late: the events that a former lease holder had on its disk.

`watch` notes the texts of such events in a file, with the epoch that publishes them; `noted` reads it. An append is
late where the adapter stands by, or where an earlier process or term has written the record: another adapter may
have gone on. An event that another adapter has published already bears another epoch and is no late one.
"""

import json
import os
from pathlib import Path
from typing import Any

import msgpack

from adapter.bus.spool import publisher, replay
from adapter.bus.spool.replay import split_record

# Where id and text stand in a packed event.
_ID, _TEXT = 0, 6
# A standby appends under the epoch of the lease holder, which it does not know.
ANY_EPOCH = ""


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
        rows = msgpack.unpackb(split_record(payload)[1], unicode_errors="surrogateescape")
        late = rows if fence is not None and left > 0 else []
        if fence is None:  # the others were published by the lease holder, which may be ahead
            missing = {*await bus.missing_ids([row[_ID] for row in rows])}
            late = [row for row in rows if row[_ID] in missing]
        if late:
            # Before the append: the process may be killed behind it.
            epoch = ANY_EPOCH if fence is None else str(fence.epoch)
            os.write(log, json.dumps([epoch, [row[_TEXT] for row in late]]).encode() + b"\n")
        done = await append(bus, spool, fence, payload, **options)
        if fence is not None:
            left = max(0, left - 1)
        return done

    publisher.append_next = replay.append_next = appended  # type: ignore[attr-defined]
    publisher.DurablePublisher.__init__ = began  # type: ignore[method-assign]


def noted(file: Path | None) -> frozenset[tuple[str, str]]:
    """Return the texts of what was published late, each with its epoch or ANY_EPOCH."""
    if file is None or not file.exists():
        return frozenset()
    lines = [
        json.loads(line) for line in file.read_text(encoding="ascii").splitlines() if line.endswith("]]")
    ]
    return frozenset((text, epoch) for epoch, texts in lines for text in texts)
