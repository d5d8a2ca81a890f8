"""QR binding: what the portal is asked, and the secret that it hands over, sealed.

The code holds the id of a task. The portal seals the secret with AES-256-GCM under the key of the task, which
leaves this process only on the way to the portal.
"""

import base64
import binascii
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from adapter.errors import ConfigError, ProtocolError
from adapter.networks.official.protocol.values import Object, mapping, parse_int, parse_text

KEY_BYTES: Final = 32
_IV_BYTES: Final = 12
# Seconds that a code can be scanned; the portal does not say it, and reports the end itself.
CODE_SECONDS: Final = 300.0


class BindStatus(IntEnum):
    """How far a task is."""

    WAITING = 0
    SCANNED = 1
    DONE = 2
    EXPIRED = 3


@dataclass(frozen=True, slots=True)
class BotCredentials:
    """What a bot logs in with."""

    appid: str
    secret: str = field(repr=False)


def create_body(key: bytes) -> Object:
    """Return the body that creates a task."""
    return {"key": base64.b64encode(key).decode()}


def task_id(answer: Object) -> str:
    """Return the id of the created task. Raises ProtocolError."""
    found = parse_text(_data(answer).get("task_id"))
    if not found:
        raise ProtocolError("the portal names no task")
    return found


def code_text(portal_url: str, task: str) -> str:
    """Return what the QR code holds."""
    return f"{portal_url}/qqbot/openclaw/connect.html?task_id={task}&_wv=2"


def bind_status(answer: Object) -> BindStatus:
    """Return how far a task is. Raises ProtocolError."""
    try:
        return BindStatus(parse_int(_data(answer).get("status")) or 0)
    except ValueError as exc:
        raise ProtocolError("the portal answers an unknown status") from exc


def _data(answer: Object) -> Object:
    if parse_int(answer.get("retcode")) != 0:
        words = " ".join(parse_text(answer.get("msg") or answer.get("message")).split())[:100]
        raise ProtocolError(f"the portal refuses: {answer.get('retcode')} {words}".strip())
    return mapping(answer.get("data"))


def open_credentials(answer: Object, key: bytes) -> BotCredentials:
    """Return the credentials of a task that is done. Raises ProtocolError, which quotes none of them."""
    check_cryptography()
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 – an extra
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 – likewise

    data = _data(answer)
    appid = parse_text(data.get("bot_appid"))
    try:
        sealed = base64.b64decode(parse_text(data.get("bot_encrypt_secret")), validate=True)
        secret = AESGCM(key).decrypt(sealed[:_IV_BYTES], sealed[_IV_BYTES:], None).decode()
    except (binascii.Error, InvalidTag, ValueError):
        raise ProtocolError("the secret of the portal cannot be opened") from None
    if not (appid.isascii() and appid.isdecimal() and secret):
        raise ProtocolError("the portal hands over no AppID or no secret")
    return BotCredentials(appid, secret)


def check_cryptography() -> None:
    """Raise ConfigError if the library that opens the secret is not installed."""
    try:
        import cryptography  # noqa: F401, PLC0415 – an extra
    except ImportError as exc:
        raise ConfigError(
            "binding a bot by QR code needs the extra: pip install 'qqbus[official]'; or set "
            "QQBUS_OFFICIAL_APPID and QQBUS_OFFICIAL_SECRET_FILE"
        ) from exc
