"""Per-chat queues: events of one chat one after the other, of several chats at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

# Entries read ahead while handlers are quick. Slow ones get fewer, so that peers find something to do.
MOST_AHEAD: Final = 1_000


@dataclass(slots=True)
class WorkItem:
    """An entry in hand. `count`: so often it was begun; if not by us, its former owner did not finish it.

    `lost`: while its handler runs the lease has ended, and somebody else has it now. Fields are read when
    their turn comes: the server has the next piece ready meanwhile, and no more is in memory than came.
    """

    entry: str
    fields: list[bytes]
    attempts: int = 0
    revoked: bool = False


def chat_of(fields: Sequence[bytes]) -> bytes:
    """Key for order."""
    # The contract's order puts `chat` eighth; an adapter that adds fields may not.
    if len(fields) > 15 and fields[14] == b"chat":  # noqa: PLR2004
        return fields[15]
    names = fields[::2]
    return fields[names.index(b"chat") * 2 + 1] if b"chat" in names else b""


@dataclass(slots=True, eq=False)
class ChatQueue:
    """The jobs of one chat, oldest first. The first may be in hand."""

    chat: bytes
    jobs: deque[WorkItem]
    busy: bool = False


Handle = Callable[[WorkItem], Awaitable[float | None]]


class KeyedDispatcher:
    """Hands jobs to `handle`, `slots` at a time. It answers None when done, or the seconds to try again in.

    A chat whose event has to be tried again waits without taking a slot. Nothing is begun while
    `may_begin` says no; then somebody has to call `forget`.
    """

    def __init__(self, handle: Handle, slots: int) -> None:
        self._handle = handle
        self.lease_valid: Callable[[], bool] = lambda: True
        self.slots = slots
        self.in_flight: dict[str, WorkItem] = {}
        self._lines: dict[bytes, ChatQueue] = {}
        self._ready: deque[ChatQueue] = deque()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._room = asyncio.Event()
        self._low = 0
        self._closed = False

    def submit(self, jobs: Iterable[WorkItem]) -> None:
        """Queue these behind what their chats already wait for."""
        for job in jobs:
            if job.entry in self.in_flight:
                # In hand while the lease ended, and dealt to this very process again.
                self.in_flight[job.entry].revoked = False
                continue
            self.in_flight[job.entry] = job
            chat = chat_of(job.fields)
            line = self._lines.get(chat)
            if line is None:
                line = self._lines[chat] = ChatQueue(chat, deque((job,)))
                self._offer(line)
            elif job.attempts:
                _place(line, job)
            else:
                line.jobs.append(job)

    def is_owned(self, job: WorkItem) -> bool:
        """Whether a job in hand may still be begun here."""
        return not job.revoked and self.lease_valid()

    def revoke(self) -> None:
        """Drop all that has not been begun; what has been is finished, and not tried again."""
        for line in list(self._lines.values()):
            for job in list(line.jobs)[1 if line.busy else 0 :]:
                del self.in_flight[job.entry]
            if line.busy:
                line.jobs[0].revoked = True
                line.jobs = deque((line.jobs[0],))
            else:
                line.jobs.clear()
                del self._lines[line.chat]
        self._ready.clear()

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True
        while self._sleepers:
            self._wake()

    def unfinished(self) -> list[tuple[str, int]]:
        """What is left when no slot works any more, and how often each counts as begun.

        A handler that was stopped is no reason to bury its event: that time does not count. But what was
        begun at all stays begun: whoever may not do it twice has to know.
        """
        return [
            (job.entry, max(min(job.attempts, 1), job.attempts - (line.busy and job is line.jobs[0])))
            for line in self._lines.values()
            for job in line.jobs
            if not job.revoked
        ]

    async def wait_below(self, number: int, seconds: float) -> bool:
        """Wait until at most so many jobs are in hand, for so long at most; whether it came to that."""
        self._low = number
        if len(self.in_flight) <= number:
            return True
        self._room.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    async def run_slot(self) -> None:
        """One of the slots; returns once closed."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            if not self._ready:
                sleeper: asyncio.Future[None] = loop.create_future()
                self._sleepers.append(sleeper)
                await sleeper
                continue
            line = self._ready.popleft()
            # A line that was forgotten while it waited for its next try is empty.
            if not line.jobs or not self.lease_valid():
                continue
            job = line.jobs[0]
            line.busy = True
            delay = await self._handle(job)
            line.busy = False
            if delay is None or job.revoked:
                self._done(line, job)
            elif not self._closed:
                loop.call_later(delay, self._offer, line)

    def _done(self, line: ChatQueue, job: WorkItem) -> None:
        line.jobs.popleft()
        del self.in_flight[job.entry]
        if line.jobs:
            self._ready.append(line)
        else:
            del self._lines[line.chat]
        if len(self.in_flight) <= self._low:
            self._room.set()

    def _offer(self, line: ChatQueue) -> None:
        self._ready.append(line)
        self._wake()

    def _wake(self) -> None:
        if self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)


def _place(line: ChatQueue, job: WorkItem) -> None:
    """Behind everything older: what a dead peer left may be older than what waits."""
    first = 1 if line.busy else 0
    place = len(line.jobs)
    while place > first and entry_key(line.jobs[place - 1].entry) > entry_key(job.entry):
        place -= 1
    line.jobs.insert(place, job)


def entry_key(entry: str) -> tuple[int, int]:
    """What entry ids are compared by."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)


class Prefetch:
    """How many entries to have in hand: more while they are finished quickly, fewer while they are not."""

    def __init__(self, slots: int) -> None:
        self._least = slots
        self.limit = min(2 * slots, MOST_AHEAD)

    def available(self, held: int) -> int:
        """How many to read while so many are in hand."""
        return self.limit - held

    def grow(self, number: int, room: int, held: int) -> None:
        """So many came where there was room for so many, while so many were still in hand."""
        if number == room and held < self._least:
            # Everything asked for was there, and the slots had run dry before it came.
            self.limit = min(self.limit * 2, MOST_AHEAD)

    def shrink(self) -> None:
        """What is in hand takes long: a peer could have had some of it."""
        self.limit = max(self.limit // 2, self._least)
