"""The record of all that the server saw and sent, for tests and for a checker of a long run."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

# Entries of each kind that are kept, and bytes of all their larger texts: a run of hours fits.
MAX_ENTRIES = 200_000
MAX_BYTES = 128 * 1024 * 1024
# Characters of a text inside params that are kept; a longer one is kept as its length and digest.
MAX_TEXT = 4_096


@dataclass
class Handshake:
    """One attempt to connect; `headers` hide the value of the token."""

    n: int
    time: float
    connection: int
    path: str
    headers: dict[str, str]
    token: str  # absent, right or wrong
    refusal: str  # "" if accepted
    role: str  # universal, api, event, dead
    is_reverse: bool = False


@dataclass
class Closing:
    """One end of a connection; `cause` says who ended it."""

    n: int
    time: float
    connection: int
    code: int
    reason: str
    cause: str


@dataclass
class Emission:
    """One event. `offered` names the connections that it was queued for, `written` those that got it.

    `withheld` says why no connection was offered it: no client, deaf, offline, down. `dropped` names
    connections whose backlog was too large.
    """

    n: int
    time: float
    event: Any
    offered: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    withheld: str = ""
    size: int = 0


@dataclass
class Action:
    """One action: what was asked, what was answered, and the fault that was applied to it."""

    n: int
    time: float
    connection: int
    action: str
    params: Any
    echo: Any
    status: str = ""
    retcode: int | None = None
    answered: float | None = None
    fault: str = ""


@dataclass
class Delivery:
    """One message of the account that reached a chat."""

    n: int
    time: float
    connection: int
    action: int
    chat: str
    message_id: int
    text: str
    segments: Any
    form: str  # how the client sent it: array or string


Entry = TypeVar("Entry", Handshake, Closing, Emission, Action, Delivery)


class Log(Generic[Entry]):
    """The entries of one kind, the newest of which are kept; `n` counts on."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.entries: deque[Entry] = deque()
        self.count = 0
        self.bytes = 0
        self._sizes: deque[int] = deque()
        self._changed = changed

    def add(self, make: Callable[[int], Entry], size: int = 200) -> Entry:
        """Append the entry that `make` returns for its number."""
        self.count += 1
        entry = make(self.count)
        self.entries.append(entry)
        self._sizes.append(size)
        self.bytes += size
        while len(self.entries) > MAX_ENTRIES or self.bytes > MAX_BYTES:
            self.entries.popleft()
            self.bytes -= self._sizes.popleft()
        self._changed()
        return entry

    def after(self, n: int, limit: int) -> list[Entry]:
        """Return the entries after number `n`, at most `limit`."""
        skipped = max(0, n - (self.count - len(self.entries)))
        end = min(len(self.entries), skipped + limit)
        if skipped == 0:
            return [self.entries[index] for index in range(end)]
        return list(self.entries)[skipped:end]


class Record:
    """All logs, and a way to wait for a change of any of them."""

    def __init__(self) -> None:
        self.handshakes: Log[Handshake] = Log(self.changed)
        self.closings: Log[Closing] = Log(self.changed)
        self.events: Log[Emission] = Log(self.changed)
        self.actions: Log[Action] = Log(self.changed)
        self.received: Log[Delivery] = Log(self.changed)
        self._waiting: list[asyncio.Future[None]] = []

    def changed(self) -> None:
        """Wake all that wait for a change."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def next_change(self) -> None:
        """Wait for the next change."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    async def until(self, is_true: Callable[[], bool], seconds: float, described: Callable[[], str]) -> None:
        """Wait until a change makes `is_true` true; raise TimeoutError with words after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not is_true():
                    await self.next_change()
        except TimeoutError as exc:
            raise TimeoutError(f"{described()} within {seconds:g} s") from exc


def shortened(value: Any) -> Any:
    """Return params with each long text replaced by its length and digest."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
        return f"<{len(value)} characters, sha256 {digest}>"
    if isinstance(value, dict):
        return {key: shortened(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shortened(one) for one in value]
    return value


def as_json(entries: Iterable[Handshake | Closing | Emission | Action | Delivery]) -> list[dict[str, Any]]:
    """Return entries as JSON objects."""
    return [asdict(entry) for entry in entries]
