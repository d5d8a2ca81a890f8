"""Commands that are answered: a picture fetched, another status; done beside all else."""

import re
from collections.abc import Mapping

import anyio
import msgpack

from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.codec.reader import ReceivedMessage, read_event
from adapter.errors import BusUnavailable, QQBusError, SchemaError, UpstreamError
from adapter.events import Image
from adapter.networks.upstream import Upstream

# Each one may hold a picture of megabytes in memory.
MAX_CONCURRENT = 2
MAX_QUEUED = 10
_NONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)

_LARGEST = 2**64 - 1  # either half of an entry's id

Answer = dict[str, str | bytes]


def _is_entry(text: str) -> bool:
    return bool(_ENTRY.fullmatch(text)) and all(int(half) <= _LARGEST for half in text.split("-"))


class RpcError(QQBusError):
    """It cannot be done; the text says why."""


class ControlRpc:
    """Runs them, a few at a time. What cannot be done is answered in words."""

    def __init__(self, bus: Bus, lease: Lease, upstream: Upstream) -> None:
        self._bus = bus
        self._lease = lease
        self._upstream = upstream
        self._turns = anyio.Semaphore(MAX_CONCURRENT)
        self._count = 0

    async def run(self, command: str, fields: Mapping[str, str]) -> None:
        """Do what a command says, and answer under its `reply`, if it has one."""
        self._count += 1
        try:
            if self._count > MAX_QUEUED:
                answer: Answer = {"error": "too many commands at once: ask again in a while"}
            else:
                async with self._turns:
                    answer = await self._do(command, fields)
            await self._tell(fields.get("reply", ""), answer)
        finally:
            self._count -= 1

    async def _do(self, command: str, fields: Mapping[str, str]) -> Answer:
        try:
            if command == "image":
                return await self._image(fields.get("entry", ""), fields.get("number", "1"))
            await self._upstream.set_presence(fields.get("status", ""))
        except (RpcError, UpstreamError, SchemaError, BusUnavailable) as exc:
            return {"error": str(exc)}
        return {"status": fields["status"]}

    async def _image(self, entry: str, number: str) -> Answer:
        message, image = await self._find(entry, number)
        numbers = message.body.get("upstream")
        try:
            picture = await self._upstream.fetch_image(image, numbers if isinstance(numbers, dict) else {})
        except UpstreamError as exc:
            raise RpcError(f"{exc}; a picture can be had while the session lasts in which it came") from exc
        return {"type": picture.content_type, "name": image.name, "body": picture.body}

    async def _find(self, entry: str, number: str) -> tuple[ReceivedMessage, Image]:
        """The message, and the picture in it. Raises _ImpossibleError, and SchemaError."""
        fields = await self._bus.get_entry("inbound", entry) if _is_entry(entry) else None
        if fields is None:
            raise RpcError("there is no such event any more")
        message = read_event(entry, fields)
        if not isinstance(message, ReceivedMessage):
            raise RpcError(f"a {message.type} has no pictures")
        images = [segment for segment in message.segments if isinstance(segment, Image)]
        if not number.isdecimal() or not 1 <= int(number) <= len(images):
            count = {0: "no picture", 1: "one picture"}.get(len(images), f"{len(images)} pictures")
            raise RpcError(f"this message has {count}")
        image = images[int(number) - 1]
        if image.kind == "missing":
            raise RpcError(
                "SmartQQ said that there was a picture and kept it, as it does since the end of 2015"
            )
        return message, image

    async def _tell(self, nonce: str, answer: Answer) -> None:
        if _NONCE.fullmatch(nonce):
            try:
                await self._bus.reply(self._lease.fence, nonce, msgpack.packb(answer))
            except BusUnavailable:
                return  # whoever asked gives up by himself
