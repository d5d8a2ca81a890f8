"""Answer commands that ask for an answer: fetch a picture, set the presence."""

import re
from collections.abc import Mapping

import anyio
import msgpack

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.codec.reader import ReceivedMessage, read_event
from adapter.content import Image
from adapter.errors import BusUnavailable, Fenced, QQBusError, UpstreamError
from adapter.failpoints import Failpoint, inject
from adapter.i18n import N_
from adapter.networks.upstream import SupportsMedia, SupportsPresence, Upstream, require
from adapter.ops.supervisor import Supervisor

# Calls at a time: each may hold a picture of megabytes in memory.
MAX_CONCURRENT = 2
# Calls that wait or run; more are refused.
MAX_QUEUED = 10
# Seconds that a call may take: `qqbus image` waits as long for the answer.
CALL_SECONDS = 90.0
# Either half of an entry's id at most.
_MAX_ID_HALF = 2**64 - 1
_NONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)

Answer = dict[str, str | bytes]


def _is_entry_id(text: str) -> bool:
    return bool(_ENTRY.fullmatch(text)) and all(int(half) <= _MAX_ID_HALF for half in text.split("-"))


class RpcError(QQBusError):
    """A call cannot be answered; the text says why."""


class ControlRpc:
    """Runs calls, a few at a time. What cannot be done is answered with the reason."""

    def __init__(self, bus: Bus, lease: Lease, upstream: Upstream, supervisor: Supervisor) -> None:
        self._bus = bus
        self._lease = lease
        self._upstream = upstream
        self._supervisor = supervisor
        self._slots = anyio.Semaphore(MAX_CONCURRENT)
        self._queued = 0

    async def call(self, command: str, fields: Mapping[str, str]) -> None:
        """Execute a command, and reply to its `reply`, if it has one."""
        answer: Answer = {"error": N_("the adapter failed at this command: its log says why")}

        async def execute() -> None:
            nonlocal answer
            with anyio.fail_after(CALL_SECONDS):
                await inject(Failpoint.RPC)
                answer = await self._execute(command, fields)

        self._queued += 1
        try:
            if self._queued > MAX_QUEUED:
                answer = {"error": N_("too many commands at once: ask again later")}
            else:
                async with self._slots:
                    await self._supervisor.attempt("rpc", execute)
            await self._supervisor.attempt("rpc", lambda: self._reply(fields.get("reply", ""), answer))
        finally:
            self._queued -= 1

    async def _execute(self, command: str, fields: Mapping[str, str]) -> Answer:
        try:
            if command == "image":
                return await self._image(fields.get("entry", ""), fields.get("number", "1"))
            presence = require(self._upstream, SupportsPresence, command)
            await presence.set_presence(fields.get("status", ""))
        except Fenced:
            raise
        except QQBusError as exc:
            return {"error": str(exc)}
        return {"status": fields["status"]}

    async def _image(self, entry: str, number: str) -> Answer:
        media = require(self._upstream, SupportsMedia, "image")
        message, image = await self._find(entry, number)
        ids = message.body.get("upstream")
        try:
            picture = await media.fetch_image(image, ids if isinstance(ids, dict) else {})
        except UpstreamError as exc:
            raise RpcError(f"{exc}; a picture can be had while the session lasts in which it came") from exc
        return {"type": picture.content_type, "name": image.name, "body": picture.body}

    async def _find(self, entry: str, number: str) -> tuple[ReceivedMessage, Image]:
        """Return a message and the picture in it. Raises RpcError, SchemaError and BusError."""
        fields = await self._bus.get_entry("inbound", entry) if _is_entry_id(entry) else None
        if fields is None:
            raise RpcError(N_("there is no such event any more"))
        message = read_event(entry, fields)
        if not isinstance(message, ReceivedMessage):
            raise RpcError(f"a {message.type} has no pictures")
        images = [segment for segment in message.segments if isinstance(segment, Image)]
        position = int(number) if re.fullmatch(r"[0-9]{1,4}", number, re.ASCII) else 0
        if not 1 <= position <= len(images):
            count = {0: "no picture", 1: "one picture"}.get(len(images), f"{len(images)} pictures")
            raise RpcError(f"this message has {count}")
        image = images[position - 1]
        if image.kind == "missing":
            raise RpcError(
                N_("SmartQQ said that there was a picture and kept it, as it does since the end of 2015")
            )
        return message, image

    async def _reply(self, nonce: str, answer: Answer) -> None:
        if not _NONCE.fullmatch(nonce):
            return
        try:
            await self._bus.reply(self._lease.fence, nonce, msgpack.packb(answer))
        except BusUnavailable:
            return  # the caller gives up by itself
