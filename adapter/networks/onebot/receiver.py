"""Receiver: what waits in the inbox becomes batches of events, in the order in which it came."""

from collections.abc import Iterable
from dataclasses import dataclass

from adapter.events import Batch, Message, Notice, UpstreamEvent
from adapter.networks.onebot.gaps import GapTracker
from adapter.networks.onebot.protocol.frames import decode_frame
from adapter.networks.onebot.recent_chats import RecentChats

_LEFT = frozenset({"leave", "kick"})


@dataclass(frozen=True, slots=True)
class Frame:
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

    def decode(self, items: Iterable[Item]) -> Batch:
        """Return the events of these items."""
        batch: list[UpstreamEvent] = []
        for item in items:
            match item:
                case Frame():
                    batch.append(self._decode_frame(item))
                case Broken(reason):
                    self._tracker.break_off(reason)
                case Proved(at):
                    if (gap := self._tracker.resume(at)) is not None:
                        batch.append(gap)
                case _:
                    batch.append(item)
        return tuple(batch)

    def _decode_frame(self, frame: Frame) -> Message | Notice:
        event = decode_frame(frame.data, frame.received, keep_raw=self._keep_raw)
        self._tracker.observe(frame.received, event.time)
        if isinstance(event, Message):
            self._chats.observe(event)
        elif event.kind == "member" and event.chat is not None and event.data.get("sub_type") in _LEFT:
            self._chats.forget_member(event.chat.id, str(event.data.get("user_id")))
        return event
