"""Leads a login conversation: does what it yields and hands on what it has to tell."""

import logging
import random
from dataclasses import replace

import anyio

from adapter.aio import backoff
from adapter.errors import TransportError
from adapter.events import SessionChange, SessionState
from adapter.networks.smartqq.client.transport import Client
from adapter.networks.smartqq.login.flow import Ask, Desk, Reply, Talk, Wait
from adapter.networks.smartqq.login.qr_image import read_code
from adapter.networks.smartqq.login.stages import Arrival, Stage, come_online
from adapter.networks.smartqq.protocol.http import Answer, Request
from adapter.networks.smartqq.session_requests import Wishes

log = logging.getLogger(__name__)


class Usher:
    """One conversation at a time. `desk` is what they work with."""

    def __init__(self, desk: Desk, client: Client, wishes: Wishes) -> None:
        self.desk = desk
        self._client = client
        self._wishes = wishes
        self._talk: Talk[Arrival] | None = None

    def begin(self, stage: Stage) -> None:
        """Start over from this stage on."""
        self._talk = come_online(self.desk, stage)

    def drop(self) -> None:
        """Leave the conversation."""
        self._talk = None

    async def next(self) -> SessionChange | Arrival | None:
        """Its next word: a change to tell, the arrival, or None if somebody wants to leave.

        Raises LoginRefused, TransportError, ProtocolError.
        """
        if self._talk is None:
            self.begin(Stage.PROBE)
        talk = self._talk
        reply: Reply = None
        while talk is not None and not self._wishes.leaving:
            try:
                step = talk.send(reply)
            except StopIteration as done:
                arrival: Arrival = done.value
                return arrival
            match step:
                case SessionChange():
                    if step.state is SessionState.CAPTCHA:
                        self._wishes.blank()
                    return _legible(step)
                case Wait(seconds):
                    reply = await self._wishes.rest(seconds)
                case Ask(seconds):
                    reply = await self._wishes.typed(seconds)
                case Request():
                    reply = await self._insist(step)
        return None

    async def _insist(self, request: Request) -> Answer:
        """A call of the login, tried again where no answer came. Raises TransportError."""
        limits = self.desk.limits
        delays = backoff(random.random, first=limits.retry_first)
        for _ in range(limits.tries - 1):
            try:
                return await self._client.perform(request)
            except TransportError as exc:
                log.info("%s; trying again", exc)
            await anyio.sleep(next(delays))
        return await self._client.perform(request)


def _legible(change: SessionChange) -> SessionChange:
    """The change with its QR code read."""
    if change.state is not SessionState.QR or change.challenge is None:
        return change
    return replace(change, challenge=replace(change.challenge, text=read_code(change.challenge.picture)))
