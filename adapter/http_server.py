"""Bound the connections of the HTTP endpoints: silent ones are closed, and their number is limited.

uvicorn waits without end for a peer that sends nothing. Each such peer holds a file descriptor, and Redis,
the network and the spool need descriptors of the same process. Therefore a request must be whole in time, and
a connection over the limit takes the place of the one that has waited longest for its peer. A health check
sends its request at once, so it is answered beside any number of silent connections.
"""

import asyncio
import resource
from dataclasses import dataclass
from typing import ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# Seconds for the head of a request, from the connection or the former response, and for its body.
HEAD_SECONDS: Final = 5.0
BODY_SECONDS: Final = 15.0
# Seconds between two looks at a connection.
CHECK_SECONDS: Final = 0.5
# Descriptors that are kept for Redis, the network, the spool and the accept queue of the listener.
RESERVED_DESCRIPTORS: Final = 256
# Connections that even a process with few descriptors takes.
MIN_CONNECTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Connections at a time, in all and of one address."""

    total: int
    per_address: int

    @classmethod
    def below_descriptors(cls, total: int) -> "ConnectionLimits":
        """Return limits of at most `total` that leave descriptors for the rest of the process."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors != resource.RLIM_INFINITY:
            total = max(MIN_CONNECTIONS, min(total, descriptors - RESERVED_DESCRIPTORS))
        return cls(total, max(MIN_CONNECTIONS, total * 3 // 4))


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol with limits; `with_limits` makes the class that a server uses."""

    limits: ClassVar = ConnectionLimits(MIN_CONNECTIONS, MIN_CONNECTIONS)

    @classmethod
    def with_limits(cls, limits: ConnectionLimits) -> "type[BoundedProtocol]":
        """Return a protocol with these limits."""
        return type("LimitedProtocol", (cls,), {"limits": limits})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if need be in the place of another one."""
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        has_room = self._make_room()
        super().connection_made(transport)
        self.since = self.loop.time()
        self._check_timer = self.loop.call_later(CHECK_SECONDS, self._check)
        if not has_room:
            self._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the checks."""
        self._check_timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request from now on."""
        self.since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, and end the connection; where an answer has begun, end it alone."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self._abort()
        if self.cycle is not None:  # what the application says from here on has no reader
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    @property
    def is_waiting(self) -> bool:
        """Whether the peer has to send something: a head, or the rest of a body."""
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY}

    def _check(self) -> None:
        seconds = HEAD_SECONDS if self.conn.their_state is h11.IDLE else BODY_SECONDS
        if self.is_waiting and self.loop.time() - self.since > seconds:
            self._abort()
        elif not self.transport.is_closing():
            self._check_timer = self.loop.call_later(CHECK_SECONDS, self._check)

    def _make_room(self) -> bool:
        """Close the connection that has waited longest, where there is no room; False if none waits."""
        others = [one for one in self.connections if isinstance(one, BoundedProtocol)]
        of_address = [one for one in others if one.address == self.address]
        if len(of_address) >= self.limits.per_address:
            others = of_address
        elif len(others) < self.limits.total:
            return True
        waiting = [one for one in others if one.is_waiting]
        if not waiting:
            return False
        min(waiting, key=lambda one: one.since)._abort()  # noqa: SLF001 – another of this class
        return True

    def _abort(self) -> None:
        self.connections.discard(self)
        self.transport.abort()
