"""What other tasks want from the one that talks to upstream, and how they wake it."""

import math
from collections.abc import Callable

import anyio


class SessionRequests:
    """`enter`, `leave` and `type` are called by anybody; `rest` and `typed` by the one who waits."""

    def __init__(self) -> None:
        self.leaving = False
        self.session_suspect = False
        self._entering = False
        self._text: str | None = None
        self._bell = anyio.Event()

    def request_login(self) -> None:
        """Somebody asks for a login."""
        self._entering = True
        self.wake()

    def request_logout(self) -> None:
        """Somebody asks for a logout; it takes back a login asked for before."""
        self.leaving = True
        self._entering = False
        self.wake()

    def submit_captcha(self, text: str) -> None:
        """Somebody read the captcha."""
        self._text = text
        self.wake()

    def report_invalid(self) -> None:
        """Somebody was told that the session is gone."""
        self.session_suspect = True
        self.wake()

    def wake(self) -> None:
        """End the present wait."""
        self._bell.set()

    def clear(self) -> None:
        """We are online: what was wished on the way has come true."""
        self._entering = self.session_suspect = False
        self._text = None

    @property
    def pending(self) -> bool:
        """Whether something is wished that must not wait."""
        return self.leaving or self.session_suspect or self._entering

    async def sleep(self, seconds: float | None) -> bool:
        """Let time pass (None: for ever) until somebody wants something; whether that is a login."""
        await self._until(seconds, lambda: self.pending)
        entering, self._entering = self._entering, False
        return entering

    async def wait_captcha(self, seconds: float) -> str | None:
        """What was typed; None if nobody did in time or something else is wanted."""
        await self._until(seconds, lambda: self._text is not None or self.pending)
        self._entering = False
        return self._text

    def clear_captcha(self) -> None:
        """There is something new to read: what was typed before does not belong to it."""
        self._text = None

    async def _until(self, seconds: float | None, true: Callable[[], bool]) -> None:
        with anyio.move_on_after(math.inf if seconds is None else seconds):
            while not true():
                self._bell = anyio.Event()
                await self._bell.wait()
