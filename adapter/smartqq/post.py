"""Carries one message out: the permission a stranger needs, tries to connect, what came of it."""

import random
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import anyio

from adapter.errors import ProtocolError, TransportError
from adapter.events import Address, ChatKind, Outcome, Part, Status
from adapter.smartqq import calls
from adapter.smartqq.content import spoken_in
from adapter.smartqq.echo import Echoes
from adapter.smartqq.limits import Limits
from adapter.smartqq.protocol import OK, Answer, Request, code_of, load, mapping, said
from adapter.smartqq.sending import SESSION, broken, outcome, rejected
from adapter.smartqq.tokens import Tokens
from adapter.upstream import backoff


class Post:
    """Sends parts. Never raises for a refusal: a refusal is an Outcome."""

    def __init__(
        self,
        ask: Callable[[Request], Awaitable[Answer]],
        tokens: Tokens,
        echoes: Echoes,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._tokens = tokens
        self._echoes = echoes
        self._limits = limits
        self._clock = clock
        self._signatures: dict[Address, tuple[float, str]] = {}
        self._refusal = rejected("not logged in")

    def forget(self) -> None:
        """All momentary ids are new."""
        self._signatures.clear()

    @property
    def refusal(self) -> Outcome:
        """The outcome of a message for which `send` gave None, where nothing can be mended."""
        return self._refusal

    async def send(self, to: Address, part: Part) -> Outcome | None:
        """Send a part, or None if the session or the network is doubted and nothing was sent."""
        if not to.id.isdecimal():
            return Outcome(Status.FAILED, "upstream.denied", f"{to.id!r} is no id of SmartQQ's")
        signature, session = "", self._tokens.psessionid
        if to.kind is ChatKind.TEMP:
            permitted = await self._signature(to)
            if not isinstance(permitted, str):
                return permitted
            signature = permitted
        if not session or self._tokens.psessionid != session:
            return None  # these ids belong to the session before
        self._echoes.remember(to, spoken_in(part.content), self._clock())
        request = calls.send(self._tokens, to, part.content, int(part.message_id), signature)
        try:
            answer = await self._deliver(request)
        except TransportError as exc:
            self._refusal = broken(exc)
            return self._refusal if exc.sent else None
        done = outcome(answer)
        if done is None:
            reply = load(answer)
            self._refusal = rejected(f"{code_of(reply, 'errCode', 'retcode')} {said(reply)}")
        return done

    async def _deliver(self, request: Request) -> Answer:
        """Post, again only for as long as nothing has left. Raises TransportError."""
        delays = backoff(random.random, first=self._limits.resend_first)
        for _ in range(self._limits.resends - 1):
            try:
                return await self._ask(request)
            except TransportError as exc:
                if exc.sent:
                    raise
            await anyio.sleep(next(delays))
        return await self._ask(request)

    async def _signature(self, to: Address) -> str | Outcome | None:
        """The permission to speak to a stranger, the outcome if there is none, None for doubt (4.5)."""
        now = self._clock()
        taken, value = self._signatures.get(to, (0.0, ""))
        if value and now - taken < self._limits.signature:
            return value
        try:
            answer = await self._deliver(calls.signature(self._tokens, to, now))
            reply = load(answer)
        except (TransportError, ProtocolError) as exc:
            # Only the permission was asked for: the message has not left.
            self._refusal = Outcome(Status.FAILED, "upstream.denied", str(exc))
            return None if isinstance(exc, TransportError) else self._refusal
        code = code_of(reply) if answer.status == HTTPStatus.OK else answer.status
        if code in SESSION:
            self._refusal = rejected(f"get_c2cmsg_sig2: {code} {said(reply)}")
            return None
        given = mapping(reply.get("result")).get("value")
        if code != OK or not isinstance(given, str) or not given:
            return Outcome(Status.FAILED, "upstream.denied", f"no temporary conversation possible: {code}")
        self._signatures = {key: kept for key, kept in self._signatures.items() if key != to}
        if len(self._signatures) >= SIGNATURES:
            self._signatures.clear()
        self._signatures[to] = (now, given)
        return given


SIGNATURES = 200
"""Permissions kept: more strangers at a time than anybody talks to."""
