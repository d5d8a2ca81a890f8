"""Notice two bots of one name: they are one consumer group, and each gets a part of the events.

Mechanism. The key `worker:<application>:program` holds a digest of the handlers of the program that wrote it
first, and its consumer. Each process of that program renews it. A process of another program finds a foreign
digest there; once that has stood for longer than a key of a dead process can, it is a warning.
"""

import asyncio
import logging
from typing import Final

from redis.exceptions import NoPermissionError

from consumers.runtime.state import SharedState

log = logging.getLogger("qqbus.worker")

# Seconds between two looks, and for which the key of a dead process stands.
LOOK_SECONDS: Final = 5.0
_TTL: Final = 12
# Looks in a row at which the key is foreign: a bot that was changed and started again is no conflict.
_FOREIGN_LOOKS: Final = 4


class NameConflictWatch:
    """Watches one application. `digest`: of the handlers of this process."""

    def __init__(self, state: SharedState, application: str, consumer: str, digest: str) -> None:
        self._state = state
        self._application = application
        self._own = f"{digest} {consumer}"
        self._digest = digest
        self._key = state.key("program")

    async def run(self) -> None:
        """Look until cancelled, or until a conflict is logged."""
        foreign = 0
        while True:
            try:
                other = await self._look()
            except NoPermissionError:
                return  # a Redis user of an earlier version: all else works
            foreign = foreign + 1 if other else 0
            if foreign == _FOREIGN_LOOKS:
                break
            await asyncio.sleep(LOOK_SECONDS)
        log.warning(
            "%s runs another bot under the name %s: each of the two gets only a part of the events; give one "
            "another name, unless it is being replaced",
            *(other, self._application),
        )

    async def _look(self) -> str:
        """Return the consumer of another program, empty if there is none."""
        found: bytes | None = await self._state.do("GET", self._key)
        digest, _, consumer = (found or b"").decode("utf-8", "replace").partition(" ")
        if found is not None and digest != self._digest:
            return consumer or "another process"
        await self._state.do("SET", self._key, self._own, "EX", _TTL)
        return ""
