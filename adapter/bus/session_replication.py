"""Replicate the session of the lease holder to a standby, encrypted with a key that Redis never sees."""

import base64
import hashlib
import json
import logging
from pathlib import Path
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.errors import BusUnavailable, ConfigError
from adapter.failpoints import Failpoint, inject

log = logging.getLogger(__name__)

# Seconds between two looks at the file: a failover loses at most the session of this time.
INTERVAL_SECONDS: Final = 1.0
# Seconds that Redis keeps the copy: upstream's cookies live one to three days.
SESSION_TTL: Final = 3 * 86_400
KEY: Final = "ids:session"
FIELD: Final = "sealed"


class SessionReplicator:
    """The service that keeps one file of the state folder the same on all machines that know the key."""

    def __init__(self, bus: Bus, lease: Lease, file: Path, secret: str) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415 – an extra
        except ImportError as exc:
            raise ConfigError("QQBUS_SESSION_KEY needs the extra: pip install 'qqbus[standby]'") from exc
        # Fernet wants 32 bytes; the secret is a key of at least 16 characters, not a password to guess.
        digest = hashlib.sha256(b"qqbus session\0" + secret.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(digest))
        self._invalid_token = InvalidToken
        self._bus = bus
        self._lease = lease
        self._file = file
        self._replicated = b""
        self._wakeup = AutoResetEvent()

    async def restore(self) -> bool:
        """Write the former holder's session to the file if it is newer; returns whether it was."""
        try:
            sealed = (await self._bus.hgetall(self._bus.keys(KEY))).get(FIELD)
            copy = json.loads(self._fernet.decrypt(sealed)) if sealed else {}
        except BusUnavailable:
            return False
        except (self._invalid_token, ValueError):
            log.warning("the session of another adapter is sealed with another QQBUS_SESSION_KEY: not used")
            return False
        if not copy or copy["time"] <= self._modified_at():
            return False
        self._replicated = copy["text"].encode()
        temporary = self._file.with_suffix(".copy")
        temporary.touch(mode=0o600)
        temporary.write_bytes(self._replicated)
        temporary.replace(self._file)
        return True

    async def run(self, stop: anyio.Event) -> None:
        """Replicate each change of the file until stopped. Raises BusUnavailable."""
        await periodic(self.replicate, seconds=INTERVAL_SECONDS, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def replicate(self) -> None:
        """Replicate the file if it has changed. Raises BusUnavailable."""
        await inject(Failpoint.REPLICATION)
        try:
            text = self._file.read_bytes()
        except OSError:
            return
        if text == self._replicated:
            return
        copy = json.dumps({"time": self._modified_at(), "text": text.decode()})
        row = (FIELD, self._fernet.encrypt(copy.encode()))
        await self._bus.replace_hash(self._lease.fence, self._bus.keys(KEY), [row], SESSION_TTL)
        self._replicated = text

    def _modified_at(self) -> float:
        try:
            return self._file.stat().st_mtime
        except OSError:
            return 0.0
