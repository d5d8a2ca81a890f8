"""A bell between tasks: waiting for it has an end, and a ring before the wait is not lost."""

import anyio


class Wakeup:
    """`ring` ends the present wait, or the next one. One waiter."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Wake the waiter."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring, for so long at most; whether there was one."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        rung = self._event.is_set()
        if rung:
            self._event = anyio.Event()
        return rung
