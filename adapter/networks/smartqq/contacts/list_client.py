"""Request contact lists, again where the server refuses, and note refusals of the session."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

import anyio

from adapter.errors import ProtocolError, TransportError
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Request, Response
from adapter.networks.smartqq.protocol.parsing import OK, mapping, parse_json, return_code
from adapter.networks.smartqq.protocol.return_codes import SESSION_INVALID

log = logging.getLogger(__name__)

# Attempts for one list: it may be refused, or lack its main part, and be there a moment later (5).
MAX_ATTEMPTS: Final = 3

Send = Callable[[Request], Awaitable[Response]]
Reply = Mapping[str, object]


class ListClient:
    """Fetch lists. `session_suspect`: a refusal said that the session is invalid."""

    def __init__(self, request: Send, limits: Limits) -> None:
        self.session_suspect = False
        self._request = request
        self._limits = limits

    async def fetch(self, request: Request, main_part: str = "") -> Reply | None:
        """Return a list that has its main part, or None after the last attempt."""
        reply = None
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                await anyio.sleep(self._limits.retry_first)
            reply = await self.fetch_once(request)
            if reply is not None and (not main_part or main_part in mapping(reply.get("result"))):
                break
            if self.session_suspect:
                break
        if reply is None:
            log.warning("no usable answer from %s", request.safe_name)
        return reply

    async def fetch_once(self, request: Request, *, is_vital: bool = True) -> Reply | None:
        """Return the reply if its code is good. A refusal of a vital call suspects the session."""
        try:
            response = await self._request(request)
            reply = parse_json(response) if response.status == HTTPStatus.OK else None
        except (TransportError, ProtocolError):
            return None
        if reply is None:
            return None
        code = return_code(reply)
        self.session_suspect = self.session_suspect or (is_vital and code in SESSION_INVALID)
        return reply if code == OK else None
