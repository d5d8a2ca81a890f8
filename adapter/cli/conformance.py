"""Tries a worker: plays the adapter's part towards it and sees whether it keeps what a worker promises.

Only on keys where no adapter runs, so that nothing of it reaches QQ: on a prefix of its own when the
worker is started here, else on the prefix that is set.
"""

import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from subprocess import DEVNULL
from typing import Any, NamedTuple

import anyio
import msgpack
from anyio.abc import Process

from adapter.bus.admin import AdminClient
from adapter.bus.entries import Entry
from adapter.codec.inbound import RecordContext, encode_message, timestamp
from adapter.config import Config
from adapter.contract.samples import stamped
from adapter.errors import ConfigError
from adapter.events import Address, ChatKind, ContactRef, Message, Participants, Text

PATIENCE = 20.0
_POLL = 0.05
# Time for a reply that should not come.
_QUIET = 1.0
_STOP = 10.0
_ACCOUNT = "10000"
_FRIEND = Address(ChatKind.FRIEND, "20000")
# Found idle for so long, an entry is a dead peer's by any measure.
_LONG_AGO = 86_400_000


class CheckResult(NamedTuple):
    """What came of one trial."""

    what: str
    passed: bool
    detail: str = ""


class WorkerUnderTest:
    """One worker, and a bus on which nobody else plays."""

    def __init__(self, desk: AdminClient, group: str, patience: float, ended: Callable[[], bool]) -> None:
        self._desk = desk
        self._group = group
        self._patience = patience
        self._ended = ended
        self._count = 0
        self._marker = secrets.token_hex(4)
        self._read = "0-0"

    async def run(self) -> AsyncIterator[CheckResult]:
        """One trial after the other; ends early where the worker does nothing at all."""
        self._read = await self._desk.last_id("outbound")
        first = self._event("hello")
        entry = await self._publish(first)
        done = await self._finished(entry)
        yield CheckResult("reads events and acknowledges them", done, "" if done else self._silence())
        if not done:
            return
        replies = await self._replies()
        yield self._replied(replies)
        yield await self._redelivered(first, replies)
        yield await self._claimed(entry, replies)
        yield await self._own()
        yield await self._strange()
        yield await self._regrouped()

    def _replied(self, replies: list[Entry]) -> CheckResult:
        what = "its replies carry an id"
        if not replies:
            return CheckResult(what, passed=True, detail="it did not reply, so nothing is known of its ids")
        bare = [entry for entry, fields in replies if not fields.get(b"id")]
        return CheckResult(what, not bare, "a repeat of a reply without id is sent again" if bare else "")

    async def _redelivered(self, event: dict[str, Any], replies: list[Entry]) -> CheckResult:
        done = await self._finished(await self._publish(event))
        return self._stable(
            "the same event again: no reply, or the same id", replies, await self._replies(), done
        )

    async def _claimed(self, entry: str, replies: list[Entry]) -> CheckResult:
        """The first entry is pending under a peer that has died, as after a kill -9."""
        await self._desk.abandon_entry(self._group, f"dead-{self._marker}", entry, _LONG_AGO)
        done = await self._finished(entry)
        what = "claims what a dead peer left, and replies under the same id"
        if not done:
            return CheckResult(what, passed=False, detail="the entry was not claimed; see XAUTOCLAIM")
        return self._stable(what, replies, await self._replies(), done)

    @staticmethod
    def _stable(what: str, before: list[Entry], after: list[Entry], done: bool) -> CheckResult:  # noqa: FBT001 – private
        known = {fields.get(b"id", b"") for _, fields in before}
        new = [fields.get(b"id", b"").decode("utf-8", "replace") or "none" for _, fields in after]
        foreign = [ident for ident in new if ident.encode() not in known]
        if foreign:
            return CheckResult(what, passed=False, detail=f"another id: {foreign[0]}")
        return CheckResult(what, done, "" if done else "it was not acknowledged")

    async def _own(self) -> CheckResult:
        done = await self._finished(await self._publish(self._event("own words", own=True)))
        await anyio.sleep(_QUIET)
        replies = await self._replies()
        detail = "" if done else "it was not acknowledged"
        if replies:
            detail = "it answers what the own account said: two such workers never stop"
        return CheckResult("does not answer self=1", done and not replies, detail)

    async def _strange(self) -> CheckResult:
        """Fields, types, segments and keys of a later version; a body that is no map."""
        later = self._event("from a later version") | {"x-later": "1"}
        body = msgpack.unpackb(later["body"])
        body |= {"later": {"a": 1}, "segments": [*body["segments"], {"type": "later", "data": {"x": 1}}]}
        events = [
            later | {"body": msgpack.packb(body)},
            self._event("?") | {"type": "notice.never_seen"},
            self._event("?") | {"type": "later.kind", "chat": "", "sender": ""},
        ]
        entries = [await self._publish(event) for event in events]
        done = all([await self._finished(entry) for entry in entries])
        await self._replies()
        detail = "" if done else f"one was not acknowledged: {self._silence()}"
        return CheckResult("passes over fields, types and segments that it does not know", done, detail)

    async def _regrouped(self) -> CheckResult:
        await self._desk.destroy_group(self._group)
        done = await self._finished(await self._publish(self._event("after NOGROUP")))
        return CheckResult(
            "makes its group again when it has vanished (NOGROUP)", done, "" if done else self._silence()
        )

    def _silence(self) -> str:
        return "the program has ended" if self._ended() else f"nothing within {self._patience:g} s"

    def _event(self, text: str, *, own: bool = False) -> dict[str, Any]:
        self._count += 1
        now = time.time()
        sender = _ACCOUNT if own else _FRIEND.id
        message = Message(
            _FRIEND,
            sender,
            now,
            (Text(f"qqbus check: {text}"),),
            f"{self._count}{self._marker}",
            from_self=own,
        )
        place = Participants(_FRIEND, ContactRef(_FRIEND.id, "check"), ContactRef(sender, "check"))
        draft = encode_message(message, place, RecordContext(_ACCOUNT, 1, now, self._count), raw=False)
        return stamped(draft, self._count) | {"account": _ACCOUNT, "epoch": "1", "time": timestamp(now)}

    async def _publish(self, event: dict[str, Any]) -> str:
        return await self._desk.append("inbound", event)

    async def _finished(self, entry: str) -> bool:
        async def over() -> bool:
            given, pending = await self._desk.group_progress("inbound", self._group)
            return _after(given, entry) and entry not in pending

        return await self._within(over)

    async def _within(self, what: Callable[[], Awaitable[bool]]) -> bool:
        with anyio.move_on_after(self._patience):
            while not self._ended():
                if await what():
                    return True
                await anyio.sleep(_POLL)
        return False

    async def _replies(self) -> list[Entry]:
        page = await self._desk.range("outbound", self._read)
        if page:
            self._read = page[-1][0]
        return page


@asynccontextmanager
async def stage(
    config: Config, group: str, program: list[str], patience: float
) -> AsyncIterator[WorkerUnderTest]:
    """A place to try a worker, which is started and ended here if `program` is given."""
    prefix = f"{config.prefix.rstrip('}')}-check-{secrets.token_hex(4)}" if program else config.prefix
    prefix += "}" if program and config.prefix.endswith("}") else ""
    async with AdminClient.open(config.redis_url, prefix) as desk:
        if not program:
            if await desk.lease_held():
                raise ConfigError(
                    f"an adapter runs on the prefix {prefix}: what the worker says would be sent. "
                    "use another QQBUS_PREFIX for both the worker and this, or give its program after --"
                )
            yield WorkerUnderTest(desk, group, patience, lambda: False)
            return
        try:
            # env(1) sets the variable for the child alone.
            line = ["env", f"QQBUS_PREFIX={prefix}", *program]
            async with await anyio.open_process(line, stdin=DEVNULL, stdout=DEVNULL, stderr=None) as process:
                try:
                    yield WorkerUnderTest(desk, group, patience, lambda: process.returncode is not None)
                finally:
                    await _end(process)
        finally:
            with anyio.CancelScope(shield=True):
                await desk.delete_all()


async def _end(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(_STOP):
            await process.wait()
        if process.returncode is None:
            process.kill()


def _after(given: str, entry: str) -> bool:
    left, right = (tuple(int(part) for part in one.split("-")) for one in (given, entry))
    return left >= right
