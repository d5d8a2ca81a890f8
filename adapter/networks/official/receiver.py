"""Receiver: what waits in the inbox becomes batches of events, in the order in which it came."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapter.errors import ProtocolError
from adapter.events import Batch, ChatKind, Message, Notice, UpstreamEvent
from adapter.networks.official.gaps import GapTracker
from adapter.networks.official.protocol.events import decode_dispatch, decode_unreadable
from adapter.networks.official.protocol.frames import Frame, GatewaySession, parse_frame
from adapter.networks.official.protocol.media import signed_addresses
from adapter.networks.official.protocol.messages import MESSAGES, own_member_id
from adapter.networks.official.protocol.notices import INTERACTION, notice_chat
from adapter.networks.official.protocol.values import parse_text

# Groups whose own member id is known, and pictures whose address is; the oldest ones are forgotten first.
_MAX_GROUPS: Final = 10_000
_MAX_PICTURES: Final = 5_000


@dataclass(frozen=True, slots=True)
class Dispatch:
    """An event as it was received, at a time in seconds. `session`: where to go on behind it."""

    content: bytes = field(repr=False)
    session: GatewaySession | None
    received: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A frame that is none."""

    content: bytes = field(repr=False)
    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """Events stop here: the connection is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Events come from here on, at a time in seconds: of the same session, or of another one."""

    session: GatewaySession
    at: float
    is_resumed: bool


Item = Dispatch | Unreadable | Broken | Opened | UpstreamEvent


def opened_session(items: Sequence[Item]) -> GatewaySession | None:
    """Return the session that a part begins with, None for the rest of an earlier one."""
    match items:
        case [Opened(session, is_resumed=False), *_]:
            return session
    return None


def split_at_sessions(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield the items in parts: all before a new session are stored before it begins."""
    first = 0
    for number, item in enumerate(items):
        if number and isinstance(item, Opened) and not item.is_resumed:
            yield items[first:number]
            first = number
    yield items[first:]


class Receiver:
    """Decodes, follows gaps, and knows where to resume. `account`: the AppID."""

    def __init__(self, tracker: GapTracker, *, keep_raw: bool) -> None:
        self._tracker = tracker
        self._keep_raw = keep_raw
        self._own_ids: OrderedDict[str, str] = OrderedDict()
        self._pictures: OrderedDict[str, str] = OrderedDict()
        self.account = ""
        # Where a session goes on behind the last event that was decoded; None before the first one.
        self.position: GatewaySession | None = None
        # Ids of the interactions of the last items; "" where one has none.
        self.interactions: list[str] = []

    def decode(self, items: Iterable[Item]) -> Batch:
        """Return the events of these items."""
        batch: list[UpstreamEvent] = []
        self.interactions = []
        for item in items:
            match item:
                case Dispatch(content, session, received):
                    event = self._decode(content, received)
                    batch.append(event)
                    self._tracker.observe(received, event.time)
                    self.position = session or self.position
                case Unreadable(content, reason):
                    batch.append(decode_unreadable(content, reason))
                case Broken(reason):
                    self._tracker.break_off(reason)
                case Opened(session, at, is_resumed):
                    self.position = session
                    if is_resumed:
                        self._tracker.resume(at)
                    elif (gap := self._tracker.begin(at)) is not None:
                        batch.append(gap)
                case _:
                    batch.append(item)
        return tuple(batch)

    def _decode(self, content: bytes, received: float) -> Message | Notice:
        try:
            frame = parse_frame(content)
        except ProtocolError as exc:
            return decode_unreadable(content, str(exc))
        if frame.event == INTERACTION:
            self.interactions.append(parse_text(frame.object.get("id")))
        own_id = ""
        if frame.event in MESSAGES:
            own_id = self._learn(frame)
        return decode_dispatch(frame, received, account=self.account, own_id=own_id, keep_raw=self._keep_raw)

    def _learn(self, frame: Frame) -> str:
        """Note the addresses of pictures; returns the bot's own id in the group, "" if unknown."""
        for file_id, address in signed_addresses(frame.object.get("attachments")):
            _note(self._pictures, file_id, address, _MAX_PICTURES)
        chat = notice_chat(frame.object)
        group = chat.id if chat is not None and chat.kind is ChatKind.GROUP else ""
        group = group or parse_text(frame.object.get("group_id"))
        if group and (found := own_member_id(frame)):
            _note(self._own_ids, group, found, _MAX_GROUPS)
        return self._own_ids.get(group, "")

    def picture_address(self, file_id: str) -> str:
        """Return the signed address of a picture that came of late; "" if it is not known."""
        return self._pictures.get(file_id, "")


def _note(known: OrderedDict[str, str], name: str, value: str, limit: int) -> None:
    known[name] = value
    known.move_to_end(name)
    if len(known) > limit:
        known.popitem(last=False)
