"""What clients asked and sent, kept for tests to look at and to wait for."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .pulse import Pulse

# Enough for any test; a long run loses the oldest quarter.
REQUESTS_KEPT = 100_000
RECEIVED_KEPT = 400_000
SAID_KEPT = 2_000
ARRIVED_KEPT = 1_000


@dataclass(frozen=True)
class RequestLog:
    """One answered request. `code` is the answer's return code, the HTTP status if it carried none.

    `n` counts from 1 in the order of answers, `params` joins query and form. Secrets are not hidden.
    """

    n: int
    time: float
    method: str
    host: str
    path: str
    params: Mapping[str, str]
    code: int
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """One message a client sent, in real numbers: `chat` is as in `say`, `text` as a phone shows it.

    `content` holds the parts without the font, `raw` the whole `r`, `n` counts from 1.
    """

    n: int
    chat: str
    text: str
    content: list[Any]
    msg_id: int
    time: float
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Uttered:
    """One thing somebody else said to the account, in real numbers; `n` counts from 1."""

    n: int
    chat: str
    sender: int
    text: str
    time: float


class Journal:
    """The two lists and the counters that outlive their trimming."""

    def __init__(self) -> None:
        self.requests: list[RequestLog] = []
        self.received: list[Received] = []
        self.dropped: list[Received] = []
        self.said: list[Uttered] = []
        self.said_count = 0
        self.request_count = 0
        self.received_count = 0
        self.by_path: Counter[str] = Counter()
        self.arrived: dict[str, list[Mapping[str, str]]] = {}
        self.handed: list[tuple[float, tuple[str, ...]]] = []
        self.changed = Pulse()

    def hand(self, time: float, items: tuple[str, ...]) -> None:
        """Note what an answer to a poll carries, as JSON texts; it may be put back and handed again."""
        _bounded(self.handed, REQUESTS_KEPT).append((time, items))

    def arrive(self, path: str, params: Mapping[str, str]) -> None:
        """Note a request before it is answered: a delayed answer may never be given."""
        _bounded(self.arrived.setdefault(path, []), ARRIVED_KEPT).append(params)
        self.changed.beat()

    def log(self, entry: Callable[[int], RequestLog]) -> None:
        """Note an answered request."""
        self.request_count += 1
        made = entry(self.request_count)
        self.by_path[made.path] += 1
        _bounded(self.requests, REQUESTS_KEPT).append(made)
        self.changed.beat()

    def deliver(self, entry: Callable[[int], Received]) -> Received:
        """Note a message that reached its addressee."""
        self.received_count += 1
        made = entry(self.received_count)
        _bounded(self.received, RECEIVED_KEPT).append(made)
        self.changed.beat()
        return made

    def say(self, entry: Callable[[int], Uttered]) -> None:
        """Note what somebody else said, for the phones to show."""
        self.said_count += 1
        _bounded(self.said, SAID_KEPT).append(entry(self.said_count))
        self.changed.beat()

    def drop(self, entry: Callable[[int], Received]) -> None:
        """Note a message that was accepted and reached nobody."""
        _bounded(self.dropped, RECEIVED_KEPT).append(entry(0))
        self.changed.beat()


def _bounded(entries: list[Any], limit: int) -> list[Any]:
    if len(entries) >= limit:
        del entries[: limit // 4]
    return entries
