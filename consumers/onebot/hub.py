"""Take events from the bus, turn them into frames, and pass them to every connection.

An event is read only while a bot is connected. It is acknowledged when the log says that it is done. See
delivery.py for the rules.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from adapter import Received, ReceivedMessage
from consumers.onebot.bus_reader import BusReader
from consumers.onebot.delivery import DeliveryLog, LoggedEvent, Window
from consumers.onebot.errors import BusAway
from consumers.onebot.events import heartbeat, message_number, quoted_ids, to_event
from consumers.onebot.message_index import MessageIndex
from consumers.onebot.options import Options
from consumers.runtime.holding import HeldEntries, HeldEvent

log = logging.getLogger("qqbus.gateway")

# Seconds between two heartbeats, which bots get in milliseconds.
HEARTBEAT_SECONDS: Final = 15.0
# Events that are turned into frames before sockets get their turn.
_SLICE: Final = 50
# Seconds until a quotation is looked up again while Redis is away.
_LOOKUP_PAUSE: Final = 0.5


class Hub:
    """The events between the bus and the connections."""

    def __init__(self, options: Options, index: MessageIndex, reader: BusReader, held: HeldEntries) -> None:
        self._options = options
        self._reader = reader
        self._held = held
        self._index = index
        self.log = DeliveryLog()
        self.windows: dict[Window, Callable[[], None]] = {}
        self._incoming: deque[HeldEvent] = deque()
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
        return max(0, self.log.room() - len(self._incoming))

    async def wait_for_room(self, seconds: float) -> None:
        """Return when there may be room, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._has_room.wait()
        except TimeoutError:
            return

    def take(self, events: Sequence[HeldEvent]) -> None:
        """Take events, oldest first."""
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
            while self._incoming:
                self._give_back(self._incoming.popleft())

    def _acknowledge(self, entries: Sequence[str]) -> None:
        for entry in entries:
            self._held.acknowledge(entry)
        if entries:
            self._has_room.set()

    # --- from events to frames -----------------------------------------------------------------

    async def run(self) -> None:
        """Turn events into frames until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            old = self.too_old
            while self._incoming:
                for _ in range(_SLICE):
                    if self._incoming:
                        await self._pass_on(self._incoming.popleft())
                for wake in list(self.windows.values()):
                    wake()
                # A long batch must not keep confirmations waiting.
                await asyncio.sleep(0)
            if self.too_old > old:
                log.warning(
                    "%d events were older than %g s and are dropped (--max-age)",
                    self.too_old - old,
                    self._options.max_age,
                )

    async def _pass_on(self, event: HeldEvent) -> None:
        received = event.received
        if not self.log.is_open:
            self._give_back(event)
            return
        generation = self._generation
        frames = () if self._is_too_old(received) else await self._frames(received)
        if generation != self._generation:
            self._give_back(event)
            return
        if not frames:
            self._held.acknowledge(received.entry)
            self._has_room.set()
            return
        size = sum(len(frame) for frame in frames)
        self.log.add(LoggedEvent(received.entry, frames, size, event.is_redelivered))

    def _give_back(self, event: HeldEvent) -> None:
        entry = event.received.entry
        self._held.forget([entry], untouched=() if event.is_redelivered else (entry,))

    def _is_too_old(self, received: Received) -> bool:
        limit = self._options.max_age
        if not limit or int(received.entry.partition("-")[0]) / 1000 >= time.time() - limit:
            return False
        self.too_old += 1
        return True

    async def _frames(self, received: Received) -> tuple[bytes, ...]:
        if isinstance(received, ReceivedMessage) and received.own and not self._options.reports_self:
            self._index.add(received, message_number(received))
            return ()
        quoted = quoted_ids(received)
        numbers = await self._numbers(received.chat, quoted) if quoted else {}
        event = to_event(received, numbers, as_text=self._options.is_text_format)
        if isinstance(received, ReceivedMessage):
            self._index.add(received, event["message_id"] if event else message_number(received))
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
