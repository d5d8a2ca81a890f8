"""Everything the server saw and sent, for tests and for the chaos checker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .waiting import Pulse

# Entries kept of each list; a long run loses the oldest quarter.
KEPT = 100_000


@dataclass(frozen=True)
class Request:
    """One answered HTTP request; secrets in it are not hidden."""

    n: int
    time: float
    endpoint: str
    method: str
    path: str
    status: int
    code: int
    trace_id: str
    body: Any
    headers: Mapping[str, str]
    cut: str = ""


@dataclass
class Received:
    """One message of the bot that the server accepted.

    `anchor` is the msg_id or event_id that it answers, "" for a proactive one. `shown` is false for one
    that was accepted and reached no user. `media` describes the uploaded file of a picture or the like.
    """

    n: int
    time: float
    chat: str
    id: str
    ref_idx: str
    text: str
    msg_type: int
    anchor: str
    msg_seq: int
    reference: str
    media: Mapping[str, Any] | None
    raw: Mapping[str, Any]
    shown: bool = True
    recalled: bool = False


@dataclass
class Copy:
    """One event in the stream of one session; `sent` counts how often it was put on a wire."""

    session: str
    s: int
    sent: int = 0


@dataclass
class Event:
    """One event. `copies` is empty where no session existed to receive it: the event is lost."""

    n: int
    time: float
    type: str
    event_id: str
    chat: str
    message_id: str
    text: str
    body: Mapping[str, Any]
    copies: list[Copy] = field(default_factory=list)


@dataclass
class ConnectionLog:
    """One WebSocket connection. `closed` is 0 while open, `code` 1006 where no close frame was seen."""

    n: int
    opened: float
    session: str = ""
    entry: str = ""
    resumed_from: int = -1
    replayed: int = 0
    closed: float = 0.0
    code: int = 0
    closed_by: str = ""


@dataclass(frozen=True)
class Frame:
    """One WebSocket frame; `direction` is `in` (from the client) or `out`."""

    n: int
    time: float
    connection: int
    direction: str
    op: int
    s: int | None
    t: str
    payload: Any


class Record:
    """The lists, each numbered from 1, and one pulse for all of them."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.received: list[Received] = []
        self.events: list[Event] = []
        self.connections: list[ConnectionLog] = []
        self.frames: list[Frame] = []
        self.typing: list[str] = []
        # Ids of interactions, each as often as it was acknowledged.
        self.acknowledged: list[str] = []
        self.changed = Pulse()
        self._counts: dict[str, int] = {}

    def number(self, kind: str) -> int:
        """Return the next number of a list."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind]

    def count(self, kind: str) -> int:
        """Return how many entries a list has had in all."""
        return self._counts.get(kind, 0)

    def add(self, entries: list[Any], entry: Any) -> None:
        """Append to one of the lists and wake those that wait."""
        if len(entries) >= KEPT:
            del entries[: KEPT // 4]
        entries.append(entry)
        self.changed.beat()
