"""How long something is waited for that somebody else has to do: until nobody does it any more."""

from collections.abc import Awaitable
from typing import TypeVar

import anyio

T = TypeVar("T")


class ShutdownScope:
    """For waits that make sense only while the session is looked after. `end`: from now on it is not."""

    def __init__(self) -> None:
        self.is_shutting_down = False
        self._scopes: set[anyio.CancelScope] = set()

    async def run(self, waiting: Awaitable[T]) -> T | None:
        """What this wait brings; None where it was given up: it must be nothing that can have left."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            if self.is_shutting_down:
                scope.cancel()
            try:
                return await waiting
            finally:
                self._scopes.discard(scope)
        return None

    def shut_down(self) -> None:
        """No more steps are taken: nobody mends anything any more."""
        self.is_shutting_down = True
        for scope in self._scopes:
            scope.cancel()
