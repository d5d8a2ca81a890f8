"""Keep the sends of one connection to one chat in the order in which they were asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ChatOrder:
    """Turns by chat. asyncio.Lock serves those who wait in the order of their coming."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def turn(self, chat: str) -> AsyncIterator[None]:
        """Run the body alone among those of this chat."""
        lock, users = self._locks.get(chat, (asyncio.Lock(), 0))
        self._locks[chat] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[chat]
            if users == 1:
                del self._locks[chat]
            else:
                self._locks[chat] = lock, users - 1
