"""The login kept on disk, so that a restart needs no scan: 0600, replaced in one step, synced."""

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
    """The file in the state folder. Its content is as good as the password."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._written = ""

    def load(self, now: float) -> Credentials:
        """What was kept, or a fresh start where there is nothing or nothing usable."""
        try:
            text = self._path.read_text(encoding="utf-8")
            credentials = Credentials.restore(json.loads(text), now)
        except FileNotFoundError:
            return Credentials()
        except (OSError, ValueError, TypeError, RecursionError) as exc:
            # Neither the text nor the exception's words: both may hold a token.
            log.warning("the session file %s cannot be used: %s", self._path.name, type(exc).__name__)
            return Credentials()
        self._written = text
        return credentials

    def save(self, credentials: Credentials) -> None:
        """Keep this login, unless it is kept already. A full disk costs the next start a scan, no more."""
        text = json.dumps(credentials.dump(), ensure_ascii=False)
        if text == self._written:
            return
        try:
            self._replace(text)
        except OSError as exc:
            log.warning("the session cannot be kept in %s: %s", self._path.parent, exc.strerror)
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
            Path(name).unlink(missing_ok=True)  # there is one only if something went wrong
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
