"""Rich media: uploads by address, as base64, and in parts."""

import asyncio
import base64
import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from .call import WRONG_BODY, Call, Reply, json_reply
from .errors import ApiError
from .service import Service
from .world import Chat, Group

UNSUPPORTED, DOWNLOAD_FAILED, DOWNLOAD_SLOW, TOO_BIG, RETRY, MUTED = (
    850019,
    850026,
    850027,
    850031,
    40093001,
    850018,
)
KINDS = {1: "image", 2: "video", 3: "voice", 4: "file"}
_FETCH_SECONDS = 5.0
_KEPT = 10_000
# Beginnings of the formats that the API takes for a kind; other kinds are not looked into.
_MAGIC = {1: (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")}
_FIRST_BYTES = 10_002_432  # of which md5_10m is made


@dataclass
class Upload:
    """One file that a message may show on one side (users or groups)."""

    side: str
    kind: str
    content: bytes
    url: str
    since: float

    def described(self) -> dict[str, Any]:
        """Return what the record keeps of the file."""
        digest = hashlib.sha256(self.content).hexdigest()
        return {"kind": self.kind, "url": self.url, "size": len(self.content), "sha256": digest}


@dataclass
class Parts:
    """An upload in parts under way."""

    chat: str
    asked: Mapping[str, Any]
    count: int
    received: dict[int, bytes] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)


class Media:
    """The uploads of one bot."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.uploads: dict[str, Upload] = {}
        self._parts: dict[str, Parts] = {}

    async def upload(self, call: Call, chat: Chat) -> tuple[dict[str, Any], bool]:
        """Answer POST files; return the answer and whether to send it too."""
        body = call.json()
        if isinstance(chat, Group) and chat.is_muted:
            raise ApiError(MUTED)
        if "upload_id" in body:
            kind, content, url = self._complete(body, chat)
        else:
            kind = _kind(body)
            content, url = await self._content(body)
        if len(content) > self._service.options.media_limit:
            raise ApiError(TOO_BIG)
        if content and kind in _MAGIC and not content.startswith(_MAGIC[kind]):
            raise ApiError(UNSUPPORTED)
        return self._keep(chat, KINDS[kind], content, url), body.get("srv_send_msg") is True

    def find(self, chat: Chat, file_info: str) -> Upload | None:
        """Return the file that a message on this side may show."""
        upload = self.uploads.get(file_info)
        ttl = self._service.options.media_ttl
        if upload is None or upload.side != _side(chat):
            return None
        return None if ttl and self._service.clock() - upload.since > ttl else upload

    def _keep(self, chat: Chat, kind: str, content: bytes, url: str) -> dict[str, Any]:
        service = self._service
        info = service.mint.token(120)
        self.uploads[info] = Upload(_side(chat), kind, content, url, service.clock())
        if len(self.uploads) > _KEPT:
            del self.uploads[next(iter(self.uploads))]
        return {"file_uuid": service.mint.token(60), "file_info": info, "ttl": service.options.media_ttl}

    async def _content(self, body: Mapping[str, Any]) -> tuple[bytes, str]:
        data, url = body.get("file_data"), body.get("url")
        if isinstance(data, str) and data:
            try:
                return base64.b64decode(data, validate=True), ""
            except ValueError as exc:
                raise ApiError(UNSUPPORTED) from exc
        if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"}:
            raise ApiError(WRONG_BODY)
        return await self._fetch(url), url

    async def _fetch(self, url: str) -> bytes:
        """Download from this machine; other addresses are taken for good."""
        if not _is_loopback(urlsplit(url).hostname or ""):
            return b""
        limit = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=limit) as http, http.get(url) as answer:
                if answer.status != 200:
                    raise ApiError(DOWNLOAD_FAILED)
                return await answer.read()
        except TimeoutError as exc:
            raise ApiError(DOWNLOAD_SLOW) from exc
        except (aiohttp.ClientError, asyncio.IncompleteReadError) as exc:
            raise ApiError(DOWNLOAD_FAILED) from exc

    # In parts

    def prepare(self, call: Call, chat: Chat) -> Reply:
        """Answer POST upload_prepare."""
        asked = call.json()
        size, part = asked.get("file_size"), self._service.options.part_bytes
        _kind(asked)
        if not isinstance(size, int) or size <= 0:
            raise ApiError(WRONG_BODY)
        if size > self._service.options.media_limit:
            raise ApiError(TOO_BIG)
        upload_id = self._service.mint.token(40)
        count = -(-size // part)
        self._parts[upload_id] = Parts(chat.chat, asked, count)
        base = f"{self._service.files.base}/parts/{upload_id}"
        parts = [
            {"index": index, "presigned_url": f"{base}/{index}?sign={self._service.mint.token(40)}"}
            for index in range(1, count + 1)
        ]
        config = {"concurrency": 1, "retry_timeout": 10, "retry_delay": 1}
        answer = {"upload_id": upload_id, "block_size": part, "parts": parts, "upload_config": config}
        return json_reply(answer)

    def put(self, call: Call) -> Reply:
        """Answer PUT of one part at its own address."""
        parts = self._parts.get(call.parts["upload"])
        if parts is None or not 1 <= int(call.parts["index"]) <= parts.count:
            return Reply(status=404)
        parts.received[int(call.parts["index"])] = call.body
        etag = hashlib.md5(call.body).hexdigest()  # noqa: S324 – the protocol's checksum
        return Reply(headers={"ETag": f'"{etag}"'})

    def finish_part(self, call: Call) -> Reply:
        """Answer POST upload_part_finish."""
        body = call.json()
        parts, index = self._parts.get(str(body.get("upload_id"))), body.get("part_index")
        if parts is None or not isinstance(index, int):
            raise ApiError(WRONG_BODY)
        content = parts.received.get(index)
        if content is None or hashlib.md5(content).hexdigest() != body.get("md5"):  # noqa: S324
            raise ApiError(RETRY)
        parts.finished.add(index)
        return json_reply({})

    def _complete(self, body: Mapping[str, Any], chat: Chat) -> tuple[int, bytes, str]:
        parts = self._parts.get(str(body["upload_id"]))
        if parts is None or parts.chat != chat.chat:
            raise ApiError(WRONG_BODY)
        if len(parts.finished) < parts.count:
            raise ApiError(RETRY)
        content = b"".join(parts.received[index] for index in range(1, parts.count + 1))
        first = hashlib.md5(content[:_FIRST_BYTES]).hexdigest()  # noqa: S324
        sums = {"md5": hashlib.md5(content).hexdigest(), "sha1": hashlib.sha1(content).hexdigest()}  # noqa: S324
        if any(parts.asked.get(name) != value for name, value in (sums | {"md5_10m": first}).items()):
            raise ApiError(UNSUPPORTED)
        del self._parts[str(body["upload_id"])]
        return int(parts.asked["file_type"]), content, ""


def _kind(body: Mapping[str, Any]) -> int:
    kind = body.get("file_type")
    if not isinstance(kind, int) or kind not in KINDS:
        raise ApiError(UNSUPPORTED)
    return kind


def _side(chat: Chat) -> str:
    return "groups" if isinstance(chat, Group) else "users"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
