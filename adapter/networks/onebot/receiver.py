"""Receiver: what waits in the inbox becomes batches of events, in the order in which it came.

Pokes and typing have no id of their own, and equal ones are no copies. Each gets a number within its second.
Two adapters that are connected number them alike, so that a standby's copies have the same event ids. Just
after a connection was proved an adapter may have missed the first ones of a second: its numbers then begin
with the time of the proof.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from adapter.events import Batch, Message, Notice, UpstreamEvent
from adapter.networks.onebot.gaps import GapTracker
from adapter.networks.onebot.protocol.frames import decode_frame
from adapter.networks.onebot.recent_chats import RecentChats

_LEFT: Final = frozenset({"leave", "kick"})
# Seconds after a proof in which notices may have been missed that bear the same second.
_UNSTEADY: Final = 1.25
# Notices that are counted within some seconds, at 500 bytes each; beyond it all are forgotten.
_MAX_COUNTED: Final = 10_000


class Frame(NamedTuple):
    """An event as it was received, at a time in seconds."""

    data: bytes
    received: float


@dataclass(frozen=True, slots=True)
class Broken:
    """Events stop here: the connection, or QQ behind it, is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Proved:
    """Events come again from here on, at a time in seconds."""

    at: float


Item = Frame | Broken | Proved | UpstreamEvent


class Receiver:
    """Decodes, and follows gaps and chats. The frames of a broken connection are before its gap."""

    def __init__(self, tracker: GapTracker, chats: RecentChats, *, keep_raw: bool) -> None:
        self._tracker = tracker
        self._chats = chats
        self._keep_raw = keep_raw
        self._proved_at = 0.0
        self._counted: Counter[tuple[object, ...]] = Counter()

    def decode(self, items: Iterable[Item]) -> Batch:
        """Return the events of these items."""
        return tuple(event for _, event in self.decode_items(items))

    def decode_items(self, items: Iterable[Item]) -> list[tuple[Item, UpstreamEvent]]:
        """Return the events of these items, each with its item."""
        found: list[tuple[Item, UpstreamEvent]] = []
        for item in items:
            match item:
                case Frame():
                    found.append((item, self._decode_frame(item)))
                case Broken(reason):
                    self._tracker.break_off(reason)
                case Proved(at):
                    self._proved_at = at
                    if (gap := self._tracker.resume(at)) is not None:
                        found.append((item, gap))
                case _:
                    found.append((item, item))
        return found

    def decode_again(self, frame: Frame, ordinal: int | None) -> Message | Notice:
        """Return the event of a frame that was decoded before, with the number that it got then."""
        event = decode_frame(frame.data, frame.received, keep_raw=self._keep_raw)
        return replace(event, ordinal=ordinal) if isinstance(event, Notice) else event

    def _decode_frame(self, frame: Frame) -> Message | Notice:
        event = decode_frame(frame.data, frame.received, keep_raw=self._keep_raw)
        self._tracker.observe(frame.received, event.time)
        if isinstance(event, Notice) and event.ordinal is not None:
            event = replace(event, ordinal=self._count(event, frame.received))
        if isinstance(event, Message):
            self._chats.observe(event)
        elif event.kind == "member" and event.chat is not None and event.data.get("sub_type") in _LEFT:
            self._chats.forget_member(event.chat.id, str(event.data.get("user_id")))
        return event

    def _count(self, notice: Notice, received: float) -> int:
        """Return the number of a notice among equal ones of its second."""
        if len(self._counted) >= _MAX_COUNTED:
            self._counted.clear()
        key = (notice.kind, notice.chat, notice.sender, notice.time, repr(notice.data))
        self._counted[key] += 1
        first = int(self._proved_at * 1000) if received - self._proved_at < _UNSTEADY else 0
        return first + self._counted[key] - 1
