"""Write requests to `qq:outbound` and wait for their results.

Invariants:
- A request that may have been written is never reported as not sent. Its XADD is repeated with the same id,
  which the adapter's ledger makes harmless, until Redis answers or the caller's time is over.
- A caller gets its answer within `expires` and MARGIN seconds.
"""

import asyncio
import contextlib
import hashlib
import logging
import random
import time
from typing import Any, Final, NamedTuple

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from adapter import Result
from adapter.aio import backoff
from consumers.onebot.errors import ActionError, BusAway
from consumers.runtime.client import BusClient
from consumers.runtime.connection import describe_error, is_transient
from consumers.runtime.requests import fresh_id

log = logging.getLogger("qqbus.gateway")

# Seconds after `expires` within which a result can still come.
MARGIN: Final = 5.0
# Seconds for which a write is tried that certainly did not happen: a restart of Redis takes less.
PATIENCE: Final = 2.0
_FIRST_DELAY: Final = 0.05
_MAX_DELAY: Final = 1.0


class Sent(NamedTuple):
    """A request that was written: its entry, and its result if that came in time.

    `entry` is empty where Redis never said whether it has it.
    """

    entry: str
    result: Result | None


class Outbox:
    """Requests of one application. `expires` is in seconds."""

    def __init__(self, client: BusClient, expires: float) -> None:
        self._client = client
        self._expires = expires
        self.requests = 0

    def fresh_id(self) -> str:
        """Return a request id that no request had before."""
        return fresh_id(self._client.application)

    async def confirm_call(self, request_id: str, body: bytes) -> None:
        """Confirm a call, as one must be where calls are guarded; a user without that right skips it."""
        key = self._client.settings.key("calls")
        try:
            await self._client.client.hset(key, request_id, hashlib.sha256(body).hexdigest())
        except NoPermissionError:
            log.debug("this user may not confirm calls: the role caller may")
        except (RedisError, OSError) as exc:
            raise BusAway(f"Redis does not serve, nothing was sent: {describe_error(exc)}") from exc

    async def write(self, fields: dict[str, str | bytes], request_id: str) -> "Pending":
        """Write a request; returns what waits for its result. Raises BusAway, ActionError."""
        pending = Pending(self._client, request_id, time.monotonic() + self._expires + MARGIN)
        with contextlib.ExitStack() as unwritten:
            unwritten.callback(pending.close)
            pending.entry = await self._add({**fields, "id": request_id}, pending.end)
            unwritten.pop_all()
        self.requests += 1
        return pending

    async def _add(self, fields: dict[str, str | bytes], end: float) -> str:
        may_be_written = False
        give_up = time.monotonic() + PATIENCE
        for delay in backoff(random.random, first=_FIRST_DELAY, most=_MAX_DELAY):
            left = max(0.0, end - MARGIN - time.monotonic())
            try:
                # A result that is published before the listener has begun would be missed.
                async with asyncio.timeout(PATIENCE):
                    await self._client.results.started.wait()
                return await self._xadd({**fields, "expires": f"{left:.3f}"})
            except (RedisError, OSError) as exc:
                may_be_written = may_be_written or not _is_certainly_unwritten(exc)
                now = time.monotonic()
                if not may_be_written and (now > give_up or not is_transient(exc)):
                    raise BusAway(f"Redis does not serve, nothing was sent: {describe_error(exc)}") from exc
                if may_be_written and not is_transient(exc):
                    raise ActionError(f"Redis refuses the request: {describe_error(exc)}") from exc
            if time.monotonic() + delay > end:
                return ""
            await asyncio.sleep(delay)
        raise AssertionError("delays do not end")

    async def _xadd(self, fields: dict[str, str | bytes]) -> str:
        flat = [item for pair in fields.items() for item in pair]
        stream = self._client.settings.key("outbound")
        entry: Any = await self._client.client.execute_command("XADD", stream, "*", *flat)  # type: ignore[no-untyped-call]
        return str(entry.decode())


class Pending:
    """A request under way; `close` it when its result is not awaited any more."""

    def __init__(self, client: BusClient, request_id: str, end: float) -> None:
        self.entry = ""
        self.end = end
        self._expectation = client.results.expect(request_id)
        self._result = self._expectation.__enter__()

    async def wait(self) -> Sent:
        """Wait for the result, until the time is over."""
        try:
            async with asyncio.timeout(max(0.0, self.end - time.monotonic())):
                result = await self._result
        except TimeoutError:
            return Sent(self.entry, None)
        finally:
            self.close()
        return Sent(self.entry or result.entry, result)

    def close(self) -> None:
        """Wait no longer."""
        self._expectation.__exit__(None, None, None)


def _is_certainly_unwritten(exc: BaseException) -> bool:
    """Return whether Redis cannot have executed the command: it refused it, or was never reached."""
    return isinstance(exc, ResponseError) or "connecting to" in str(exc).lower()
