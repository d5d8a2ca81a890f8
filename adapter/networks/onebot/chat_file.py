"""The chats that were heard from lately, across processes: a restart is a gap, and asks for their history."""

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from adapter.codec.address import parse_address
from adapter.errors import SchemaError
from adapter.events import Address

log = logging.getLogger(__name__)

# Seconds between two writes: a chat that is new for a shorter time is not asked for after a kill.
WRITE_SECONDS: Final = 10.0


class ChatFile:
    """Keeps chats with the time of their newest message, in seconds since 1970, oldest first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_at: float | None = None

    def read(self) -> list[tuple[Address, float]]:
        """Return what was kept; [] without a file that can be read."""
        try:
            rows = json.loads(self._path.read_bytes())
            return [(parse_address(str(chat)), float(time)) for chat, time in rows]
        except (OSError, ValueError, TypeError, SchemaError):
            return []

    def is_due(self, now: float) -> bool:
        """Whether the file is to be written again; `now` is monotonic, in seconds."""
        return self._written_at is None or now - self._written_at >= WRITE_SECONDS

    def write(self, chats: Iterable[tuple[Address, float]], now: float) -> None:
        """Keep chats. A disk that takes nothing is logged: the history of fewer chats is asked for."""
        self._written_at = now
        temporary = self._path.with_suffix(".new")
        try:
            with open(temporary, "w", encoding="ascii", opener=_open_private) as file:
                json.dump([(str(chat), time) for chat, time in chats], file)
            temporary.replace(self._path)
        except OSError as exc:
            log.debug("%s cannot be written: %s", self._path.name, exc.strerror)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
