"""Per-chat queues: events of one chat one after the other, of several chats at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

# Entries read ahead while handlers are quick. Slow ones get fewer, so that peers find something to do.
MOST_AHEAD: Final = 1_000


@dataclass(slots=True)
class Job:
    """An entry in hand. `count`: so often it was begun; if not by us, its former owner did not finish it.

    `lost`: while its handler runs the lease has ended, and somebody else has it now. Fields are read when
    their turn comes: the server has the next piece ready meanwhile, and no more is in memory than came.
    """

    entry: str
    fields: list[bytes]
    count: int = 0
    lost: bool = False


def chat_of(fields: Sequence[bytes]) -> bytes:
    """Key for order."""
    # The contract's order puts `chat` eighth; an adapter that adds fields may not.
    if len(fields) > 15 and fields[14] == b"chat":  # noqa: PLR2004
        return fields[15]
    names = fields[::2]
    return fields[names.index(b"chat") * 2 + 1] if b"chat" in names else b""


@dataclass(slots=True, eq=False)
class _Line:
    """The jobs of one chat, oldest first. The first may be in hand."""

    chat: bytes
    jobs: deque[Job]
    busy: bool = False


Handle = Callable[[Job], Awaitable[float | None]]


class Chats:
    """Hands jobs to `handle`, `slots` at a time. It answers None when done, or the seconds to try again in.

    A chat whose event has to be tried again waits without taking a slot. Nothing is begun while
    `may_begin` says no; then somebody has to call `forget`.
    """

    def __init__(self, handle: Handle, slots: int) -> None:
        self._handle = handle
        self.may_begin: Callable[[], bool] = lambda: True
        self.slots = slots
        self.held: dict[str, Job] = {}
        self._lines: dict[bytes, _Line] = {}
        self._ready: deque[_Line] = deque()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._room = asyncio.Event()
        self._low = 0
        self._closed = False

    def put(self, jobs: Iterable[Job]) -> None:
        """Queue these behind what their chats already wait for."""
        for job in jobs:
            if job.entry in self.held:
                # In hand while the lease ended, and dealt to this very process again.
                self.held[job.entry].lost = False
                continue
            self.held[job.entry] = job
            chat = chat_of(job.fields)
            line = self._lines.get(chat)
            if line is None:
                line = self._lines[chat] = _Line(chat, deque((job,)))
                self._offer(line)
            elif job.count:
                _place(line, job)
            else:
                line.jobs.append(job)

    def is_ours(self, job: Job) -> bool:
        """Whether a job in hand may still be begun here."""
        return not job.lost and self.may_begin()

    def forget(self) -> None:
        """Drop all that has not been begun; what has been is finished, and not tried again."""
        for line in list(self._lines.values()):
            for job in list(line.jobs)[1 if line.busy else 0 :]:
                del self.held[job.entry]
            if line.busy:
                line.jobs[0].lost = True
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
            (job.entry, max(min(job.count, 1), job.count - (line.busy and job is line.jobs[0])))
            for line in self._lines.values()
            for job in line.jobs
            if not job.lost
        ]

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
            line = self._ready.popleft()
            # A line that was forgotten while it waited for its next try is empty.
            if not line.jobs or not self.may_begin():
                continue
            job = line.jobs[0]
            line.busy = True
            delay = await self._handle(job)
            line.busy = False
            if delay is None or job.lost:
                self._done(line, job)
            elif not self._closed:
                loop.call_later(delay, self._offer, line)

    def _done(self, line: _Line, job: Job) -> None:
        line.jobs.popleft()
        del self.held[job.entry]
        if line.jobs:
            self._ready.append(line)
        else:
            del self._lines[line.chat]
        if len(self.held) <= self._low:
            self._room.set()

    def _offer(self, line: _Line) -> None:
        self._ready.append(line)
        self._wake()

    def _wake(self) -> None:
        if self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)


def _place(line: _Line, job: Job) -> None:
    """Behind everything older: what a dead peer left may be older than what waits."""
    first = 1 if line.busy else 0
    place = len(line.jobs)
    while place > first and in_order(line.jobs[place - 1].entry) > in_order(job.entry):
        place -= 1
    line.jobs.insert(place, job)


def in_order(entry: str) -> tuple[int, int]:
    """What entry ids are compared by."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)


class Ahead:
    """How many entries to have in hand: more while they are finished quickly, fewer while they are not."""

    def __init__(self, slots: int) -> None:
        self._least = slots
        self.limit = min(2 * slots, MOST_AHEAD)

    def room(self, held: int) -> int:
        """How many to read while so many are in hand."""
        return self.limit - held

    def came(self, number: int, room: int, held: int) -> None:
        """So many came where there was room for so many, while so many were still in hand."""
        if number == room and held < self._least:
            # Everything asked for was there, and the slots had run dry before it came.
            self.limit = min(self.limit * 2, MOST_AHEAD)

    def slow(self) -> None:
        """What is in hand takes long: a peer could have had some of it."""
        self.limit = max(self.limit // 2, self._least)
