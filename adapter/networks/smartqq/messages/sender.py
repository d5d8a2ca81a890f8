"""Send one message: the permission for a stranger, attempts to connect, the outcome."""

import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Final

import anyio

from adapter.aio import backoff
from adapter.errors import ProtocolError, TransportError
from adapter.events import Address, ChatKind, Outcome, Part, Status
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.messages.echo import EchoDetector
from adapter.networks.smartqq.protocol.content import decode_sent
from adapter.networks.smartqq.protocol.http import Request, Response, TransportTimeoutError
from adapter.networks.smartqq.protocol.parsing import OK, error_message, mapping, parse_json, return_code
from adapter.networks.smartqq.protocol.return_codes import RESULTS, SESSION_INVALID
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.shutdown import ShutdownScope

# Message ids count ten-thousandths of a second and have eight digits.
_IDS_PER_SECOND: Final = 10_000
_ID_RANGE: Final = 100_000_000

# Permissions kept: more strangers than one account talks to at a time.
MAX_SIGNATURES: Final = 200


@dataclass(frozen=True, slots=True)
class NotSent:
    """Report that a message was not sent because the session or the network is in doubt.

    `refusal` is the outcome if that cannot be repaired; None: resolve the address again.
    """

    refusal: Outcome | None = None


def message_ids(now: float) -> Iterator[int]:
    """Yield message ids by the official client's formula: the time of the start, then counting (4.4).

    The fraction of the second is part of it: a restart within one second must not repeat an id. The server
    accepts a repeated id and does not deliver the message.
    """
    number = int(now * _IDS_PER_SECOND) % _ID_RANGE
    while True:
        number += 1
        yield number


def parse_outcome(response: Response) -> Outcome | NotSent:
    """Return the outcome of a message, or NotSent if the session was refused (4.6).

    `errCode` takes precedence over `retcode`: each era has its own.
    """
    if response.status == HTTPStatus.FORBIDDEN:
        return Outcome(Status.FAILED, "upstream.denied", "status 403")
    if response.status != HTTPStatus.OK:
        return Outcome(Status.UNKNOWN, "upstream.lost", f"status {response.status}")
    try:
        reply = parse_json(response)
    except ProtocolError as exc:
        return Outcome(Status.UNKNOWN, "upstream.lost", str(exc))
    code = return_code(reply, "errCode", "retcode")
    detail = f"{code} {error_message(reply)}".strip()
    if code in SESSION_INVALID:
        return NotSent(_rejected(detail))
    status, result = RESULTS.get(code, (Status.FAILED, "upstream.denied"))
    return Outcome(status, result, detail)


def outcome_of_error(error: TransportError) -> Outcome:
    """Return the outcome of a message whose answer never came."""
    if not error.may_have_sent:
        return Outcome(Status.FAILED, "upstream.denied", str(error))
    is_timeout = isinstance(error, TransportTimeoutError)
    return Outcome(Status.UNKNOWN, "upstream.timeout" if is_timeout else "upstream.lost", str(error))


def _rejected(detail: str) -> Outcome:
    return Outcome(Status.FAILED, "session.rejected", detail)


class MessageSender:
    """Send parts. A refusal is an Outcome, not an exception."""

    def __init__(
        self,
        request: Callable[[Request], Awaitable[Response]],
        credentials: Credentials,
        echo_detector: EchoDetector,
        shutdown: ShutdownScope,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._request = request
        self._credentials = credentials
        self._echo_detector = echo_detector
        self._shutdown = shutdown
        self._limits = limits
        self._clock = clock
        self._signatures: dict[Address, tuple[float, str]] = {}

    def forget_ids(self) -> None:
        """Drop all permissions: a login has made all momentary ids invalid."""
        self._signatures.clear()

    async def send(self, to: Address, part: Part, may_send: Callable[[], bool]) -> Outcome | NotSent | None:
        """Send a part. Returns NotSent if session or network are in doubt.

        Returns None if `may_send()` no longer allows it.
        """
        if not to.id.isdecimal():
            return Outcome(Status.FAILED, "upstream.denied", f"{to.id!r} is not an id of SmartQQ")
        signature, session = "", self._credentials.psessionid
        if to.kind is ChatKind.TEMP:
            permission = await self._request_signature(to, may_send)
            if not isinstance(permission, str):
                return permission
            signature = permission
        if not session or self._credentials.psessionid != session:
            return NotSent()  # a login came in between: these ids are invalid
        self._echo_detector.remember(to, decode_sent(part.content), part.message_id, self._clock())
        request = endpoints.send(self._credentials, to, part.content, int(part.message_id), signature)
        try:
            response = await self._deliver(request, may_send)
        except TransportError as exc:
            return outcome_of_error(exc) if exc.may_have_sent else NotSent(outcome_of_error(exc))
        return None if response is None else parse_outcome(response)

    async def _deliver(self, request: Request, may_send: Callable[[], bool]) -> Response | None:
        """Send a request, again if it was certainly not sent. Raises TransportError.

        Returns None if `may_send()` does not allow it.
        """
        delays = islice(
            backoff(random.random, first=self._limits.send_retry_first), self._limits.send_attempts - 1
        )
        while may_send():
            try:
                return await self._request(request)
            except TransportError as exc:
                delay = next(delays, None)
                if exc.may_have_sent or delay is None:
                    raise
                await self._shutdown.run(anyio.sleep(delay))
                if self._shutdown.is_shutting_down:
                    raise
        return None

    async def _request_signature(
        self, to: Address, may_send: Callable[[], bool]
    ) -> str | Outcome | NotSent | None:
        """Return the permission to write to a stranger, or the outcome without it (4.5)."""
        now = self._clock()
        given_at, value = self._signatures.get(to, (0.0, ""))
        if value and now - given_at < self._limits.temp_session_ttl:
            return value
        try:
            response = await self._deliver(endpoints.signature(self._credentials, to, now), may_send)
            if response is None:
                return None
            reply = parse_json(response)
        except (TransportError, ProtocolError) as exc:
            # Only the permission was requested: the message has not been sent.
            refusal = Outcome(Status.FAILED, "upstream.denied", str(exc))
            return NotSent(refusal) if isinstance(exc, TransportError) else refusal
        code = return_code(reply) if response.status == HTTPStatus.OK else response.status
        if code in SESSION_INVALID:
            return NotSent(_rejected(f"get_c2cmsg_sig2: {code} {error_message(reply)}".strip()))
        given = mapping(reply.get("result")).get("value")
        if code != OK or not isinstance(given, str) or not given:
            return Outcome(Status.FAILED, "upstream.denied", f"no temporary conversation possible: {code}")
        self._signatures.pop(to, None)
        while len(self._signatures) >= MAX_SIGNATURES:
            del self._signatures[next(iter(self._signatures))]
        self._signatures[to] = (now, given)
        return given
