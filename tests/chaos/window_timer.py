"""`qqbus` with a stopwatch on the one window that SmartQQ leaves: `python -m tests.chaos.window_timer FILE run`.

FILE gets a mark when the process begins, and each time an answer begins to come, is written – from then on
it outlives the process –, is on disk, where it outlives the power, and is on the bus: which of these, and
when, in seconds since 1970. It looks unknown senders up as often as it likes.
"""

import math
import os
import struct
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from adapter import failpoints
from adapter.bus import retention
from adapter.cli.main import main
from adapter.failpoints import Failpoint
from adapter.networks.smartqq.limits import Limits
from tests.chaos.fast_timeouts import hurry

MARK = struct.Struct("cd")
BEGAN, ARRIVED, WRITTEN, SAFE, TOLD = b"b", b"a", b"w", b"s", b"t"
# The answers before the last one are on the bus: the last one came while Redis had them in hand.
TOLD_BEFORE = b"p"
Marks = list[tuple[bytes, float]]
MARKS: Final = {
    Failpoint.SPOOLED: WRITTEN,
    Failpoint.SYNCED: SAFE,
    Failpoint.DRAINED: TOLD,
}
# From the start of a process until it has given away what it found on its disk.
READY = 0.5


def watch(file: Path) -> None:
    """Hang in the stopwatch."""
    # Everything is to be checked in the end: nothing of it may have been trimmed by then.
    retention.KEPT_ENTRIES.update(dict.fromkeys(retention.KEPT_ENTRIES, 10_000_000))
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, MARK.pack(BEGAN, time.time()))
    waiting, is_behind = b"", False

    def hook(step: Failpoint) -> None:
        nonlocal waiting, is_behind
        if step is Failpoint.ARRIVED:
            os.write(log, MARK.pack(ARRIVED, time.time()))
            is_behind = is_behind or TOLD in waiting
            waiting = b""  # it may have brought nothing
        elif step is Failpoint.BROUGHT:
            waiting = WRITTEN + SAFE + TOLD
        elif step is Failpoint.DRAINED and (WRITTEN in waiting or TOLD not in waiting):
            if is_behind:
                os.write(log, MARK.pack(TOLD_BEFORE, time.time()))
                is_behind = False
            return
        for mark in map(bytes, zip(MARKS.get(step, b""))):
            if mark in waiting:
                waiting = waiting.replace(mark, b"")
                os.write(log, MARK.pack(mark, time.time()))

    failpoints.handler = hook


@dataclass(frozen=True)
class State:
    """How far a process was with the last answer it got when it was stopped or killed. Seconds since 1970.

    `arrived`: when that began to come, and `before`: when the one before it did; `told`: when the last one came
    that is on the bus, later than others while Redis is away; each 0 where there was none. `overtaken`: somebody
    else got answers before there was a process in its place that could tell what this one had in hand.
    """

    time: float
    before: float = 0.0
    arrived: float = 0.0
    written: bool = True
    told: float = 0.0
    overtaken: bool = False

    def had(self, handed: float) -> bool:
        """Whether the last answer is the one that upstream gave away then: there is one poll at a time."""
        return self.before < handed <= self.arrived

    def kept(self, handed: float) -> bool:
        """Whether what upstream gave away then was in hand and not on the bus."""
        return self.told < handed <= self.arrived


def marks(file: Path) -> Marks:
    """All that was noted."""
    data = file.read_bytes() if file.exists() else b""
    return list(MARK.iter_unpack(data[: len(data) // MARK.size * MARK.size]))


def windows(noted: Marks) -> list[tuple[float, float]]:
    """How long each answer that brought something was in memory only, and how long until it was on disk."""
    found, began, written = [], 0.0, 0.0
    for mark, moment in noted:
        if mark == ARRIVED:
            began = moment
        elif mark == WRITTEN:
            written = moment
        elif mark == SAFE and written >= began:
            found.append((written - began, moment - began))
    return found


def state(noted: Marks, moment: float) -> State:
    """Return what a process that was stopped or killed then had noted."""
    noted = [(mark, time) for mark, time in noted if time <= moment]
    began = max((time for mark, time in noted if mark == BEGAN), default=0.0)
    noted = [(mark, time) for mark, time in noted if time >= began]
    before, arrived = [0.0, 0.0, *(time for mark, time in noted if mark == ARRIVED)][-2:]
    return State(
        moment,
        before,
        arrived,
        any(mark == WRITTEN and time >= arrived for mark, time in noted),
        max(_newest(noted, TOLD, 1), _newest(noted, TOLD_BEFORE, 2)),
    )


def _newest(noted: Marks, told: bytes, back: int) -> float:
    """Return when the answer came that was the last (1), or the last but one (2), at the newest such mark."""
    last = max((time for mark, time in noted if mark == told), default=0.0)
    return [0.0, 0.0, *(time for mark, time in noted if mark == ARRIVED and time <= last)][-back]


def overtaken(own: Marks, others: Iterable[Marks], kill: float) -> bool:
    """Whether another process got an answer before the next one of this role could say anything."""
    back = min((time for mark, time in own if mark == BEGAN and time > kill), default=math.inf) + READY
    return any(kill < time < back for other in others for mark, time in other if mark == ARRIVED)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
    hurry(replace(Limits(), lookup_interval=0.0))
    del sys.argv[1]
    main()
