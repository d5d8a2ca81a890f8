"""Pass requests of other tasks to the session task (login, logout, captcha); each wakes it."""

import math
from collections.abc import Callable

import anyio


class SessionRequests:
    """Hold requests for the session task. Only that task waits."""

    def __init__(self) -> None:
        self.is_logout_requested = False
        self._is_login_requested = False
        self._is_interrupted = False
        self._captcha_text: str | None = None
        self._changed = anyio.Event()

    # --- for other tasks ---

    def request_login(self) -> None:
        """Ask for a login."""
        self._is_login_requested = True
        self._changed.set()

    def request_logout(self) -> None:
        """Ask for a logout. It cancels an earlier request for a login."""
        self.is_logout_requested = True
        self._is_login_requested = False
        self._changed.set()

    def submit_captcha(self, text: str) -> None:
        """Pass on what a person read in the captcha."""
        self._captcha_text = text
        self._changed.set()

    def interrupt(self) -> None:
        """End the current sleep, if there is one."""
        self._is_interrupted = True
        self._changed.set()

    # --- for the session task ---

    def clear(self) -> None:
        """Drop what a finished login has made superfluous."""
        self._is_login_requested = False
        self._captcha_text = None

    def take_logout(self) -> bool:
        """Return whether a logout was requested, once."""
        is_requested, self.is_logout_requested = self.is_logout_requested, False
        return is_requested

    async def sleep(self, seconds: float | None) -> bool:
        """Sleep (None: for ever) until a request arrives. Returns whether it is a login."""
        self._is_interrupted = False
        await self._wait(seconds, lambda: self._is_pending or self._is_interrupted)
        is_requested, self._is_login_requested = self._is_login_requested, False
        return is_requested

    def clear_captcha(self) -> None:
        """Drop the answer to an earlier captcha."""
        self._captcha_text = None

    async def wait_captcha(self, seconds: float) -> str | None:
        """Return the captcha's text, or None after a time-out or another request."""
        await self._wait(seconds, lambda: self._captcha_text is not None or self._is_pending)
        self._is_login_requested = False
        return self._captcha_text

    @property
    def _is_pending(self) -> bool:
        return self.is_logout_requested or self._is_login_requested

    async def _wait(self, seconds: float | None, is_over: Callable[[], bool]) -> None:
        with anyio.move_on_after(math.inf if seconds is None else seconds):
            while not is_over():
                self._changed = anyio.Event()
                await self._changed.wait()
