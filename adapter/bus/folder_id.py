"""The id of a state folder: the lease names it, so that the next process of this folder knows its own lease.

A copy of a folder must not have the id of its original: both may be in use, each with its own lock. The id is
therefore made of a random text in the folder and of the number of the file that holds it.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Final

from adapter.errors import ConfigError

FILE: Final = "folder-id"
# Hexadecimal digits of an id.
_DIGITS: Final = 16


def read_folder_id(folder: Path) -> str:
    """Return the id of a state folder; the first call makes it. Raises ConfigError.

    Call it with the lock of the folder.
    """
    path = folder / FILE
    try:
        if not (path.exists() and path.read_bytes().strip()):
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(_DIGITS) + "\n", encoding="ascii")
        inode = path.stat().st_ino
        return hashlib.sha256(path.read_bytes() + str(inode).encode()).hexdigest()[:_DIGITS]
    except OSError as exc:
        raise ConfigError("{path} cannot be used: {strerror}", path=path, strerror=exc.strerror) from exc
