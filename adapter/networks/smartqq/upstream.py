"""SmartQQ as an Upstream: what the corridors call, and how the parts of this door hang together."""

import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Self

import anyio

from adapter.config import Config
from adapter.errors import TransportError
from adapter.events import Address, Batch, Font, Image, ImageData, Outcome, Part, Segment
from adapter.networks.smartqq.client.transport import HttpTransport
from adapter.networks.smartqq.components import Components
from adapter.networks.smartqq.contacts.loader import ContactLoader
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.login.flow import LoginContext
from adapter.networks.smartqq.login.runner import LoginRunner
from adapter.networks.smartqq.messages.echo import EchoDetector
from adapter.networks.smartqq.messages.media import MediaClient
from adapter.networks.smartqq.messages.receiver import MessageReceiver
from adapter.networks.smartqq.messages.sender import MessageSender, NotSent, message_ids
from adapter.networks.smartqq.protocol.content import encode
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session.store import SessionStore
from adapter.networks.smartqq.session_manager import SessionManager
from adapter.networks.smartqq.session_requests import SessionRequests
from adapter.networks.smartqq.shutdown import ShutdownScope

log = logging.getLogger(__name__)


class SmartQQUpstream:
    """One account on SmartQQ. Use it as `async with SmartQQ(config) as upstream`.

    `limits` and `clock` are for tests.
    """

    network = "smartqq"

    def __init__(
        self, config: Config, *, limits: Limits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._config = config
        self._limits = limits or Limits()
        self._clock = clock
        self._numbers = message_ids(clock())
        self._works = self._assemble(Credentials())
        self._driver = SessionManager(self._works)
        self._step: anyio.CancelScope | None = None
        self._ended = False

    def _assemble(self, tokens: Credentials) -> Components:
        """All parts, around this login."""
        config, limits, clock = self._config, self._limits, self._clock
        client = HttpTransport(tokens.jar, limits, clock, config.smartqq_url)
        echoes, wishes, patience = EchoDetector(limits.echo), SessionRequests(), ShutdownScope()
        roster = ContactLoader(client.request, tokens, limits, clock)
        desk = LoginContext(
            tokens,
            limits,
            clock,
            random.random,
            secrets.token_bytes,
            by_password=config.login == "password",
            account=config.account,
            password=config.password,
        )
        return Components(
            tokens=tokens,
            client=client,
            roster=roster,
            hearing=MessageReceiver(roster, echoes, tokens, clock=clock, keep_raw=config.include_raw),
            echoes=echoes,
            post=MessageSender(client.request, tokens, echoes, patience, limits, clock),
            usher=LoginRunner(desk, client, wishes),
            wishes=wishes,
            patience=patience,
            file=SessionStore(config.state_dir),
            limits=limits,
            clock=clock,
        )

    async def __aenter__(self) -> Self:
        self._works = self._assemble(self._works.file.load(self._clock()))
        self._driver = SessionManager(self._works)
        await self._works.client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._works.file.save(self._works.tokens)
        await self._works.client.__aexit__(kind, error, trace)

    # --- receiving ---

    async def events(self) -> AsyncGenerator[Batch, None]:
        """Everything that happens, batch by batch; an empty one for a poll that brought nothing.

        Does not raise LoginRefused: it says so in a SessionChange and waits for `login`.
        """
        while not self._ended:
            with anyio.CancelScope() as step:
                self._step = step
                batch = await self._driver.step()
            if step.cancelled_caught:
                return
            yield batch

    def stop_receiving(self) -> None:
        """No more is wanted: `events` ends, after what is on its way, and `send` waits for no session."""
        self._ended = True
        self._works.patience.shut_down()
        if not self._works.client.abort_poll() and self._step is not None:
            self._step.cancel()

    async def connected(self) -> None:
        """Wait until messages can be sent: online, and the contacts told."""
        await self._driver.connected()

    # --- sending ---

    def split(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages, each with its number. Raises SchemaError."""
        return tuple(Part(content, str(next(self._numbers))) for content in encode(segments, font))

    async def send(self, to: Address, part: Part, may_send: Callable[[], bool]) -> Outcome | None:
        """Send one message to momentary ids; a doubted session is mended and the message sent again.

        None where it may not leave, or that takes a session that is not there or not mended any more, or ids
        that are new.
        """
        driver, contacts, post = self._driver, self._works.roster, self._works.post
        roster, before = contacts.roster, contacts.roster.find(to)
        if not driver.ready and not (await driver.ensure_session() and contacts.roster is roster):
            return None
        outcome = await post.send(to, part, may_send)
        if isinstance(outcome, NotSent) and await driver.ensure_session():
            after = contacts.roster.find(to)
            # Ids may be new: only where the same one still has the same name is it the same person.
            same = before is not None and after is not None and after.name == before.name
            if contacts.roster is not roster and not same:
                return None
            outcome = await post.send(to, part, may_send)
        if not isinstance(outcome, NotSent):
            return outcome
        # Behind a hang-up nobody has tried to mend it: that it is refused is not the last word.
        return outcome.refusal if driver.ready and not self._works.patience.is_shutting_down else None

    # --- commands ---

    async def login(self) -> None:
        """Ask for a fresh QR code, or try the password again. Nothing to do while online."""
        if self._driver.accepts_login:
            self._works.wishes.request_login()

    async def logout(self) -> None:
        """Leave, and stay away until `login`."""
        self._works.wishes.request_logout()
        self._works.client.abort_poll()

    async def submit_captcha(self, text: str) -> None:
        """What a person read in the picture of a `captcha`."""
        self._works.wishes.submit_captcha(text)

    async def probe(self) -> bool:
        """Whether upstream knows this session; one that is lost is mended before this returns."""
        return await self._driver.ensure_session()

    async def reconnect(self) -> None:
        """Open the session again, though it looks well."""
        self._driver.invalidate()

    async def refresh_contacts(self) -> None:
        """Load all contacts again; they arrive after the poll that is out."""
        if not self._driver.ready:
            return
        await self._works.roster.refresh()

    # --- on demand; raises UpstreamError where it cannot be had ---

    @property
    def _extras(self) -> MediaClient:
        works = self._works
        if not self._driver.ready:
            raise TransportError("there is no session at this moment", sent=False)
        return MediaClient(works.client.request, works.tokens, works.roster, self._limits, self._clock)

    async def fetch_image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """The picture of a segment, with `upstream` of the message it stood in."""
        return await self._extras.image(image, upstream)

    async def set_presence(self, status: str) -> None:
        """Be seen as online, away, busy, hidden, callme or silent."""
        await self._extras.change_status(status)
        self._works.file.save(self._works.tokens)
