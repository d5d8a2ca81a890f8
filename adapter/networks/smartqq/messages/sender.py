"""Carries one message out: the permission a stranger needs, tries to connect, what came of it."""

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

_LAP: Final = 10000


SIGNATURES = 200
"""Permissions kept: more strangers at a time than anybody talks to."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """A message has not left: the session or the network is doubted.

    `refusal` is what became of it where that cannot be mended; None: it is to be addressed again.
    """

    refusal: Outcome | None = None


def message_ids(now: float) -> Iterator[int]:
    """Message numbers by the official client's formula: from the second of the start, then counting (4.4).

    Where in that second is counted too: a program can be started again within it, a page was not, and
    a number that comes twice is accepted and not delivered.
    """
    number = int(now * _LAP) % (_LAP * _LAP)
    while True:
        number += 1
        yield number


def outcome(answer: Response) -> Outcome | None:
    """What became of a message, or None if the session has to be mended first (4.6).

    `errCode` is looked at before `retcode`: each era has its own.
    """
    if answer.status == HTTPStatus.FORBIDDEN:
        return Outcome(Status.FAILED, "upstream.denied", "status 403")
    if answer.status != HTTPStatus.OK:
        return Outcome(Status.UNKNOWN, "upstream.lost", f"status {answer.status}")
    try:
        reply = parse_json(answer)
    except ProtocolError as exc:
        return Outcome(Status.UNKNOWN, "upstream.lost", str(exc))
    code = return_code(reply, "errCode", "retcode")
    if code in SESSION_INVALID:
        return None
    status, word = RESULTS.get(code, (Status.FAILED, "upstream.denied"))
    return Outcome(status, word, f"{code} {error_message(reply)}".strip())


def rejected(why: str) -> Outcome:
    """What became of a message that the session did not allow."""
    return Outcome(Status.FAILED, "session.rejected", why.strip())


def outcome_of_error(error: TransportError) -> Outcome:
    """What became of a message whose answer never came."""
    if not error.may_have_sent:
        return Outcome(Status.FAILED, "upstream.denied", str(error))
    late = isinstance(error, TransportTimeoutError)
    return Outcome(Status.UNKNOWN, "upstream.timeout" if late else "upstream.lost", str(error))


class MessageSender:
    """Sends parts. Never raises for a refusal: a refusal is an Outcome."""

    def __init__(
        self,
        ask: Callable[[Request], Awaitable[Response]],
        tokens: Credentials,
        echoes: EchoDetector,
        patience: ShutdownScope,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._tokens = tokens
        self._echoes = echoes
        self._patience = patience
        self._limits = limits
        self._clock = clock
        self._signatures: dict[Address, tuple[float, str]] = {}

    def clear(self) -> None:
        """All momentary ids are new."""
        self._signatures.clear()

    async def send(self, to: Address, part: Part, may: Callable[[], bool]) -> Outcome | NotSent | None:
        """Send a part, or say why the session or the network is doubted and nothing was sent.

        None where it may not be sent any more.
        """
        if not to.id.isdecimal():
            return Outcome(Status.FAILED, "upstream.denied", f"{to.id!r} is no id of SmartQQ's")
        signature, session = "", self._tokens.psessionid
        if to.kind is ChatKind.TEMP:
            permitted = await self._signature(to, may)
            if not isinstance(permitted, str):
                return permitted
            signature = permitted
        if not session or self._tokens.psessionid != session:
            return NotSent()  # these ids belong to the session before
        self._echoes.remember(to, decode_sent(part.content), part.message_id, self._clock())
        request = endpoints.send(self._tokens, to, part.content, int(part.message_id), signature)
        try:
            answer = await self._deliver(request, may)
        except TransportError as exc:
            return outcome_of_error(exc) if exc.may_have_sent else NotSent(outcome_of_error(exc))
        return None if answer is None else _outcome(answer)

    async def _deliver(self, request: Request, may: Callable[[], bool]) -> Response | None:
        """Post, again only for as long as nothing has left and somebody is patient. Raises TransportError.

        None where it may not.
        """
        delays = islice(backoff(random.random, first=self._limits.resend_first), self._limits.resends - 1)
        while may():
            try:
                return await self._ask(request)
            except TransportError as exc:
                pause = next(delays, None)
                if exc.may_have_sent or pause is None:
                    raise
                await self._patience.run(anyio.sleep(pause))
                if self._patience.is_shutting_down:
                    raise
        return None

    async def _signature(self, to: Address, may: Callable[[], bool]) -> str | Outcome | NotSent | None:
        """The permission to speak to a stranger, the outcome if there is none, or doubt (4.5)."""
        now = self._clock()
        taken, value = self._signatures.get(to, (0.0, ""))
        if value and now - taken < self._limits.temp_session_ttl:
            return value
        try:
            answer = await self._deliver(endpoints.signature(self._tokens, to, now), may)
            if answer is None:
                return None
            reply = parse_json(answer)
        except (TransportError, ProtocolError) as exc:
            # Only the permission was asked for: the message has not left.
            refusal = Outcome(Status.FAILED, "upstream.denied", str(exc))
            return NotSent(refusal) if isinstance(exc, TransportError) else refusal
        code = return_code(reply) if answer.status == HTTPStatus.OK else answer.status
        if code in SESSION_INVALID:
            return NotSent(rejected(f"get_c2cmsg_sig2: {code} {error_message(reply)}"))
        given = mapping(reply.get("result")).get("value")
        if code != OK or not isinstance(given, str) or not given:
            return Outcome(Status.FAILED, "upstream.denied", f"no temporary conversation possible: {code}")
        self._signatures = {key: kept for key, kept in self._signatures.items() if key != to}
        if len(self._signatures) >= SIGNATURES:
            self._signatures.clear()
        self._signatures[to] = (now, given)
        return given


def _outcome(answer: Response) -> Outcome | NotSent:
    done = outcome(answer)
    if done is None:
        reply = parse_json(answer)
        return NotSent(rejected(f"{return_code(reply, 'errCode', 'retcode')} {error_message(reply)}"))
    return done
