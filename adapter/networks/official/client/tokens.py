"""The access token: one request at a time, renewed before its end."""

import math
from collections.abc import Callable

import anyio

from adapter.errors import TransportError
from adapter.networks.official.client.errors import AccessRefusedError, Reason
from adapter.networks.official.client.http import HttpClient
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.binding import BotCredentials
from adapter.networks.official.protocol.tokens import is_refused_for_good, token_body, token_of


class TokenSource:
    """The token of one bot. `clock` is monotonic, in seconds.

    `credentials` are None until the bot is bound.
    """

    def __init__(self, http: HttpClient, url: str, limits: Limits, clock: Callable[[], float]) -> None:
        self._http = http
        self._url = url
        self._limits = limits
        self._clock = clock
        self._lock = anyio.Lock()
        self._text = ""
        self._ends = self._renew_at = -math.inf
        self._credentials: BotCredentials | None = None

    def use(self, credentials: BotCredentials) -> None:
        """Get tokens for these credentials from now on."""
        self._credentials = credentials
        self._text, self._ends, self._renew_at = "", -math.inf, -math.inf

    async def get(self) -> str:
        """Return a token. Raises AccessRefusedError and TransportError, which says that nothing was sent."""
        async with self._lock:
            if self._clock() < self._renew_at:
                return self._text
            try:
                await self._fetch()
            except TransportError:
                if self._clock() >= self._ends:
                    raise
            return self._text

    async def renew(self, refused: str) -> str:
        """Return another token than the one that was refused, if the API gives one. Raises as `get`."""
        async with self._lock:
            if self._text == refused:
                await self._fetch()
            return self._text

    async def _fetch(self) -> None:
        if self._credentials is None:
            raise AccessRefusedError(Reason.CREDENTIALS, "the bot is not bound yet")
        body = token_body(self._credentials)
        try:
            answer = await self._http.post("token", self._url, body, seconds=self._limits.call_seconds)
        except TransportError as exc:
            raise TransportError(str(exc), may_have_sent=False) from exc
        token = token_of(answer)
        if token is None and is_refused_for_good(answer):
            words = f"AppID or secret is refused: {answer.words}"
            raise AccessRefusedError(Reason.CREDENTIALS, words)
        if token is None:
            raise TransportError(f"no token: {answer.words}", may_have_sent=False)
        now, limits = self._clock(), self._limits
        self._text, self._ends = token.text, now + token.seconds
        self._renew_at = now + max(token.seconds - limits.renew_before_seconds, limits.renew_pause_seconds)
