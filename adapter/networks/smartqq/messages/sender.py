"""Carries one message out: the permission a stranger needs, tries to connect, what came of it."""

import random
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from itertools import islice

import anyio

from adapter.errors import ProtocolError, TransportError
from adapter.events import Address, ChatKind, Outcome, Part, Status
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.messages.echo import Echoes
from adapter.networks.smartqq.protocol.content import spoken_in
from adapter.networks.smartqq.protocol.parsing import OK, Answer, Request, code_of, load, mapping, said
from adapter.networks.smartqq.session.credentials import Tokens
from adapter.networks.smartqq.shutdown import Patience
from adapter.networks.upstream import backoff
from adapter.smartqq.sending import SESSION, Doubt, broken, outcome, rejected


class Post:
    """Sends parts. Never raises for a refusal: a refusal is an Outcome."""

    def __init__(
        self,
        ask: Callable[[Request], Awaitable[Answer]],
        tokens: Tokens,
        echoes: Echoes,
        patience: Patience,
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

    def forget(self) -> None:
        """All momentary ids are new."""
        self._signatures.clear()

    async def send(self, to: Address, part: Part, may: Callable[[], bool]) -> Outcome | Doubt | None:
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
            return Doubt()  # these ids belong to the session before
        self._echoes.remember(to, spoken_in(part.content), self._clock())
        request = endpoints.send(self._tokens, to, part.content, int(part.message_id), signature)
        try:
            answer = await self._deliver(request, may)
        except TransportError as exc:
            return broken(exc) if exc.sent else Doubt(broken(exc))
        return None if answer is None else _outcome(answer)

    async def _deliver(self, request: Request, may: Callable[[], bool]) -> Answer | None:
        """Post, again only for as long as nothing has left and somebody is patient. Raises TransportError.

        None where it may not.
        """
        delays = islice(backoff(random.random, first=self._limits.resend_first), self._limits.resends - 1)
        while may():
            try:
                return await self._ask(request)
            except TransportError as exc:
                pause = next(delays, None)
                if exc.sent or pause is None:
                    raise
                await self._patience.hold(anyio.sleep(pause))
                if self._patience.ended:
                    raise
        return None

    async def _signature(self, to: Address, may: Callable[[], bool]) -> str | Outcome | Doubt | None:
        """The permission to speak to a stranger, the outcome if there is none, or doubt (4.5)."""
        now = self._clock()
        taken, value = self._signatures.get(to, (0.0, ""))
        if value and now - taken < self._limits.signature:
            return value
        try:
            answer = await self._deliver(endpoints.signature(self._tokens, to, now), may)
            if answer is None:
                return None
            reply = load(answer)
        except (TransportError, ProtocolError) as exc:
            # Only the permission was asked for: the message has not left.
            refusal = Outcome(Status.FAILED, "upstream.denied", str(exc))
            return Doubt(refusal) if isinstance(exc, TransportError) else refusal
        code = code_of(reply) if answer.status == HTTPStatus.OK else answer.status
        if code in SESSION:
            return Doubt(rejected(f"get_c2cmsg_sig2: {code} {said(reply)}"))
        given = mapping(reply.get("result")).get("value")
        if code != OK or not isinstance(given, str) or not given:
            return Outcome(Status.FAILED, "upstream.denied", f"no temporary conversation possible: {code}")
        self._signatures = {key: kept for key, kept in self._signatures.items() if key != to}
        if len(self._signatures) >= SIGNATURES:
            self._signatures.clear()
        self._signatures[to] = (now, given)
        return given


def _outcome(answer: Answer) -> Outcome | Doubt:
    done = outcome(answer)
    if done is None:
        reply = load(answer)
        return Doubt(rejected(f"{code_of(reply, 'errCode', 'retcode')} {said(reply)}"))
    return done


SIGNATURES = 200
"""Permissions kept: more strangers at a time than anybody talks to."""
