"""Drive a login flow: perform what it yields and return what it reports."""

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
    """Run one login flow at a time."""

    def __init__(self, context: LoginContext, transport: HttpTransport, requests: SessionRequests) -> None:
        self._context = context
        self._transport = transport
        self._requests = requests
        self._flow: LoginFlow[LoginResult] | None = None

    def start(self, stage: Stage) -> None:
        """Begin a new flow at this stage."""
        self._flow = login_flow(self._context, stage)

    def cancel(self) -> None:
        """Drop the flow; `advance` begins a new one at the first stage."""
        self._flow = None

    def reset_attempts(self) -> None:
        """Show QR codes at the quick interval again: a person is present."""
        self._context.qr_shown = 0

    async def advance(self) -> SessionChange | LoginResult | None:
        """Run the flow to its next report or its end; None if a logout is requested.

        Raises LoginRefused, TransportError, ProtocolError.
        """
        if self._flow is None:
            self.start(Stage.PROBE)
        flow = self._flow
        value: Input = None
        while flow is not None and not self._requests.is_logout_requested:
            try:
                action = flow.send(value)
            except StopIteration as done:
                result: LoginResult = done.value
                return result
            match action:
                case SessionChange():
                    if action.state is SessionState.CAPTCHA:
                        self._requests.clear_captcha()
                    return _with_qr_text(action)
                case Sleep(seconds):
                    value = await self._requests.sleep(seconds)
                case AwaitCaptcha(seconds):
                    value = await self._requests.wait_captcha(seconds)
                case Request():
                    value = await self._request_with_retry(action)
        return None

    async def _request_with_retry(self, request: Request) -> Response:
        """Send a request of the login, again where no answer comes. Raises TransportError."""
        limits = self._context.limits
        delays = backoff(random.random, first=limits.retry_first)
        for _ in range(limits.login_attempts - 1):
            try:
                return await self._transport.request(request)
            except TransportError as exc:
                log.info("%s; trying again", exc)
            await anyio.sleep(next(delays))
        return await self._transport.request(request)


def _with_qr_text(change: SessionChange) -> SessionChange:
    """Return the change with the text of its QR code."""
    if change.state is not SessionState.QR or change.challenge is None:
        return change
    return replace(change, challenge=replace(change.challenge, text=decode_qr(change.challenge.picture)))
