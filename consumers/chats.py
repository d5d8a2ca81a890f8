"""Per-chat queues: events of one chat one after the other, of several chats at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from adapter import Received, SchemaError

# Entries read ahead while handlers are quick. Slow ones get fewer, so that peers find something to do.
MOST_AHEAD: Final = 1_000


@dataclass(slots=True)
class Job:
    """An entry in hand: `count` times begun so far, `suspect` if somebody else left it unfinished."""

    entry: str
    fields: list[bytes]
    event: Received | SchemaError
    count: int = 0
    suspect: bool = False

    @property
    def chat(self) -> str:
        """Key for order."""
        return self.event.chat if isinstance(self.event, Received) else ""


Handle = Callable[[Job], Awaitable[float | None]]


class Chats:
    """Hands jobs to `handle`, `slots` at a time. It answers None when done, or the seconds to try again in.

    A chat whose event has to be tried again waits without taking a slot.
    """

    def __init__(self, handle: Handle, slots: int) -> None:
        self._handle = handle
        self.slots = slots
        self.held: dict[str, Job] = {}
        self._queues: dict[str, deque[Job]] = {}
        self._ready: deque[str] = deque()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._begun: set[str] = set()
        self._room = asyncio.Event()
        self._low = 0
        self._closed = False

    def put(self, jobs: Iterable[Job]) -> None:
        """Queue these behind what their chats already wait for."""
        for job in jobs:
            self.held[job.entry] = job
            queue = self._queues.get(job.chat)
            if queue is None:
                self._queues[job.chat] = deque((job,))
                self._offer(job.chat)
            elif job.suspect:
                _place(queue, job)
            else:
                queue.append(job)

    def close(self) -> list[str]:
        """Begin nothing more; returns the entries that had not been begun."""
        self._closed = True
        while self._sleepers:
            self._wake()
        return [entry for entry in self.held if entry not in self._begun]

    async def drop_to(self, number: int, seconds: float) -> bool:
        """Wait until at most so many jobs are in hand, for so long at most; whether it came to that."""
        self._low = number
        if len(self.held) <= number:
            return True
        self._room.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    async def slot(self) -> None:
        """One of the slots; returns once closed."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            if not self._ready:
                sleeper: asyncio.Future[None] = loop.create_future()
                self._sleepers.append(sleeper)
                await sleeper
                continue
            chat = self._ready.popleft()
            job = self._queues[chat][0]
            self._begun.add(job.entry)
            delay = await self._handle(job)
            self._begun.discard(job.entry)
            if delay is None:
                self._done(chat, job)
            elif not self._closed:
                loop.call_later(delay, self._offer, chat)

    def _done(self, chat: str, job: Job) -> None:
        queue = self._queues[chat]
        queue.popleft()
        del self.held[job.entry]
        if queue:
            self._ready.append(chat)
        else:
            del self._queues[chat]
        if len(self.held) <= self._low:
            self._room.set()

    def _offer(self, chat: str) -> None:
        self._ready.append(chat)
        self._wake()

    def _wake(self) -> None:
        if self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)


def _place(queue: deque[Job], job: Job) -> None:
    """Behind everything older; what a dead peer left may be older than what waits. The head has begun."""
    place = len(queue)
    while place > 1 and _order(queue[place - 1].entry) > _order(job.entry):
        place -= 1
    queue.insert(place, job)


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)


class Ahead:
    """How many entries to have in hand: more while they are finished quickly, fewer while they are not."""

    def __init__(self, slots: int) -> None:
        self._least = slots
        self.limit = min(2 * slots, MOST_AHEAD)

    def waited(self, seconds: float) -> None:
        """So long it took to bring down what was in hand."""
        if seconds < 0.05:  # noqa: PLR2004 – quick enough to ask for twice as much
            self.limit = min(self.limit * 2, MOST_AHEAD)
        elif seconds > 0.5:  # noqa: PLR2004 – a peer could have had these
            self.limit = max(self.limit // 2, self._least)
