"""The token of the page: made once, read by programs of the same user, revoked by a new one.

A link signs in one browser, once: it holds a code that is signed with the token, and no token. A program that
can read the token can make one; the page accepts it within an hour, and never after a restart of the page.
"""

import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer

from adapter.config import Config
from adapter.errors import ConfigError

TOKEN_FILE: Final = "http-token"  # noqa: S105 – a name
# Characters of a token: fewer can be guessed.
MIN_TOKEN_LENGTH: Final = 16
# Seconds in which a link must be opened: it may stand in a log.
LINK_SECONDS: Final = 3600
# Used links that are remembered: only a holder of the token makes any.
MAX_USED_LINKS: Final = 1_000
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 – to be replaced


class PageToken:
    """The token: QQBUS_HTTP_TOKEN, or the content of a file, which is read again after each change."""

    def __init__(self, value: str, file: Path | None = None) -> None:
        self._value = value
        self.file = file
        self._seen = _version(file)

    @classmethod
    def load(cls, config: Config) -> "PageToken":
        """Return the token of these settings; make its file if there is none. Raises ConfigError."""
        token = config.http_token
        if token:
            if len(token) < MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable():
                raise ConfigError(
                    "QQBUS_HTTP_TOKEN is too weak: give at least {length} printable ASCII characters",
                    length=MIN_TOKEN_LENGTH,
                )
            return cls(token)
        file = config.state_dir / TOKEN_FILE
        try:
            return cls(_read(file) or _write(file), file)
        except OSError as exc:
            raise ConfigError(
                "{file} cannot be used: {strerror}; or set QQBUS_HTTP_TOKEN",
                file=file,
                strerror=exc.strerror,
            ) from exc

    @property
    def value(self) -> str:
        """The token as it is now."""
        if (version := _version(self.file)) != self._seen and self.file is not None:
            try:
                self._value = _read(self.file) or self._value
            except OSError:
                return self._value
            self._seen = version
        return self._value

    def revoke(self) -> None:
        """Make a new token: all sessions and links of the former one end. Raises ConfigError."""
        if self.file is None:
            raise ConfigError("the token is QQBUS_HTTP_TOKEN: change that, and restart the adapter")
        try:
            self._value = _write(self.file)
        except OSError as exc:
            raise ConfigError(
                "{file} cannot be used: {strerror}", file=self.file, strerror=exc.strerror
            ) from exc
        self._seen = _version(self.file)


class SignInLinks:
    """Codes that sign in once."""

    def __init__(self, token: PageToken) -> None:
        self._token = token
        self._used: set[str] = set()
        self._since = int(time.time())

    def make_code(self) -> str:
        """Return a new code."""
        return self._serializer().dumps(secrets.token_urlsafe(9))

    def redeem(self, code: str) -> bool:
        """Return whether a code is good; it is used up then."""
        try:
            nonce, made = self._serializer().loads(code, max_age=LINK_SECONDS, return_timestamp=True)
        except BadData:
            return False
        if made.timestamp() < self._since or nonce in self._used or len(self._used) >= MAX_USED_LINKS:
            return False
        self._used.add(nonce)
        return True

    def _serializer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self._token.value,
            salt="qqbus.link",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )


def page_address(host: str, port: int) -> str:
    """Return the address at which a browser on this machine reaches a page that is bound there."""
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def sign_in_link(address: str, links: SignInLinks) -> str:
    """Return a link that signs in once."""
    return f"{address}/login?code={links.make_code()}"


def _version(file: Path | None) -> tuple[int, int]:
    try:
        found = file.stat() if file else None
    except OSError:
        return 0, 0
    return (found.st_mtime_ns, found.st_ino) if found else (0, 0)


def _read(file: Path) -> str:
    """Return the token in a file; empty if there is none."""
    try:
        token = file.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
    return token if len(token) >= MIN_TOKEN_LENGTH else ""


def _write(file: Path) -> str:
    """Write a new token, readable by the owner alone, in one step."""
    token = secrets.token_urlsafe(32)
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(token + "\n")
    draft.replace(file)
    return token
