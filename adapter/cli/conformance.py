"""Test a worker against the contract: take the adapter's part, and see what the worker does.

Nothing of it reaches QQ: a worker that is started here gets a prefix of its own, and the prefix that is set
must have no adapter.
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
from adapter.content import Text
from adapter.contract.samples import append_fields
from adapter.errors import ConfigError
from adapter.events import Address, ChatKind, ContactRef, Message, Participants
from adapter.i18n import Sentence

_POLL_SECONDS = 0.05
# Seconds in which a wrong reply would come.
_QUIET_SECONDS = 1.0
# Seconds that the worker gets to end before it is killed.
_STOP_SECONDS = 10.0
_ACCOUNT = "10000"
_FRIEND = Address(ChatKind.FRIEND, "20000")
# Milliseconds: an entry idle for a day is a dead consumer's for every worker.
_IDLE_MS = 86_400_000
_NOT_ACKNOWLEDGED = Sentence("it was not acknowledged")


class CheckResult(NamedTuple):
    """Result of one check, as `--json` prints it."""

    what: str
    passed: bool
    detail: str = ""


class WorkerUnderTest:
    """One worker, on a bus that only this test writes to."""

    def __init__(
        self, admin: AdminClient, group: str, timeout_seconds: float, has_ended: Callable[[], bool]
    ) -> None:
        self._admin = admin
        self._group = group
        self._timeout_seconds = timeout_seconds
        self._has_ended = has_ended
        self._event_count = 0
        self._marker = secrets.token_hex(4)
        self._last_reply = "0-0"
        self._reply_ids: set[bytes] = set()

    async def run(self) -> AsyncIterator[CheckResult]:
        """Yield the results; only the first if the worker does nothing."""
        self._last_reply = await self._admin.last_id("outbound")
        event = self._event("hello")
        entry = await self._publish(event)
        done = await self._is_acknowledged(entry)
        yield CheckResult(
            Sentence("reads events and acknowledges them"), done, "" if done else self._silence()
        )
        if not done:
            return
        replies = await self._read_replies()
        self._reply_ids = {fields.get(b"id", b"") for _, fields in replies}
        yield self._check_reply_ids(replies)
        yield await self._check_duplicate(event, replies)
        yield await self._check_claim(entry, replies)
        yield await self._check_own_message()
        yield await self._check_unknown_fields()
        yield await self._check_missing_group()

    def _check_reply_ids(self, replies: list[Entry]) -> CheckResult:
        what = Sentence("its replies carry an id")
        if not replies:
            return CheckResult(
                what, passed=True, detail=Sentence("it did not reply, so nothing is known of its ids")
            )
        bare = any(not fields.get(b"id") for _, fields in replies)
        return CheckResult(
            what, not bare, Sentence("a repeat of a reply without id is sent again") if bare else ""
        )

    async def _check_duplicate(self, event: dict[str, Any], replies: list[Entry]) -> CheckResult:
        done = await self._is_acknowledged(await self._publish(event))
        what = Sentence("the same event again: no reply, or the same id")
        return self._compare_ids(what, replies, await self._read_replies(), done=done)

    async def _check_claim(self, entry: str, replies: list[Entry]) -> CheckResult:
        """Abandon the first entry, as a consumer does that gets kill -9."""
        await self._admin.abandon_entry(self._group, f"dead-{self._marker}", entry, _IDLE_MS)
        done = await self._is_acknowledged(entry)
        what = Sentence("claims what a dead peer left, and replies under the same id")
        if not done:
            return CheckResult(
                what, passed=False, detail=Sentence("the entry was not claimed; see XAUTOCLAIM")
            )
        return self._compare_ids(what, replies, await self._read_replies(), done=done)

    @staticmethod
    def _compare_ids(what: str, before: list[Entry], after: list[Entry], *, done: bool) -> CheckResult:
        known = {fields.get(b"id", b"") for _, fields in before}
        for _, fields in after:
            if (reply_id := fields.get(b"id", b"none")) not in known:
                detail = Sentence("another id: {id}", id=reply_id.decode("utf-8", "replace"))
                return CheckResult(what, passed=False, detail=detail)
        return CheckResult(what, done, "" if done else _NOT_ACKNOWLEDGED)

    async def _check_own_message(self) -> CheckResult:
        done = await self._is_acknowledged(await self._publish(self._event("own words", own=True)))
        await anyio.sleep(_QUIET_SECONDS)
        # A late reply to an earlier event has an id that is known.
        known = self._reply_ids - {b""}
        if any(fields.get(b"id", b"") not in known for _, fields in await self._read_replies()):
            detail = Sentence("it replies to the own account: two such workers never stop")
            return CheckResult(Sentence("does not answer self=1"), passed=False, detail=detail)
        return CheckResult(Sentence("does not answer self=1"), done, "" if done else _NOT_ACKNOWLEDGED)

    async def _check_unknown_fields(self) -> CheckResult:
        """Publish fields, types, segments and keys of a later version."""
        later = self._event("from a later version") | {"x-later": "1"}
        body = msgpack.unpackb(later["body"])
        body |= {"later": {"a": 1}, "segments": [*body["segments"], {"type": "later", "data": {"x": 1}}]}
        events = [
            later | {"body": msgpack.packb(body)},
            self._event("?") | {"type": "notice.never_seen"},
            self._event("?") | {"type": "later.kind", "chat": "", "sender": ""},
        ]
        entries = [await self._publish(event) for event in events]
        done = all([await self._is_acknowledged(entry) for entry in entries])
        await self._read_replies()
        detail = "" if done else Sentence("one was not acknowledged: {reason}", reason=self._silence())
        return CheckResult(
            Sentence("passes over fields, types and segments that it does not know"), done, detail
        )

    async def _check_missing_group(self) -> CheckResult:
        await self._admin.destroy_group(self._group)
        done = await self._is_acknowledged(await self._publish(self._event("after NOGROUP")))
        what = Sentence("makes its group again when it has vanished (NOGROUP)")
        return CheckResult(what, done, "" if done else self._silence())

    def _silence(self) -> str:
        return (
            Sentence("the program has ended")
            if self._has_ended()
            else Sentence("nothing within {seconds:g} s", seconds=self._timeout_seconds)
        )

    def _event(self, text: str, *, own: bool = False) -> dict[str, Any]:
        self._event_count += 1
        now = time.time()
        sender = _ACCOUNT if own else _FRIEND.id
        message = Message(
            _FRIEND,
            sender,
            now,
            (Text(f"qqbus check: {text}"),),
            f"{self._event_count}{self._marker}",
            from_self=own,
        )
        participants = Participants(_FRIEND, ContactRef(_FRIEND.id, "check"), ContactRef(sender, "check"))
        context = RecordContext(_ACCOUNT, 1, now, self._event_count)
        record = encode_message(message, participants, context, raw=False)
        fields = append_fields(record, self._event_count)
        return fields | {"account": _ACCOUNT, "epoch": "1", "time": timestamp(now)}

    async def _publish(self, event: dict[str, Any]) -> str:
        return await self._admin.xadd("inbound", event)

    async def _is_acknowledged(self, entry: str) -> bool:
        """Wait until the group has acknowledged the entry; False if too late."""

        async def is_done() -> bool:
            delivered, pending = await self._admin.group_progress("inbound", self._group)
            return _is_at_or_after(delivered, entry) and entry not in pending

        return await self._wait_until(is_done)

    async def _wait_until(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        with anyio.move_on_after(self._timeout_seconds):
            while not self._has_ended():
                if await condition():
                    return True
                await anyio.sleep(_POLL_SECONDS)
        return False

    async def _read_replies(self) -> list[Entry]:
        replies = await self._admin.xrange("outbound", self._last_reply)
        if replies:
            self._last_reply = replies[-1][0]
        return replies


@asynccontextmanager
async def open_worker_test(
    config: Config, group: str, program: list[str], timeout_seconds: float
) -> AsyncIterator[WorkerUnderTest]:
    """Yield the test of a worker: of `program`, or of one that runs.

    A program is started on keys of its own and ended afterwards. Without one the prefix of `config` is used.
    Raises ConfigError if an adapter runs on that prefix.
    """
    prefix = _own_prefix(config.prefix) if program else config.prefix
    async with AdminClient.open(config.redis_url, prefix) as admin:
        if not program:
            if await admin.lease_held():
                raise ConfigError(
                    "an adapter runs on the prefix {prefix} and would send what the worker replies: use "
                    "another QQBUS_PREFIX for both the worker and this, or give its program after --",
                    prefix=prefix,
                )
            yield WorkerUnderTest(admin, group, timeout_seconds, lambda: False)
            return
        try:
            # env(1) sets the variable for the child alone.
            line = ["env", f"QQBUS_PREFIX={prefix}", *program]
            async with await anyio.open_process(line, stdin=DEVNULL, stdout=DEVNULL, stderr=None) as process:
                try:
                    yield WorkerUnderTest(
                        admin, group, timeout_seconds, lambda: process.returncode is not None
                    )
                finally:
                    await _stop(process)
        finally:
            with anyio.CancelScope(shield=True):
                await admin.delete_all()


def _own_prefix(prefix: str) -> str:
    """Return a new prefix in the same slot, if `prefix` is a hash tag."""
    tail = "}" if prefix.endswith("}") else ""
    return f"{prefix.removesuffix('}')}-check-{secrets.token_hex(4)}{tail}"


async def _stop(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(_STOP_SECONDS):
            await process.wait()
        if process.returncode is None:
            process.kill()


def _is_at_or_after(entry: str, other: str) -> bool:
    left, right = (tuple(int(part) for part in one.split("-")) for one in (entry, other))
    return left >= right
