"""The kept session, copied to whoever stands by: encrypted with a key that Redis never sees."""

import base64
import hashlib
import json
import logging
from pathlib import Path
from typing import Final

import anyio

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.errors import BusUnavailable, ConfigError

log = logging.getLogger(__name__)

EVERY: Final = 1.0
# Upstream's cookies live one to three days.
SESSION_TTL: Final = 3 * 86_400
KEY: Final = "ids:session"
FIELD: Final = "sealed"


class SessionReplicator:
    """One file of the state folder, kept the same on all machines that know the key."""

    def __init__(self, bus: Bus, lease: Lease, file: Path, secret: str) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415 – an extra
        except ImportError as exc:
            raise ConfigError("QQBUS_SESSION_KEY needs the extra: pip install 'qqbus[standby]'") from exc
        # Fernet wants 32 bytes; the secret is a setting of at least 16 characters, not a password to guess.
        digest = hashlib.sha256(b"qqbus session\0" + secret.encode()).digest()
        self._box = Fernet(base64.urlsafe_b64encode(digest))
        self._invalid = InvalidToken
        self._bus = bus
        self._lease = lease
        self._file = file
        self._told = b""
        self._wakeup = AutoResetEvent()

    async def restore(self) -> bool:
        """Take the newest holder's session, if it is newer than the own; whether that was so."""
        try:
            sealed = (await self._bus.hash(self._bus.keys(KEY))).get(FIELD)
            known = json.loads(self._box.decrypt(sealed)) if sealed else {}
        except BusUnavailable:
            return False
        except (self._invalid, ValueError):
            log.warning("the session that another adapter left was sealed with another QQBUS_SESSION_KEY")
            return False
        if not known or known["time"] <= self._changed():
            return False
        self._told = known["text"].encode()
        spare = self._file.with_suffix(".copy")
        spare.touch(mode=0o600)
        spare.write_bytes(self._told)
        spare.replace(self._file)
        return True

    async def run(self, stop: anyio.Event) -> None:
        """Copy the file whenever it has changed, until stopped."""
        while not stop.is_set():
            await self._wakeup.wait(EVERY)
            await self.replicate()

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.set()

    async def replicate(self) -> None:
        """Copy the file if it has changed."""
        try:
            text = self._file.read_bytes()
        except OSError:
            return
        if text == self._told:
            return
        sealed = self._box.encrypt(json.dumps({"time": self._changed(), "text": text.decode()}).encode())
        try:
            await self._bus.replace_hash(
                self._lease.fence, self._bus.keys(KEY), [(FIELD, sealed)], SESSION_TTL
            )
        except BusUnavailable as exc:
            log.debug("mirror: %s", exc)
        else:
            self._told = text

    def _changed(self) -> float:
        try:
            return self._file.stat().st_mtime
        except OSError:
            return 0.0
