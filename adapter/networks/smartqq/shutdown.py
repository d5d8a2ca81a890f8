"""Cancel waits that only the running upstream could end."""

from collections.abc import Awaitable
from typing import TypeVar

import anyio

T = TypeVar("T")


class ShutdownScope:
    """Run awaitables that a shutdown of the upstream cancels."""

    def __init__(self) -> None:
        self.is_shutting_down = False
        self._scopes: set[anyio.CancelScope] = set()

    async def run(self, waiting: Awaitable[T]) -> T | None:
        """Return the result, or None if the shutdown cancelled the wait.

        A request must not run here: it may have been sent when it is cancelled.
        """
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
        """Cancel all waits, those to come included: the session task takes no more steps."""
        self.is_shutting_down = True
        for scope in self._scopes:
            scope.cancel()
