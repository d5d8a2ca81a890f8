"""Replicate the session of the lease holder to a standby, encrypted with a key that Redis never sees."""

import base64
import hashlib
import json
import logging
from pathlib import Path
from typing import Any, Final, NamedTuple

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


class Version(NamedTuple):
    """Which copy is newer: by the epoch of its maker, then by its number. Clocks play no part."""

    epoch: int = 0
    number: int = 0


class SessionReplicator:
    """The service that keeps one file of the state folder the same on all machines that know the key.

    Beside the file lies its version: a machine that was the holder before another one knows that its own
    session is the older one, whatever its clock says.
    """

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
        self._version_file = file.with_suffix(".version")
        self._version = self._own_version()
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
        version = _version_of(copy)
        if not copy or version <= self._own_version():
            return False
        self._replicated, self._version = copy["text"].encode(), version
        _replace(self._file, self._replicated)
        self._save_version()
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
        epoch = self._lease.fence.epoch
        version = Version(epoch, self._version.number + 1 if epoch == self._version.epoch else 1)
        copy = json.dumps({**version._asdict(), "text": text.decode()})
        row = (FIELD, self._fernet.encrypt(copy.encode()))
        await self._bus.replace_hash(self._lease.fence, self._bus.keys(KEY), [row], SESSION_TTL)
        self._replicated, self._version = text, version
        self._save_version()

    def _own_version(self) -> Version:
        """Return the version of the file here; a file that was never copied is older than any copy."""
        if not self._file.exists():
            return Version(-1)
        try:
            return _version_of(json.loads(self._version_file.read_text(encoding="ascii")))
        except (OSError, ValueError):
            return Version()

    def _save_version(self) -> None:
        _replace(self._version_file, json.dumps(self._version._asdict()).encode())


def _version_of(value: Any) -> Version:
    """Read a version; that of a copy by an older adapter, which has a time instead, is the oldest."""
    match value:
        case {"epoch": int(epoch), "number": int(number)}:
            return Version(epoch, number)
        case _:
            return Version()


def _replace(file: Path, data: bytes) -> None:
    temporary = file.with_name(f"{file.name}.copy")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.replace(file)
