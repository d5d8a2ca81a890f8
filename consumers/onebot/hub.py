"""Take events from the bus, turn them into frames, and pass them to every connection.

An event is read only while a bot is connected. It is acknowledged when the log says that it is done. See
delivery.py for the rules.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from adapter import Received, ReceivedMessage
from consumers.onebot.bus_reader import BusReader
from consumers.onebot.delivery import DeliveryLog, LoggedEvent, Window
from consumers.onebot.errors import BusAway
from consumers.onebot.events import heartbeat, message_number, quoted_ids, to_event, to_message
from consumers.onebot.intake import Intake
from consumers.onebot.message_index import MessageIndex
from consumers.onebot.options import Options
from consumers.onebot.plain_messages import PlainMessage, read_plain
from consumers.runtime.holding import HeldEntries, HeldEvent, decode_received

log = logging.getLogger("qqbus.gateway")

# Seconds between two heartbeats, which bots get in milliseconds.
HEARTBEAT_SECONDS: Final = 15.0
# Events that are turned into frames before sockets get their turn.
_SLICE: Final = 50
# Seconds until a quotation is looked up again while Redis is away.
_LOOKUP_PAUSE: Final = 0.5


Content = PlainMessage | Received


class Hub:
    """The events between the bus and the connections."""

    def __init__(self, options: Options, index: MessageIndex, reader: BusReader, held: HeldEntries) -> None:
        self._options = options
        self._reader = reader
        self._held = held
        self._index = index
        self.log = DeliveryLog()
        self._intake = Intake()
        self.windows: dict[Window, Callable[[], None]] = {}
        self._incoming: deque[HeldEvent[Content]] = deque()
        # Of what was taken since it was last empty.
        self._incoming_bytes = 0
        # Rises when the last bot leaves: what is being turned into frames then comes again, in order.
        self._generation = 0
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self.too_old = 0
        self.unmapped = 0

    # --- the sink of the runtime ---------------------------------------------------------------

    def room(self) -> int:
        """Return how many events it takes now."""
        self._has_room.clear()
        if not self.log.is_open:
            return 0
        return self._intake.room(len(self.log) + len(self._incoming), self.log.size + self._incoming_bytes)

    async def wait_for_room(self, seconds: float) -> None:
        """Return when there may be room, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._has_room.wait()
        except TimeoutError:
            return

    def decode(self, entry: str, fields: list[bytes]) -> Content:
        """Return the frame of a usual message, else the event. Raises SchemaError."""
        plain = read_plain(entry, fields, as_text=self._options.is_text_format)
        return decode_received(entry, fields) if plain is None else plain

    def take(self, events: Sequence[HeldEvent[Content]]) -> None:
        """Take events, oldest first."""
        if not self.log.is_open:
            # The bot left while they were read: they come behind what it has not confirmed.
            self._give_back(events)
            return
        sizes = [_size(one.content) for one in events]
        self._intake.observe(max(sizes))
        self._incoming_bytes += sum(sizes)
        self._incoming.extend(events)
        self._arrived.set()

    # --- connections ---------------------------------------------------------------------------

    def join(self, wake: Callable[[], None]) -> Window:
        """Open a window for a connection; `wake` is called when there is something to send."""
        if not self.log.is_open:
            # What the last bot did not confirm comes before anything new.
            self._held.reload()
        window = self.log.open()
        self.windows[window] = wake
        self._has_room.set()
        wake()
        return window

    def confirm(self, window: Window, position: int) -> None:
        """Record that a bot has everything up to a position."""
        self._acknowledge(self.log.confirm(window, position))

    def leave(self, window: Window) -> None:
        """Close the window of a connection that is gone."""
        self.windows.pop(window, None)
        done, dropped = self.log.close(window)
        self._acknowledge(done)
        if dropped:
            log.info("%d events are not confirmed: they come again when a bot is connected", len(dropped))
        self._held.forget(
            [event.entry for event in dropped], untouched=[one.entry for one in dropped if not one.was_sent]
        )
        if not self.log.is_open:
            self._generation += 1
            self._give_back(self._incoming)
            self._incoming.clear()
            self._incoming_bytes = 0

    def _acknowledge(self, entries: Sequence[str]) -> None:
        if entries:
            self._held.acknowledge(entries)
            self._has_room.set()

    # --- from events to frames -----------------------------------------------------------------

    async def run(self) -> None:
        """Turn events into frames until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            old = self.too_old
            while self._incoming:
                await self._pass_on_slice()
                for wake in list(self.windows.values()):
                    wake()
                # A long batch must not keep confirmations waiting.
                await asyncio.sleep(0)
            self._incoming_bytes = 0
            if self.too_old > old:
                log.warning(
                    "%d events were older than %g s and are dropped (--max-age)",
                    self.too_old - old,
                    self._options.max_age,
                )

    async def _pass_on_slice(self) -> None:
        """Turn some events into frames. It awaits only where a quotation has to be looked up."""
        oldest_ms = self._oldest_ms()
        done: list[str] = []
        for _ in range(_SLICE):
            if not self._incoming:
                break
            entry, content, is_redelivered = self._incoming[0]
            if oldest_ms and int(entry.partition("-")[0]) < oldest_ms:
                self.too_old += 1
                frames: tuple[bytes, ...] = ()
            elif isinstance(content, PlainMessage):
                frames = (content.frame,)
                self._index.add(content.known)
            else:
                # It stays in the queue: once the last bot has left, it is given back with the others.
                generation = self._generation
                frames = await self._frames(content)
                if generation != self._generation:
                    break
            self._incoming.popleft()
            if frames:
                self.log.add(LoggedEvent(entry, frames, sum(map(len, frames)), is_redelivered))
            else:
                done.append(entry)
        self._acknowledge(done)

    def _oldest_ms(self) -> float:
        """Return the time of the oldest entry that is passed on; 0 if none is too old."""
        limit = self._options.max_age
        return (time.time() - limit) * 1000 if limit else 0.0

    def _give_back(self, events: Iterable[HeldEvent[Content]]) -> None:
        entries = {one.entry: one.is_redelivered for one in events}
        self._held.forget(entries, untouched=[entry for entry, again in entries.items() if not again])

    async def _frames(self, received: Received) -> tuple[bytes, ...]:
        """Return an event as frames; waits where a quotation has to be looked up."""
        numbers = await self._numbers(received.chat, quoted_ids(received))
        if isinstance(received, ReceivedMessage):
            return self._message_frames(received, numbers)
        event = to_event(received, numbers)
        events = [event]
        if received.type.startswith("session."):
            is_online = received.type == "session.online"
            beat = heartbeat(
                received.account, time.time(), is_online=is_online, interval_ms=int(HEARTBEAT_SECONDS * 1000)
            )
            events.append(beat if received.type != "session.gap" else None)
        found = tuple(encode_frame(one) for one in events if one is not None)
        self.unmapped += not found
        return found

    def _message_frames(self, message: ReceivedMessage, numbers: dict[str, int]) -> tuple[bytes, ...]:
        if message.own and not self._options.reports_self:
            self._index.add_received(message, message_number(message))
            return ()
        event = to_message(message, numbers, as_text=self._options.is_text_format)
        if event is None:
            self.unmapped += 1
            return ()
        self._index.add_received(message, event["message_id"])
        return (encode_frame(event),)

    async def _numbers(self, chat: str, wanted: Sequence[str]) -> dict[str, int]:
        return {one: number for one in wanted if (number := await self._number(chat, one)) is not None}

    async def _number(self, chat: str, network_id: str) -> int | None:
        """Return the number of a quoted message; None if it is not on the bus."""
        number = self._index.numbers.get((chat, network_id))
        while number is None:
            try:
                number = await self._reader.number_of(chat, network_id)
            except BusAway:
                # Passed on without it the bot would be given an id that no action takes.
                await asyncio.sleep(_LOOKUP_PAUSE)
            else:
                self._index.numbers.put((chat, network_id), number)
        return number or None


def _size(content: Content) -> int:
    """Return about how many bytes an event takes until it is sent."""
    if isinstance(content, PlainMessage):
        return len(content.frame)
    return len(content.raw_body) + len(content.text)


def encode_frame(event: dict[str, Any]) -> bytes:
    """Return an event as JSON; what JSON cannot hold becomes text."""
    try:
        return _encoder.encode(event)
    except (ValueError, TypeError, OverflowError, RecursionError):
        # Half of a surrogate pair has no form in UTF-8, and one in ASCII: a bot's `echo` may have one.
        return json.dumps(_plain(event), separators=(",", ":")).encode()


_encoder: Final = msgspec.json.Encoder(enc_hook=str)
# Levels of nesting in what upstream said.
_MAX_DEPTH: Final = 60


def _plain(value: object, depth: int = 0) -> object:
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value if value is None or isinstance(value, str | int) else str(value)
