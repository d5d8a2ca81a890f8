"""Messages waiting to be polled, and the one poll that waits for them.

Only one poll is served at a time: when a second one comes, messages go to it, and the first runs
into its time-out empty-handed. Items are kept ready encoded, with what is needed to encode them again
should the momentary ids change before anybody polls.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .pulse import Pulse


@dataclass(frozen=True)
class Letter:
    """One poll item as JSON text. `again` renders it anew, None if it must stay as it is."""

    text: str
    again: Callable[[], str] | None = None


class Mailbox:
    """The queue of one account."""

    def __init__(self) -> None:
        self._letters: deque[Letter] = deque()
        self._taken: list[Letter] = []
        self._parked: asyncio.Future[None] | None = None
        self.changed = Pulse()
        self._waiting: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def polls(self) -> int:
        """How many polls are waiting, those included to which nothing will come."""
        return len(self._waiting)

    def put(self, letter: Letter, limit: int) -> None:
        """Queue a letter and wake the waiting poll; beyond `limit` the oldest letter is lost."""
        self._letters.append(letter)
        if len(self._letters) > limit:
            self._letters.popleft()
        if self._parked is not None:
            self.wake()

    def take(self, limit: int) -> list[Letter]:
        """Return up to `limit` letters, the oldest first, and forget them."""
        self._taken = [self._letters.popleft() for _ in range(min(limit, len(self._letters)))]
        return list(self._taken)

    def repeat(self) -> int:
        """Queue again what was taken last, ahead of everything else; return how many letters."""
        self.put_back(self._taken)
        return len(self._taken)

    def put_back(self, letters: list[Letter]) -> None:
        """Return letters that did not reach the client to the head of the queue."""
        self._letters.extendleft(reversed(letters))
        self.wake()

    def rewrite(self) -> None:
        """Render every letter again, the momentary ids having changed."""
        self._letters = deque(
            letter if letter.again is None else Letter(letter.again(), letter.again)
            for letter in self._letters
        )

    def clear(self) -> None:
        """Forget everything that waits."""
        self._letters.clear()

    def wake(self) -> None:
        """Make the waiting poll look again at what there is to answer. From now on it does not wait."""
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)
            self._waiting.discard(self._parked)
            self._parked = None

    async def park(self, seconds: float) -> bool:
        """Wait until woken (True) or for `seconds` (False)."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parked = mine
        self._waiting.add(mine)
        self.changed.beat()
        try:
            async with asyncio.timeout(seconds):
                await mine
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(mine)
            if self._parked is mine:
                self._parked = None
            self.changed.beat()
        return True
