"""The state folder: make it, find what this user cannot write in it, and watch that it stays."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.config import Config
from adapter.errors import ConfigError

# Files that hold secrets.
SECRET_FILES: Final = ("smartqq.json", "official.json", "official.db", "http-token", "redis/password")
# What the adapter opens for writing below the folder.
WRITTEN_PATHS: Final = ("", "spool", "spool/lock", "spool/cursor", "redis", "redis/lock", *SECRET_FILES)
# Seconds between two looks at the folder.
INTERVAL: Final = 10.0


class FolderLostError(Exception):
    """The state folder was removed or replaced while the adapter runs."""


class StateDirWatch:
    """The service that fails while the folder at this path is not the one of the start.

    A spool whose folder was removed goes on in files without a name, which the next start does not find.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._identity = _identity(folder)
        self._wakeup = AutoResetEvent()

    async def run(self, stop: anyio.Event) -> None:
        """Look at the folder until stopped. Raises FolderLostError."""
        await periodic(self.check, seconds=INTERVAL, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Let `run` notice that it was stopped."""
        self._wakeup.set()

    async def check(self) -> None:
        """Look once. Raises FolderLostError."""
        if _identity(self._folder) != self._identity:
            raise FolderLostError(
                f"QQBUS_STATE_DIR: {self._folder} was removed or replaced: restart the adapter, "
                "else what waits on disk for Redis is lost at its end"
            )


def ensure_state_dir(config: Config) -> Path:
    """Return the folder for session, spool and embedded data; make it, for its owner alone, if need be.

    Raises ConfigError, also if this user cannot write what the adapter writes.
    """
    folder = config.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(
            "QQBUS_STATE_DIR: {folder} is no folder: {strerror}", folder=folder, strerror=exc.strerror
        ) from exc
    if path := find_unwritable(folder):
        raise ConfigError(
            "QQBUS_STATE_DIR: {path} cannot be written: {reason}",
            path=path,
            reason=describe_obstacle(path),
        )
    probe = folder / ".writable"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as exc:
        raise ConfigError(
            "QQBUS_STATE_DIR: {folder} cannot be written: {strerror}",
            folder=folder,
            strerror=exc.strerror,
        ) from exc
    return folder


@contextmanager
def naming_folder(folder: Path) -> Iterator[None]:
    """Raise ConfigError, which names the setting, for what the file system refuses at the start."""
    try:
        yield
    except OSError as exc:
        raise ConfigError(
            "QQBUS_STATE_DIR: {path} cannot be used: {strerror}",
            path=exc.filename or folder,
            strerror=exc.strerror,
        ) from exc


def find_unwritable(folder: Path) -> Path | None:
    """Return what this user cannot write of an existing state folder; None if nothing."""
    paths = (folder / name for name in WRITTEN_PATHS)
    return next((path for path in paths if os.access(path, os.F_OK) and not is_writable(path)), None)


def is_writable(path: Path) -> bool:
    """Return whether this user can write a file, or enter and write a folder."""
    return os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)


def describe_obstacle(path: Path) -> str:
    """Return why a path cannot be written, and what to change."""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "Read-only file system; mount it for writing, or give another folder"
    owner = path.stat().st_uid
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    return f"Permission denied (it belongs to {name}; give it to this user, or give another folder)"


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
