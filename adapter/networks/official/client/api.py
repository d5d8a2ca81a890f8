"""Calls of the REST API, each with a token; one that is refused for its token is repeated with a new one."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit

from adapter.errors import TransportError
from adapter.events import Address, ChatKind, ImageData
from adapter.networks.official.client.errors import AccessRefusedError, Reason
from adapter.networks.official.client.http import HttpClient
from adapter.networks.official.client.tokens import TokenSource
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.return_codes import Answer
from adapter.networks.official.protocol.values import Object, parse_text

_IP: Final = frozenset({11298, 40023002})
_BANNED: Final = frozenset({11265, 11254})
_OK: Final = 200


def always() -> bool:
    """Allow a call that nothing forbids."""
    return True


class Api:
    """The API at one origin."""

    def __init__(self, http: HttpClient, tokens: TokenSource, origin: str, limits: Limits) -> None:
        self._http = http
        self._tokens = tokens
        self._origin = origin
        self._limits = limits

    async def call(
        self,
        name: str,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        seconds: float = 0.0,
        may_send: Callable[[], bool] = always,
    ) -> Answer | None:
        """Return the answer to a call; None if `may_send` did not allow it.

        Raises TransportError and AccessRefusedError.
        """
        token = await self._tokens.get()
        answer = await self._once(name, method, path, body, token, seconds, may_send)
        if answer is not None and answer.is_token_refused:
            token = await self._tokens.renew(token)
            answer = await self._once(name, method, path, body, token, seconds, may_send)
        return answer

    async def _once(
        self,
        name: str,
        method: str,
        path: str,
        body: Object | None,
        token: str,
        seconds: float,
        may_send: Callable[[], bool],
    ) -> Answer | None:
        if not may_send():
            return None
        headers = {"Authorization": f"QQBot {token}"}
        limit = seconds or self._limits.call_seconds
        return await self._http.request(name, method, self._origin + path, body, headers, seconds=limit)

    async def gateway_url(self) -> str:
        """Return the address of the gateway. Raises TransportError and AccessRefusedError."""
        answer = await self.call("gateway", "GET", "/gateway")
        if answer is None or not answer.is_done:
            raise _refusal(answer)
        url = parse_text(answer.object.get("url"))
        if urlsplit(url).scheme not in {"ws", "wss"}:
            raise TransportError("the API names no gateway", may_have_sent=False)
        return url

    async def is_usable(self) -> bool:
        """Whether the API takes the token of the bot. Raises TransportError and AccessRefusedError."""
        answer = await self.call("me", "GET", "/users/@me")
        return answer is not None and answer.is_done

    async def fetch(self, url: str) -> ImageData:
        """Return what lies at a signed address. Raises TransportError."""
        limits = self._limits
        answer = await self._http.request(
            "picture",
            "GET",
            url,
            None,
            {"Accept": "*/*"},
            seconds=limits.upload_seconds,
            max_bytes=limits.picture_bytes,
        )
        if answer.status != _OK:
            raise TransportError(f"the picture is answered with status {answer.status}", may_have_sent=True)
        return ImageData(answer.content_type or "application/octet-stream", answer.body)


def chat_path(chat: Address) -> str:
    """Return the path of a chat."""
    side = "groups" if chat.kind is ChatKind.GROUP else "users"
    return f"/v2/{side}/{quote(chat.id, safe='')}"


def _refusal(answer: Answer | None) -> TransportError | AccessRefusedError:
    if answer is None:
        return TransportError("the gateway was not asked for", may_have_sent=False)
    if answer.codes & _IP:
        return AccessRefusedError(Reason.IP, answer.words)
    if answer.codes & _BANNED:
        return AccessRefusedError(Reason.BANNED, answer.words)
    if answer.is_token_refused:
        return AccessRefusedError(Reason.CREDENTIALS, answer.words)
    return TransportError(f"the gateway cannot be asked for: {answer.words}", may_have_sent=False)
