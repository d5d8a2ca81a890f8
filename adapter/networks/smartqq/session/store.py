"""Keep the login on disk, so that a restart needs no scan: 0600, replaced atomically, synced."""

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from adapter.networks.smartqq.session.credentials import Credentials

log = logging.getLogger(__name__)

NAME: Final = "smartqq.json"


class SessionStore:
    """Read and write the file in the state directory. Its content equals a password."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._written = ""

    def load(self, now: float) -> Credentials:
        """Return the stored credentials, or empty ones if there are none that can be used."""
        try:
            text = self._path.read_text(encoding="utf-8")
            credentials = Credentials.restore(json.loads(text), now)
        except FileNotFoundError:
            return Credentials()
        except (OSError, ValueError, TypeError, RecursionError) as exc:
            # Without the exception's text, which may quote a token.
            log.warning("session file %s is unusable (%s); a login is needed", self._path, type(exc).__name__)
            return Credentials()
        self._written = text
        return credentials

    def save(self, credentials: Credentials) -> None:
        """Write the credentials if they have changed. A failure costs the next start a scan."""
        text = json.dumps(credentials.dump(), ensure_ascii=False)
        if text == self._written:
            return
        try:
            self._replace(text)
        except OSError as exc:
            log.warning("cannot save the session in %s: %s", self._path.parent, exc.strerror)
            return
        self._written = text

    def _replace(self, text: str) -> None:
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=folder)  # 0600 from the start
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        finally:
            Path(name).unlink(missing_ok=True)  # it exists only after a failure
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
