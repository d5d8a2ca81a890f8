"""Leads a login conversation: does what it yields and hands on what it has to tell."""

import logging
import random
from dataclasses import replace

import anyio

from adapter.aio import backoff
from adapter.errors import TransportError
from adapter.events import SessionChange, SessionState
from adapter.networks.smartqq.client.transport import HttpTransport
from adapter.networks.smartqq.login.flow import AwaitCaptcha, Input, LoginContext, LoginFlow, Sleep
from adapter.networks.smartqq.login.qr_image import decode_qr
from adapter.networks.smartqq.login.stages import LoginResult, Stage, login_flow
from adapter.networks.smartqq.protocol.http import Request, Response
from adapter.networks.smartqq.session_requests import SessionRequests

log = logging.getLogger(__name__)


class LoginRunner:
    """One conversation at a time. `desk` is what they work with."""

    def __init__(self, desk: LoginContext, client: HttpTransport, wishes: SessionRequests) -> None:
        self.context = desk
        self._client = client
        self._wishes = wishes
        self._talk: LoginFlow[LoginResult] | None = None

    def start(self, stage: Stage) -> None:
        """Start over from this stage on."""
        self._talk = login_flow(self.context, stage)

    def cancel(self) -> None:
        """Leave the conversation."""
        self._talk = None

    async def advance(self) -> SessionChange | LoginResult | None:
        """Its next word: a change to tell, the arrival, or None if somebody wants to leave.

        Raises LoginRefused, TransportError, ProtocolError.
        """
        if self._talk is None:
            self.start(Stage.PROBE)
        talk = self._talk
        reply: Input = None
        while talk is not None and not self._wishes.leaving:
            try:
                step = talk.send(reply)
            except StopIteration as done:
                arrival: LoginResult = done.value
                return arrival
            match step:
                case SessionChange():
                    if step.state is SessionState.CAPTCHA:
                        self._wishes.clear_captcha()
                    return _with_qr_text(step)
                case Sleep(seconds):
                    reply = await self._wishes.sleep(seconds)
                case AwaitCaptcha(seconds):
                    reply = await self._wishes.wait_captcha(seconds)
                case Request():
                    reply = await self._request_with_retry(step)
        return None

    async def _request_with_retry(self, request: Request) -> Response:
        """A call of the login, tried again where no answer came. Raises TransportError."""
        limits = self.context.limits
        delays = backoff(random.random, first=limits.retry_first)
        for _ in range(limits.tries - 1):
            try:
                return await self._client.request(request)
            except TransportError as exc:
                log.info("%s; trying again", exc)
            await anyio.sleep(next(delays))
        return await self._client.request(request)


def _with_qr_text(change: SessionChange) -> SessionChange:
    """The change with its QR code read."""
    if change.state is not SessionState.QR or change.challenge is None:
        return change
    return replace(change, challenge=replace(change.challenge, text=decode_qr(change.challenge.picture)))
