"""Pictures and other files that people send, at addresses that expire and differ at each fetch."""

import base64
import binascii
import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ActionError, ControlError, refused

# Bytes of all files that are kept; the oldest go first.
MAX_BYTES = 128 * 1024 * 1024
# Bytes of a picture that a control request may ask for.
MAX_MADE = 48 * 1024 * 1024
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Stored:
    """One file."""

    name: str
    content: bytes


class Pictures:
    """Files by name, and the keys that open their addresses."""

    def __init__(self, clock: Callable[[], float], key_seconds: Callable[[], float]) -> None:
        self.origin = ""
        self._clock = clock
        self._key_seconds = key_seconds
        self._files: dict[str, Stored] = {}
        self._bytes = 0
        self._keys: dict[str, float] = {}
        self._key_count = 0

    def store(self, content: bytes, suffix: str = ".png") -> Stored:
        """Keep a file under the name of its digest."""
        name = hashlib.md5(content, usedforsecurity=False).hexdigest().upper() + suffix
        if name not in self._files:
            self._files[name] = Stored(name, content)
            self._bytes += len(content)
        while self._bytes > MAX_BYTES and len(self._files) > 1:
            oldest = self._files.pop(next(iter(self._files)))
            self._bytes -= len(oldest.content)
        return self._files[name]

    def find(self, name: str) -> Stored | None:
        """Return the file of that name."""
        return self._files.get(name)

    def url(self, name: str) -> str:
        """Return a new address of a file; its key differs from all earlier ones."""
        self._key_count += 1
        key = hashlib.sha256(f"rkey {self._key_count}".encode()).hexdigest()[:32]
        self._keys[key] = self._clock() + self._key_seconds()
        while len(self._keys) > MAX_BYTES // 1024:
            del self._keys[next(iter(self._keys))]
        return f"{self.origin}/pictures/{name}?rkey={key}"

    def expire(self) -> None:
        """Let all addresses expire now."""
        self._keys.clear()

    def fetch(self, name: str, key: str) -> Stored | None:
        """Return the file if the key is still good."""
        if self._keys.get(key, 0.0) < self._clock():
            return None
        return self.find(name)


def picture(size: int) -> bytes:
    """Return a PNG of one pixel, filled up to `size` bytes by a chunk that viewers skip."""
    if not 0 <= size <= MAX_MADE:
        raise ControlError(f"size of a picture is 0 to {MAX_MADE} bytes, not {size}")
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
    filler = max(0, size - len(_SIGNATURE + head + body) - 24)
    return _SIGNATURE + head + _chunk(b"prVt", b"\x00" * filler) + body + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def content_of(data: dict[str, Any]) -> bytes:
    """Return the bytes that a control request describes: `base64` or a made picture of `size` bytes."""
    try:
        return (
            base64.b64decode(data["base64"], validate=True)
            if "base64" in data
            else picture(data.get("size", 0))
        )
    except (binascii.Error, TypeError) as exc:
        raise ControlError(f"a picture has base64 or a size in bytes: {exc}") from exc


def local_content(file: str) -> bytes | None:
    """Return the bytes of a base64:// or file:// value; None for other values."""
    if file.startswith("base64://"):
        try:
            return base64.b64decode(file.removeprefix("base64://"), validate=True)
        except binascii.Error as exc:
            raise refused("识别URL失败: base64") from exc
    if file.startswith("file://"):
        path = Path(file.removeprefix("file://"))
        try:
            return path.read_bytes()
        except OSError as exc:
            raise _no_such_file(path) from exc
    return None


def _no_such_file(path: Path) -> ActionError:
    return refused(f"ENOENT: no such file or directory, copyfile '{path}'")
