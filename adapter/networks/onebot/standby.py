"""What a standby hears: kept on disk until the bus is sure to have it, published when it takes over.

Mechanism. A standby is connected, and writes each batch of frames to a log. A batch is dropped when it is
older than `keep_seconds` and the lease holder has heard all up to it. On take-over the batches that are left
are decoded again, in order. Redis drops the events that the former holder has published, by their ids.

Invariants:
- A batch leaves the log after the bus side has stored it, not before.
- What was dropped and is newer than what the former holder has heard lies within a gap.

What breaks them. A log that has no room drops its oldest batches, whatever the holder has heard.
"""

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgpack

from adapter.errors import SpoolError
from adapter.events import Gap, Message, Notice, UpstreamEvent
from adapter.networks.onebot.gaps import UNKNOWN, Heard, clip_gap
from adapter.networks.onebot.receiver import Frame, Item, Receiver
from adapter.networks.upstream import EventLog

log = logging.getLogger(__name__)

_FRAME, _GAP = 0, 1
_DROPPED: Final = "the standby had no room for what it heard"


class KeptBatch:
    """Frames and gaps as they were heard, with the account that heard them; times in seconds."""

    def __init__(self, account: str, first: float, last: float, rows: list[Any]) -> None:
        self.account = account
        self.first = first
        self.last = last
        self._rows = rows

    @classmethod
    def parse(cls, payload: bytes) -> "KeptBatch":
        """Return a batch as it was kept."""
        return cls(*msgpack.unpackb(payload))

    def __bytes__(self) -> bytes:
        return msgpack.packb([self.account, self.first, self.last, self._rows])  # type: ignore[no-any-return]

    def events(self, receiver: Receiver, heard: Heard | None) -> Iterator[UpstreamEvent]:
        """Yield its events. `heard`: what the former holder has heard."""
        for kind, *values in self._rows:
            if kind == _FRAME:
                received, data, ordinal = values
                if ordinal is not None and heard is not None and received <= heard.complete:
                    continue  # numbered otherwise just after a proof: its id may not drop the copy
                yield receiver.decode_again(Frame(data, received), ordinal)
            elif (gap := clip_gap(Gap(*values), heard)) is not None:
                yield gap


class StandbyLog:
    """The batches of a standby, oldest first, on a log of the state folder."""

    def __init__(self, log: EventLog, keep_seconds: float) -> None:
        self._log = log
        self._keep_seconds = keep_seconds
        self._oldest: KeptBatch | None = None
        first = self.peek()
        # From here on nothing was dropped.
        self._kept_since = UNKNOWN if first is None else first.first

    def peek(self) -> KeptBatch | None:
        """Return the oldest batch."""
        if self._oldest is None and (payload := self._log.peek()) is not None:
            self._oldest = KeptBatch.parse(payload)
        return self._oldest

    def drop(self) -> None:
        """Drop the oldest batch: it is stored elsewhere."""
        self._oldest = None
        self._log.advance()

    def keep(self, account: str, items: Iterable[tuple[Item, UpstreamEvent]], now: float) -> None:
        """Put on disk what was heard. Without room the oldest batches make some."""
        rows: list[Any] = []
        times: list[float] = []
        for item, event in items:
            if isinstance(item, Frame) and isinstance(event, Message | Notice):
                ordinal = event.ordinal if isinstance(event, Notice) else None
                rows.append((_FRAME, item.received, item.data, ordinal))
                times.append(item.received)
            elif isinstance(event, Gap):
                rows.append((_GAP, event.since, event.until, event.reason))
                times.append(event.until)
        if rows:
            self._write(bytes(KeptBatch(account, min(times), max(times), rows)), now)

    def _write(self, payload: bytes, now: float) -> None:
        while True:
            try:
                self._log.write(payload)
                self._log.sync()
            except SpoolError as exc:
                if not self._drop_oldest():
                    log.error("%s: what this standby hears is not kept", exc)  # noqa: TRY400 – no traceback
                    self._kept_since = now
                    return
            else:
                return

    def trim(self, now: float, heard: Heard | None) -> None:
        """Drop what is old and was heard by the holder, too; `heard` is None if that is not known."""
        horizon = now - self._keep_seconds
        if heard is not None:
            horizon = min(horizon, heard.complete)
        while (batch := self.peek()) is not None and batch.last <= horizon:
            self._kept_since = max(self._kept_since, batch.last)
            self.drop()

    def _drop_oldest(self) -> bool:
        if (batch := self.peek()) is None:
            return False
        self._kept_since = max(self._kept_since, batch.last)
        self.drop()
        return True

    def missing(self, heard: Heard | None) -> Gap | None:
        """Return the gap between what the former holder has heard and what is kept."""
        if heard is None or self._kept_since <= heard.complete:
            return None
        return Gap(heard.complete, self._kept_since, _DROPPED)
