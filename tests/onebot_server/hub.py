"""The connections, and what is emitted to them: nothing is kept for a client that is away."""

import asyncio
import json
from typing import Any

from .connection import Connection, Frame
from .events import heartbeat, lifecycle
from .record import Closing, Emission
from .state import State


def dumps(value: Any) -> str:
    """Return JSON as the implementations write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Hub:
    """Sends each event to every connection that takes events."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.connections: dict[int, Connection] = {}
        self._count = 0
        self._interval_changed = asyncio.Event()

    def number(self) -> int:
        """Return the number of a new connection."""
        self._count += 1
        return self._count

    def add(self, connection: Connection) -> None:
        """Take a connection in and send it the meta events of its start."""
        self.connections[connection.number] = connection
        if connection.takes_events:
            for sub_type in self._state.traits.lifecycle:
                self._send_meta(lifecycle(self._state, sub_type), [connection])
            if self._state.traits.is_heartbeat_sent_on_connect:
                self._send_meta(heartbeat(self._state), [connection])
        self._state.record.changed()

    def remove(self, connection: Connection, code: int, reason: str) -> None:
        """Record the end of a connection."""
        connection.end()
        self.connections.pop(connection.number, None)
        cause = connection.cause or "client"
        self._state.record.closings.add(
            lambda n: Closing(n, self._state.clock(), connection.number, code, reason, cause)
        )

    def emit(self, event: dict[str, Any]) -> Emission:
        """Send an event to all that listen now, and record it."""
        record, switches = self._state.record, self._state.switches
        text = dumps(event)
        size = len(text)
        emission = record.events.add(lambda n: Emission(n, self._state.clock(), event, size=size), size)
        emission.withheld = self._obstacle(event)
        if emission.withheld:
            if emission.withheld == "offline":
                switches.lifted.append(event)
            return emission
        for connection in self.connections.values():
            self._offer(connection, Frame(text, size, emission))
        if not emission.offered and not emission.dropped:
            emission.withheld = "no client"
        return emission

    def emit_many(self, summary: dict[str, Any], frames: list[Frame]) -> Emission:
        """Send many events to all that listen now; record them as the one entry `summary`."""
        size = sum(frame.size for frame in frames)
        emission = self._state.record.events.add(
            lambda n: Emission(n, self._state.clock(), summary, size=size)
        )
        emission.withheld = self._obstacle(summary)
        for connection in () if emission.withheld else self.connections.values():
            if connection.takes_events and not connection.is_silent:
                emission.offered.append(connection.number)
                for frame in frames[:-1]:
                    connection.put(frame)
                connection.put(Frame(frames[-1].text, frames[-1].size, emission))
        if not emission.offered and not emission.withheld:
            emission.withheld = "no client"
        return emission

    def _obstacle(self, event: dict[str, Any]) -> str:
        switches = self._state.switches
        if switches.is_down:
            return "down"
        if not switches.is_online and event.get("notice_type") != "bot_offline":
            return "offline"
        return "deaf" if switches.is_deaf else ""

    def _offer(self, connection: Connection, frame: Frame) -> None:
        emission = frame.emission
        if emission is None or not connection.takes_events or connection.is_silent:
            return
        limit = self._state.options.drop_bytes
        if limit:
            unsent = connection.unsent
            connection.is_dropping = unsent > (limit // 2 if connection.is_dropping else limit)
            if connection.is_dropping:
                emission.dropped.append(connection.number)
                return
        emission.offered.append(connection.number)
        connection.put(frame)

    def send_text(self, connection: Connection, text: str) -> None:
        """Send any text to one connection."""
        connection.put(Frame(text, len(text)))

    def _send_meta(self, event: dict[str, Any], connections: list[Connection]) -> None:
        text = dumps(event)
        for connection in connections:
            connection.put(Frame(text, len(text)))

    def send_heartbeat(self, connections: list[Connection] | None = None) -> None:
        """Send a heartbeat to some connections, by default to all that take events."""
        chosen = list(self.connections.values()) if connections is None else connections
        self._send_meta(heartbeat(self._state), [one for one in chosen if one.takes_events])

    def change_interval(self) -> None:
        """Let the timer read its interval again."""
        changed, self._interval_changed = self._interval_changed, asyncio.Event()
        changed.set()

    async def beat(self, connection: Connection | None = None) -> None:
        """Send heartbeats for ever: the shared timer, or that of one connection."""
        while True:
            traits = self._state.traits
            is_ours = traits.is_heartbeat_shared == (connection is None)
            seconds = traits.heartbeat_ms / 1000
            try:
                async with asyncio.timeout(seconds if is_ours and seconds else None):
                    await self._interval_changed.wait()
            except TimeoutError:
                self.send_heartbeat(None if connection is None else [connection])
