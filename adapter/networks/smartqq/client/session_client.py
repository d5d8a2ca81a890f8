"""Probe, show and end the session at the server."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus

import anyio

from adapter.errors import ProtocolError, TransportError
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Request, Response
from adapter.networks.smartqq.protocol.parsing import OK, error_message, parse_json, return_code
from adapter.networks.smartqq.session.credentials import STATUSES, Credentials
from adapter.networks.smartqq.session.store import SessionStore


class SessionClient:
    """Calls that concern the session itself."""

    def __init__(
        self,
        request: Callable[[Request], Awaitable[Response]],
        credentials: Credentials,
        store: SessionStore,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._request = request
        self._credentials = credentials
        self._store = store
        self._limits = limits
        self._clock = clock

    @property
    def id(self) -> str:
        """The id of the present session, "" if there is none. A secret."""
        return self._credentials.psessionid

    async def is_valid(self) -> bool:
        """Return whether the server knows the session. Raises TransportError."""
        request = endpoints.online_friends(self._credentials, self._clock())
        response = await self._request(request)
        if response.status != HTTPStatus.OK:
            raise TransportError(f"{request.safe_name}: status {response.status}", may_have_sent=True)
        try:
            return return_code(parse_json(response)) == OK
        except ProtocolError as exc:
            raise TransportError(f"{request.safe_name}: {exc}", may_have_sent=True) from exc

    async def set_presence(self, status: str) -> None:
        """Show the account as one of STATUSES, in later sessions too. Raises UpstreamError."""
        if status not in STATUSES:
            raise ProtocolError(f"{status!r} is not one of {', '.join(STATUSES)}")
        request = endpoints.change_status(self._credentials, status, self._clock())
        reply = parse_json(await self._request(request))
        if return_code(reply) != OK:
            raise ProtocolError(f"{request.safe_name}: {return_code(reply)} {error_message(reply)}".strip())
        self._credentials.status = status
        self._store.save(self._credentials)

    async def log_out(self) -> None:
        """End the session, if possible at the server too, and forget the credentials."""
        if self._credentials.psessionid:
            with anyio.move_on_after(self._limits.logout_timeout), suppress(TransportError):
                await self._request(endpoints.logout(self._credentials, self._clock()))
        self._credentials.clear()
        self._store.save(self._credentials)
