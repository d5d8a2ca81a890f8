"""Dial bots: reverse WebSocket, made again for as long as the gateway runs."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from consumers.onebot.account import AccountWatcher
from consumers.onebot.bots import Bots
from consumers.onebot.connection import CLOSE_SECONDS, MAX_FRAME, Role
from consumers.onebot.options import Options

log = logging.getLogger("qqbus.gateway")

# Seconds between two attempts: doubled from the first up to the last.
FIRST_DELAY: Final = 1.0
MAX_DELAY: Final = 30.0
# Seconds to open the socket and finish the handshake.
_CONNECT_SECONDS: Final = 10.0
# Seconds after which a connection that had confirmed something starts the delays afresh.
_STABLE_SECONDS: Final = 5.0


class Dialer:
    """Keeps one connection to one bot."""

    def __init__(self, url: str, options: Options, bots: Bots, account: AccountWatcher) -> None:
        self._url = url
        parts = urlsplit(url)
        self._name = f"bot at {parts.hostname}:{parts.port or ''}{parts.path}"
        self._token = options.token
        self._bots = bots
        self._account = account

    async def run(self) -> None:
        """Dial again and again until cancelled."""
        delays = _delays()
        failed_before = False
        while True:
            await self._account.wait_known()
            began = time.monotonic()
            try:
                was_proved = await self._serve_once()
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
                # Once for an outage, not for each attempt.
                level = logging.DEBUG if failed_before else logging.WARNING
                log.log(level, "%s does not take the connection: %s", self._name, _words(exc))
                failed_before, was_proved = True, False
            else:
                failed_before = False
            if was_proved and time.monotonic() - began > _STABLE_SECONDS:
                delays = _delays()
            await asyncio.sleep(next(delays))

    async def _serve_once(self) -> bool:
        number = self._account.current.number
        headers = {
            "X-Self-ID": number,
            "X-Client-Role": "Universal",
            "User-Agent": f"qqbus/{version('qqbus')} OneBot/11",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_connect=_CONNECT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with asyncio.timeout(_CONNECT_SECONDS):
                socket = await session.ws_connect(
                    self._url,
                    headers=headers,
                    autoping=False,
                    compress=0,
                    max_msg_size=MAX_FRAME,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
            transport = socket._conn.transport if socket._conn else None  # noqa: SLF001 – it has no public name

            def abort() -> None:
                if transport is not None:
                    transport.abort()

            try:
                return await self._bots.serve(socket, abort, Role.UNIVERSAL, self._name)
            finally:
                # The old socket is closed before a new one opens: a bot's late clean-up of it would remove
                # the new one.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await socket.close()


def _delays() -> Iterator[float]:
    delay = FIRST_DELAY
    while True:
        # Never under the first delay: the jitter only adds.
        yield min(MAX_DELAY, delay * (1 + random.random() / 4))
        delay = min(MAX_DELAY, delay * 2)


def _words(exc: BaseException) -> str:
    if isinstance(exc, aiohttp.WSServerHandshakeError):
        advice = ": is QQBUS_GATEWAY_TOKEN the bot's token?" if exc.status in {401, 403} else ""
        return f"HTTP {exc.status}{advice}"
    return f"{type(exc).__name__}: {exc}"
