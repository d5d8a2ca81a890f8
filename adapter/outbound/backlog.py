"""Queue requests: in order within a chat, by priority across chats, round-robin across producers. Pure.

The backlog holds heads, not bodies: all that waits is known, and little of it is in memory.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from sys import intern

from adapter.events import Address, Priority, SendRequest

PRIORITIES = (Priority.HIGH, Priority.NORMAL, Priority.BULK)


# One entry has one head, and a chat may have thousands: a comparison looks at no field.
@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What scheduling needs of a request. `size`: bytes of its entry. `is_paced`: it counts as a message."""

    entry: str
    id: str
    chat: str
    priority: Priority = Priority.NORMAL
    expires: float | None = None
    size: int = 0
    is_paced: bool = True
    to: Address | None = None
    answers: str = ""

    @classmethod
    def of(cls, request: SendRequest, size: int, *, is_paced: bool) -> "Head":
        """Return the head of a request."""
        return cls(
            entry=request.entry,
            id=request.id,
            chat=intern(request.chat),
            priority=request.priority,
            expires=request.expires,
            size=size,
            is_paced=is_paced,
            to=request.to,
            answers=request.answers,
        )


def producer(request: Head) -> str:
    """Return the application of a request id `<application>/<event id>`, the form that is advised."""
    name, slash, _ = request.id.partition("/")
    return name if slash else ""


class Backlog:
    """Requests that were read and have parts to send. A busy chat holds back itself alone.

    A chat has the highest priority among its requests: a chat keeps its order, so the requests before an
    urgent one are urgent as well.
    """

    def __init__(self) -> None:
        # Lists, since most chats have one request: a deque of one takes seven times the memory.
        self._chats: dict[str, list[Head]] = {}
        # How many requests of each priority a chat has, in the order of PRIORITIES.
        self._counts: dict[str, list[int]] = {}
        # The chats that may be popped, in their order, by priority and producer.
        self._ready: dict[Priority, OrderedDict[str, OrderedDict[str, None]]] = {
            priority: OrderedDict() for priority in PRIORITIES
        }
        self._positions: dict[str, tuple[Priority, str]] = {}
        self._busy: set[str] = set()
        self._expiring: dict[str, Head] = {}
        # Their times in order; a time may stay here after its request has left.
        self._deadlines: list[tuple[float, str]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, request: Head) -> None:
        """Put a request behind all others of its chat."""
        chat = request.chat
        self._chats.setdefault(chat, []).append(request)
        self._count(request)
        self._update_position(chat)

    def pop(self, is_due: Callable[[Head], bool]) -> Head | None:
        """Take the next request that is due and whose chat is free; its chat is busy from here on."""
        for priority in PRIORITIES:
            for name, chats in self._ready[priority].items():
                for chat in chats:
                    if not is_due(self._chats[chat][0]):
                        continue
                    self._ready[priority].move_to_end(name)
                    return self._pop(chat)
        return None

    def requeue(self, request: Head, *, started: bool = False) -> None:
        """Put a popped request before all others of its chat, and free the chat."""
        chat = request.chat
        self._chats.setdefault(chat, []).insert(0, request)
        self._count(request)
        if started:
            self.mark_started(request)
        self.release_chat(chat)

    def release_chat(self, chat: str) -> None:
        """Free a chat: its popped request needs it no more."""
        self._busy.discard(chat)
        self._update_position(chat)

    def is_overdue(self, head: Head, now: float) -> bool:
        """Return whether a queued request expired before its start. `now` in seconds since 1970."""
        return head.expires is not None and head.expires <= now and head.entry in self._expiring

    def expired(self, now: float, most: int, *, is_held: Callable[[Head], bool]) -> list[Head]:
        """Return queued requests that expired before their start, `most` at most, and none that is held."""
        overdue: dict[str, Head] = {}
        held: list[Head] = []
        while self._deadlines and self._deadlines[0][0] <= now and len(overdue) < most:
            _, entry = heapq.heappop(self._deadlines)
            head = self._expiring.get(entry)
            if head is not None and is_held(head):
                held.append(head)
            elif head is not None:
                overdue[entry] = head
        for head in (*held, *overdue.values()):
            self._push_deadline(head)
        return list(overdue.values())

    def _push_deadline(self, head: Head) -> None:
        if head.expires is not None:
            heapq.heappush(self._deadlines, (head.expires, head.entry))

    def mark_started(self, request: Head) -> None:
        """Exempt a request from expiry: a part of it may be sent already."""
        self._expiring.pop(request.entry, None)

    def remove(self, request: Head) -> None:
        """Remove a request that will not be sent."""
        chat = request.chat
        self._chats[chat].remove(request)
        self._uncount(request)
        self._clear_position(chat)
        self._update_position(chat)

    def _pop(self, chat: str) -> Head:
        request = self._chats[chat].pop(0)
        self._uncount(request)
        self._clear_position(chat)
        self._busy.add(chat)
        return request

    def _count(self, request: Head) -> None:
        self._size += 1
        counts = self._counts.setdefault(request.chat, [0] * len(PRIORITIES))
        counts[PRIORITIES.index(request.priority)] += 1
        if request.expires is not None:
            self._expiring[request.entry] = request
            self._push_deadline(request)

    def _uncount(self, request: Head) -> None:
        self._size -= 1
        self._counts[request.chat][PRIORITIES.index(request.priority)] -= 1
        self._expiring.pop(request.entry, None)

    def _update_position(self, chat: str) -> None:
        """Put a chat where its first request and its highest priority belong."""
        queue = self._chats.get(chat)
        if not queue:
            self._chats.pop(chat, None)
            self._counts.pop(chat, None)
            return
        if chat in self._busy:
            return
        counts = self._counts[chat]
        priority = next(one for one, count in zip(PRIORITIES, counts, strict=True) if count)
        position = (priority, producer(queue[0]))
        if self._positions.get(chat) != position:
            self._clear_position(chat)
            self._positions[chat] = position
            self._ready[priority].setdefault(position[1], OrderedDict())[chat] = None

    def _clear_position(self, chat: str) -> None:
        position = self._positions.pop(chat, None)
        if position is not None:
            priority, name = position
            chats = self._ready[priority][name]
            del chats[chat]
            if not chats:
                del self._ready[priority][name]
