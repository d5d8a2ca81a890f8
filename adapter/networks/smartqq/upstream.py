"""Offer SmartQQ as an Upstream."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Self

import anyio

from adapter.codec.request_body import DEFAULT_LIMITS
from adapter.config import Config
from adapter.content import Font, Image, Segment
from adapter.errors import TransportError
from adapter.events import Address, Batch, ImageData, Outcome, Part
from adapter.i18n import N_
from adapter.networks.smartqq.components import assemble
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.messages.sender import NotSent, message_ids
from adapter.networks.smartqq.protocol.content import encode
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session_manager import SessionManager
from adapter.networks.upstream import Traits


class SmartQQUpstream:
    """One account on SmartQQ: `async with SmartQQUpstream(config) as upstream`.

    `limits` and `clock` are for tests.
    """

    network = "smartqq"
    traits = Traits(
        has_permanent_ids=False,
        # A part that is sent again with its number is recognised as a copy.
        has_idempotent_sends=True,
        keeps_events_while_away=True,
        request_limits=DEFAULT_LIMITS,
        send_interval_seconds=3.0,
    )

    def __init__(
        self, config: Config, *, limits: Limits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._limits = limits or Limits()
        self._clock = clock
        self._message_ids = message_ids(clock())
        self._step: anyio.CancelScope | None = None
        self._is_stopped = False
        self._assemble(Credentials())

    def _assemble(self, credentials: Credentials) -> None:
        self._components = assemble(self._config, self._limits, self._clock, credentials)
        self._manager = SessionManager(self._components)

    async def __aenter__(self) -> Self:
        self._assemble(self._components.store.load(self._clock()))
        await self._components.transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._components.store.save(self._components.credentials)
        await self._components.transport.__aexit__(kind, error, trace)

    # --- receiving ---

    async def events(self) -> AsyncGenerator[Batch, None]:
        """Yield events by batch; an empty one for a poll without messages.

        Does not raise LoginRefused: a SessionChange reports it, and `login` tries again.
        """
        while not self._is_stopped:
            with anyio.CancelScope() as step:
                self._step = step
                batch = await self._manager.step()
            if step.cancelled_caught:
                return
            yield batch

    def stop_receiving(self) -> None:
        """End `events` after the answer that is on its way; `send` no longer waits for a session."""
        self._is_stopped = True
        self._components.shutdown.shut_down()
        if not self._components.poller.abort() and self._step is not None:
            self._step.cancel()

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        await self._manager.connected()

    # --- sending ---

    def split(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages, each with its id. Raises SchemaError."""
        return tuple(Part(content, str(next(self._message_ids))) for content in encode(segments, font))

    async def send(
        self, to: Address, part: Part, *, answers: str = "", may_send: Callable[[], bool]
    ) -> Outcome | None:
        """Send one part, again after the repair of a session that the server refused.

        SmartQQ knows no quotations: `answers` is not used.

        Returns None if nothing was sent and the address has to be resolved again: `may_send()` is false,
        there is no session, or the ids have changed.
        """
        del answers
        manager, contacts, sender = self._manager, self._components.contacts, self._components.sender
        roster, before = contacts.roster, contacts.roster.find(to)
        if not manager.is_ready and not (await manager.ensure_session() and contacts.roster is roster):
            return None
        outcome = await sender.send(to, part, may_send)
        if isinstance(outcome, NotSent) and await manager.ensure_session():
            after = contacts.roster.find(to)
            # After a login an id may belong to another contact: the same id must have the same name.
            is_same = before is not None and after is not None and after.name == before.name
            if contacts.roster is not roster and not is_same:
                return None
            outcome = await sender.send(to, part, may_send)
        if not isinstance(outcome, NotSent):
            return outcome
        # During a shutdown nothing repairs the session: the refusal is not final.
        is_final = manager.is_ready and not self._components.shutdown.is_shutting_down
        return outcome.refusal if is_final else None

    # --- commands ---

    async def login(self) -> None:
        """Request a fresh QR code, or another attempt with the password. Nothing to do while online."""
        self._manager.request_login()

    async def logout(self) -> None:
        """Log out, and stay so until `login`."""
        self._manager.request_logout()

    async def submit_captcha(self, text: str) -> None:
        """Pass on what a person read in a captcha's picture."""
        self._components.requests.submit_captcha(text)

    async def probe(self) -> bool:
        """Return whether the server knows the session; a lost one is repaired first."""
        return await self._manager.ensure_session()

    async def reconnect(self) -> None:
        """Open the session again, even if it looks valid."""
        self._manager.invalidate()

    async def refresh_contacts(self) -> None:
        """Load all contacts again; they arrive after the open poll."""
        if self._manager.is_ready:
            await self._components.contacts.refresh()

    async def fetch_image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """Fetch a segment's picture; `upstream` is that field of its message. Raises UpstreamError."""
        self._require_session()
        return await self._components.media.fetch(image, upstream)

    async def set_presence(self, status: str) -> None:
        """Show the account as online, away, busy, hidden, callme or silent. Raises UpstreamError."""
        self._require_session()
        await self._components.session.set_presence(status)

    def _require_session(self) -> None:
        if not self._manager.is_ready:
            raise TransportError(
                N_("there is no session at this moment; try again when online"), may_have_sent=False
            )
