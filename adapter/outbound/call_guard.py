"""Guard of calls: who may call any action of the network where Redis has users.

Redis cannot forbid a field of an entry: each user that may add requests may add one with `op=call`. A guarded
call is therefore confirmed under a key of its own, `qq:calls`, that the roles `caller` and `operator` may
write and a `worker` may not: field = id of the request, value = SHA-256 of its `body`. The field `guarded` of
the same key switches the guard on. Without it each program that may write `qq:outbound` may call.
"""

import hashlib
from contextlib import suppress
from typing import Final

from adapter.bus.bus import Bus
from adapter.codec.outbound import unwrapped
from adapter.codec.request_body import Fields
from adapter.errors import BusUnavailable, SchemaError
from adapter.events import CallAction, SendRequest

KEY: Final = "calls"
GUARDED: Final = "guarded"


def confirmation(body: bytes) -> bytes:
    """Return what confirms a call with this body."""
    return hashlib.sha256(body).hexdigest().encode()


class CallGuard:
    """Looks calls up before they are queued."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def check(self, request: SendRequest, fields: Fields) -> None:
        """Raise SchemaError for a guarded call that is not confirmed; any other request passes."""
        if not isinstance(request.operation, CallAction):
            return
        key = self._bus.keys(KEY)
        guarded, confirmed = await self._bus.hmget(key, (GUARDED, request.id))
        if guarded == b"1" and confirmed != confirmation(unwrapped(fields).get(b"body", b"")):
            raise SchemaError(
                f"calls are guarded here: with the role caller, before the request, HSET {key} <id> "
                "<SHA-256 of body, in hexadecimal digits>"
            )

    async def forget(self, request: SendRequest) -> None:
        """Drop the confirmation of a settled call; while Redis is away it stays."""
        if isinstance(request.operation, CallAction):
            with suppress(BusUnavailable):
                await self._bus.hdel(self._bus.keys(KEY), (request.id,))
