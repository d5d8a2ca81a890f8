"""What a scan has bound: AppID and secret in one file of the state folder, 0600, replaced atomically."""

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from adapter.networks.official.protocol.binding import BotCredentials
from adapter.networks.official.protocol.values import mapping, parse_text

log = logging.getLogger(__name__)

NAME: Final = "official.json"


class CredentialsFile:
    """The file in the state folder. Its content equals a password."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def load(self) -> BotCredentials | None:
        """Return the credentials that a scan has bound; None if there are none that can be used."""
        try:
            content = mapping(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as exc:
            # Without the exception's text, which may quote the secret.
            log.warning("%s is unusable (%s): the bot has to be bound again", self._path, type(exc).__name__)
            return None
        appid, secret = parse_text(content.get("appid")), parse_text(content.get("secret"))
        return BotCredentials(appid, secret) if appid and secret else None

    def save(self, credentials: BotCredentials) -> None:
        """Keep credentials. A failure costs the next start a scan."""
        text = json.dumps({"appid": credentials.appid, "secret": credentials.secret})
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=self._path.parent)  # 0600 from the start
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except OSError as exc:
            log.warning("cannot keep the binding in %s: %s", self._path.parent, exc.strerror)
