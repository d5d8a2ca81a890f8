"""What other tasks want from the one that talks to upstream, and how they wake it."""

import math
from collections.abc import Callable

import anyio


class Wishes:
    """`enter`, `leave` and `type` are called by anybody; `rest` and `typed` by the one who waits."""

    def __init__(self) -> None:
        self.leaving = False
        self.doubt = False
        self._entering = False
        self._text: str | None = None
        self._bell = anyio.Event()

    def enter(self) -> None:
        """Somebody asks for a login."""
        self._entering = True
        self.wake()

    def leave(self) -> None:
        """Somebody asks for a logout; it takes back a login asked for before."""
        self.leaving = True
        self._entering = False
        self.wake()

    def type(self, text: str) -> None:
        """Somebody read the captcha."""
        self._text = text
        self.wake()

    def suspect(self) -> None:
        """Somebody was told that the session is gone."""
        self.doubt = True
        self.wake()

    def wake(self) -> None:
        """End the present wait."""
        self._bell.set()

    def arrived(self) -> None:
        """We are online: what was wished on the way has come true."""
        self._entering = self.doubt = False
        self._text = None

    @property
    def urgent(self) -> bool:
        """Whether something is wished that must not wait."""
        return self.leaving or self.doubt or self._entering

    async def rest(self, seconds: float | None) -> bool:
        """Let time pass (None: for ever) until somebody wants something; whether that is a login."""
        await self._until(seconds, lambda: self.urgent)
        entering, self._entering = self._entering, False
        return entering

    async def typed(self, seconds: float) -> str | None:
        """What was typed; None if nobody did in time or something else is wanted."""
        await self._until(seconds, lambda: self._text is not None or self.urgent)
        self._entering = False
        return self._text

    def blank(self) -> None:
        """There is something new to read: what was typed before does not belong to it."""
        self._text = None

    async def _until(self, seconds: float | None, true: Callable[[], bool]) -> None:
        with anyio.move_on_after(math.inf if seconds is None else seconds):
            while not true():
                self._bell = anyio.Event()
                await self._bell.wait()
