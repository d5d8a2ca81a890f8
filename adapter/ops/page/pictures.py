"""Fetch pictures of messages for the page: through the adapter, never by the browser from elsewhere.

The standby has no session: like `qqbus image` the page asks on `qq:control`, and the lease holder replies.
"""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import anyio

from adapter.bus.admin import MonitorClient
from adapter.codec.reader import read_map
from adapter.errors import SchemaError
from adapter.ops.page.views import media_type

# Bytes of pictures that are kept: some thirty photos, so that 16 open pages ask once for each.
MAX_CACHED_BYTES: Final = 16 * 1024 * 1024
# Bytes of one picture: the largest that QQ sends, and what Redis may carry for a moment.
MAX_PICTURE_BYTES: Final = 10 * 1024 * 1024
# Reasons that are kept beside them.
MAX_REFUSALS: Final = 500
# Pictures asked for at a time: the lease holder fetches two.
CONCURRENT: Final = 2
# Requests that wait; more are refused.
MAX_WAITING: Final = 64
# Seconds that the page waits for a picture.
SECONDS: Final = 45.0
# Seconds until a picture that could not be had is asked for again.
RETRY_SECONDS: Final = 60.0


class PictureError(Exception):
    """A picture cannot be had; the text says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and its media type, by its first bytes."""

    body: bytes
    media_type: str


class PictureLoader:
    """Ask for pictures, a few at a time, and keep the newest."""

    def __init__(self, monitor: MonitorClient) -> None:
        self._monitor = monitor
        self._slots = anyio.Semaphore(CONCURRENT)
        self._waiting = 0
        self._kept: OrderedDict[tuple[str, int], Picture] = OrderedDict()
        self._kept_bytes = 0
        self._refused: OrderedDict[tuple[str, int], tuple[float, str]] = OrderedDict()

    async def load(self, entry: str, number: int) -> Picture:
        """Return a picture of an event. Raises PictureError and BusError."""
        if (kept := self._find(entry, number)) is not None:
            return kept
        if self._waiting >= MAX_WAITING:
            raise PictureError("too many pictures at once: try again later")
        self._waiting += 1
        try:
            async with self._slots:
                # Another page may have asked for it in the meantime.
                return self._find(entry, number) or await self._ask(entry, number)
        finally:
            self._waiting -= 1

    def _find(self, entry: str, number: int) -> Picture | None:
        key = (entry, number)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key in self._refused and time.monotonic() < self._refused[key][0]:
            raise PictureError(self._refused[key][1])
        return None

    async def _ask(self, entry: str, number: int) -> Picture:
        nonce = secrets.token_hex(16)
        await self._monitor.send_command("image", "page", entry=entry, number=str(number), reply=nonce)
        packed = await self._monitor.wait_reply(nonce, SECONDS)
        try:
            picture = _read(packed)
        except PictureError as exc:
            self._refused[(entry, number)] = (time.monotonic() + RETRY_SECONDS, str(exc))
            if len(self._refused) > MAX_REFUSALS:
                self._refused.popitem(last=False)
            raise
        self._keep((entry, number), picture)
        return picture

    def _keep(self, key: tuple[str, int], picture: Picture) -> None:
        self._kept[key] = picture
        self._kept_bytes += len(picture.body)
        while self._kept_bytes > MAX_CACHED_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped.body)


def _read(packed: bytes | None) -> Picture:
    if packed is None:
        raise PictureError("no reply from the adapter")
    try:
        reply = read_map(packed)
    except SchemaError as exc:
        raise PictureError(str(exc)) from exc
    body = reply.get("body")
    if not isinstance(body, bytes):
        raise PictureError(str(reply.get("error", "the reply has no picture")))
    kind = media_type(body)
    if not kind.startswith("image/") or len(body) > MAX_PICTURE_BYTES:
        raise PictureError("what the network gave is no picture that a page can show")
    return Picture(body, kind)
