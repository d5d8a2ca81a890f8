"""Binder: a person scans a code with QQ, and the portal hands over AppID and secret of a bot."""

import io
import logging
from collections.abc import Callable
from typing import Final

import anyio
import segno

from adapter.errors import ProtocolError, TransportError
from adapter.events import Challenge, SessionState
from adapter.networks.official.client.http import HttpClient
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.binding import (
    CODE_SECONDS,
    KEY_BYTES,
    BindStatus,
    BotCredentials,
    bind_status,
    check_cryptography,
    code_text,
    create_body,
    open_credentials,
    task_id,
)
from adapter.networks.official.protocol.values import Object
from adapter.networks.official.session_manager import SessionManager

log = logging.getLogger(__name__)

# Pixels of one module of the code.
_SCALE: Final = 6


class Binder:
    """Binds one bot. `random` returns that many random bytes; `wall` is in seconds."""

    def __init__(
        self,
        http: HttpClient,
        portal_url: str,
        session: SessionManager,
        limits: Limits,
        *,
        wall: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self._http = http
        self._portal = portal_url
        self._session = session
        self._limits = limits
        self._wall = wall
        self._random = random

    async def bind(self) -> BotCredentials | None:
        """Show codes until one is scanned; None if none was, or if the portal is away for long.

        Raises ConfigError if the library that opens the secret is missing.
        """
        check_cryptography()
        delays = iter(self._limits.retry_seconds)
        expired = 0
        while not self._session.is_stopping and expired < self._limits.bind_codes:
            try:
                credentials = await self._offer_code()
            except (TransportError, ProtocolError) as exc:
                self._session.announce(SessionState.OFFLINE, "network", f"the portal of the bots: {exc}")
                await anyio.sleep(next(delays, self._limits.retry_seconds[-1]))
                continue
            if credentials is not None:
                log.info("a scan has bound the bot %s", credentials.appid)
                return credentials
            expired += 1
        self._session.announce(SessionState.OFFLINE, "qr.unscanned", "")
        return None

    async def _offer_code(self) -> BotCredentials | None:
        """Show one code; None once it has expired. Raises TransportError and ProtocolError."""
        key = self._random(KEY_BYTES)
        task = task_id(await self._ask("create_bind_task", create_body(key)))
        text = code_text(self._portal, task)
        challenge = Challenge(draw_code(text), text, self._wall() + CODE_SECONDS)
        self._session.announce(SessionState.QR, "", "", challenge)
        while not self._session.is_stopping:
            await anyio.sleep(self._limits.bind_poll_seconds)
            try:
                answer = await self._ask("poll_bind_result", {"task_id": task})
            except TransportError as exc:
                log.debug("%s", exc)
                if self._wall() > (challenge.expires or 0.0):
                    return None
                continue
            match bind_status(answer):
                case BindStatus.DONE:
                    return open_credentials(answer, key)
                case BindStatus.EXPIRED:
                    return None
                case BindStatus.SCANNED:
                    self._session.announce(SessionState.SCANNED, "", "")
        return None

    async def _ask(self, name: str, body: Object) -> Object:
        answer = await self._http.post(
            name, f"{self._portal}/lite/{name}", body, seconds=self._limits.call_seconds
        )
        if not answer.object:
            raise ProtocolError(f"{name}: status {answer.status} without an object")
        return answer.object


def draw_code(text: str) -> bytes:
    """Return the picture of a QR code as PNG."""
    picture = io.BytesIO()
    segno.make(text, micro=False).save(picture, kind="png", scale=_SCALE)
    return picture.getvalue()
