"""The official API as an Upstream: a bot of Tencent's, through its gateway and its REST API."""

import itertools
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio

from adapter.aio import AutoResetEvent
from adapter.codec.request_body import RequestLimits
from adapter.content import Font, Image, Segment
from adapter.errors import TransportError, UpstreamError
from adapter.events import Address, Batch, Gap, ImageData, Operation, Outcome, Part, Recall, Status
from adapter.networks.inbox import Inbox
from adapter.networks.official.anchor_book import AnchorBook
from adapter.networks.official.binder import Binder
from adapter.networks.official.client.api import Api
from adapter.networks.official.client.errors import AccessRefusedError
from adapter.networks.official.client.http import HttpClient
from adapter.networks.official.client.tokens import TokenSource
from adapter.networks.official.credentials_file import CredentialsFile
from adapter.networks.official.gaps import GapTracker
from adapter.networks.official.hosts import Hosts
from adapter.networks.official.interactions import Acknowledger
from adapter.networks.official.limits import Limits
from adapter.networks.official.pacing import ProactivePacer
from adapter.networks.official.protocol.binding import BotCredentials, check_cryptography
from adapter.networks.official.protocol.encoding import encode_parts
from adapter.networks.official.protocol.frames import GatewaySession
from adapter.networks.official.protocol.keys import choose_part_ids
from adapter.networks.official.receiver import Item, Receiver, opened_session, split_at_sessions
from adapter.networks.official.sender import MessageSender
from adapter.networks.official.session_manager import SessionManager
from adapter.networks.official.store import OfficialStore
from adapter.networks.upstream import Traits

log = logging.getLogger(__name__)

# Bytes of a request, and of its text: four parts of the largest size.
_LIMITS: Final = RequestLimits(body_bytes=256 * 1024, content_bytes=36_000)
_NO_LISTS: Final = "this network gives no lists of members: a contact is known once it was met"


class OfficialUpstream:
    """One bot. Use it as `async with OfficialUpstream(…) as upstream`.

    `credentials` are None for a bot that is bound by scanning; then opening it raises ConfigError if the
    library for that is missing. `limits` and clocks are for tests.
    """

    network = "official"
    traits = Traits(
        has_permanent_ids=True,
        has_idempotent_sends=True,
        keeps_events_while_away=True,
        request_limits=_LIMITS,
        send_interval_seconds=0.2,
        instead={
            "members": _NO_LISTS,
            "presence": "a bot is online while the adapter runs",
            "op": "the official API recalls messages; it approves no requests and has no actions to call",
        },
    )

    def __init__(
        self,
        hosts: Hosts,
        credentials: BotCredentials | None,
        state_dir: Path,
        *,
        intents: int,
        keep_raw: bool = False,
        limits: Limits | None = None,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits = limits or Limits()
        self._clock = clock
        self._given = credentials
        self._file = CredentialsFile(state_dir)
        self._numbers = itertools.count(int(wall() * 1000))
        self._store = OfficialStore(state_dir)
        self._book = AnchorBook(self._store)
        self._http = HttpClient(limits)
        self._tokens = TokenSource(self._http, hosts.token, limits, clock)
        self._api = Api(self._http, self._tokens, hosts.api, limits)
        self._inbox: Inbox[Item] = Inbox(max_bytes=limits.inbox_bytes, batch=limits.batch)
        self._tracker = GapTracker(None)
        self._receiver = Receiver(self._tracker, keep_raw=keep_raw)
        self._session = SessionManager(
            self._api,
            self._tokens,
            self._inbox,
            self._tracker,
            limits,
            intents=intents,
            wall=wall,
            clock=clock,
        )
        self._binder = Binder(self._http, hosts.portal, self._session, limits, wall=wall, random=os.urandom)
        self._sender = MessageSender(
            self._api, self._book, ProactivePacer(limits, clock), limits, self._session.reconnect
        )
        self._acknowledger = Acknowledger(self._api, limits)
        self._listed_at: float | None = None
        self._kept: tuple[GatewaySession | None, float | None] = (None, None)
        self.session_begun = AutoResetEvent()
        # Where another adapter stopped, and whether that is known by now.
        self._former: Mapping[str, str] = {}
        self._is_started = anyio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._given is None and self._file.load() is None:
            check_cryptography()
        self._stack.enter_context(self._store)
        await self._stack.enter_async_context(self._http)
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(tasks.cancel_scope.cancel)
        self._acknowledger.start(tasks)
        tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        """Bind the bot where need be, then keep its connection."""
        await self._is_started.wait()
        credentials = self._given or self._file.load()
        while not self._session.is_stopping:
            credentials = credentials or await self._bind()
            if credentials is None:
                await self._session.wait_login()
                continue
            await self._keep(credentials)
            credentials = self._given

    async def _bind(self) -> BotCredentials | None:
        credentials = await self._binder.bind()
        if credentials is not None:
            self._file.save(credentials)
        return credentials

    async def _keep(self, credentials: BotCredentials) -> None:
        self._tokens.use(credentials)
        self._store.use_bot(credentials.appid)
        self._book.load()
        session, self._tracker.heard = self._load_position(credentials.appid)
        self._receiver.account = credentials.appid
        self._receiver.position = session
        self._book.has_new_contacts = True
        await self._session.run(credentials.appid, session, self._store.load_gap())

    # --- handover ----------------------------------------------------------------------------------

    def position(self) -> Mapping[str, str]:
        """Return where the session goes on behind the last stored event; {} before there is one."""
        session, heard = self._kept
        if session is None or heard is None:
            return {}
        return {
            "appid": self._receiver.account,
            "owner": self._store.owner(),
            "session": session.id,
            "seq": str(session.seq),
            "heard": str(heard),
        }

    def note_position(self, position: Mapping[str, str]) -> None:
        """Go on where another adapter stopped. What this one has on disk itself is newer or the same."""
        self._former = position

    def _load_position(self, appid: str) -> tuple[GatewaySession | None, float | None]:
        former = self._former
        if former.get("appid") == appid and former.get("owner") != self._store.owner():
            try:
                session = GatewaySession(former["session"], int(former["seq"]))
                return session, float(former["heard"])
            except (KeyError, ValueError) as exc:
                log.warning("the position of another adapter cannot be read: %s", type(exc).__name__)
        return self._store.load_session()

    # --- receiving ---------------------------------------------------------------------------------

    async def events(self) -> AsyncGenerator[Batch, None]:
        """Yield what has come, up to 100 events at once; an empty batch if nothing came.

        To ask for the next batch says that the last one is on disk: only then the gateway's session goes on
        behind it for the next process.
        """
        self._is_started.set()
        while True:
            items = await self._inbox.take(self._limits.idle_seconds)
            if not items and self._inbox.is_closed:
                return
            for part in split_at_sessions(items):
                batch = self._receiver.decode(part)
                gap = next((one for one in batch if isinstance(one, Gap)), None)
                if (opened := opened_session(part)) is not None:
                    # Killed before this part is stored, the next process resumes the new session.
                    self._store.begin_session(opened, self._tracker.heard, gap)
                self._book.observe(batch)
                yield batch + self._new_contacts()
                self._keep_position()
                self._acknowledger.acknowledge(self._receiver.interactions)
                if gap is not None:
                    self._store.forget_gap()
            self._inbox.release()

    def _keep_position(self) -> None:
        kept = (self._receiver.position, self._tracker.heard)
        if kept != self._kept and self._receiver.account:
            if kept[0] is not None and (self._kept[0] is None or self._kept[0].id != kept[0].id):
                self.session_begun.set()
            self._kept = kept
            self._store.save_session(*kept)
            self._session.stored = kept[0]

    def _new_contacts(self) -> Batch:
        """Return the lists of those that were met, if they have changed, but not too often."""
        now = self._clock()
        is_due = self._listed_at is None or now - self._listed_at >= self._limits.contacts_seconds
        if not (self._book.has_new_contacts and is_due):
            return ()
        self._listed_at = now
        lists = self._book.contact_lists()
        return lists if any(one.contacts for one in lists) else ()

    def stop_receiving(self) -> None:
        """Take no more events; `events` ends after what has been received."""
        self._inbox.close()
        self._session.stop()

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        await self._session.connected()

    # --- sending -----------------------------------------------------------------------------------

    def split(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages. Raises SchemaError. The network has no fonts."""
        del font
        contents = encode_parts(segments, self._book.openid_of, self._book.reference_of)
        ids = choose_part_ids(self._numbers, len(contents))
        return tuple(Part(content, part_id) for content, part_id in zip(contents, ids, strict=True))

    def is_due(self, to: Address, answers: str) -> bool:
        """Whether a message may leave now: one that answers nothing is paced by itself."""
        return self._sender.is_due(to, answers)

    async def send(
        self, to: Address, part: Part, *, answers: str = "", may_send: Callable[[], bool]
    ) -> Outcome | None:
        """Send one part. None: nothing has left; it is to be sent again when there is a session."""
        if not self._session.is_online:
            return None
        return await self._sender.send(to, part, answers, may_send)

    def is_paced(self, operation: Operation) -> bool:
        """Whether an operation counts as a message for the pace of the account."""
        del operation
        return False

    async def perform(self, operation: Operation, may_send: Callable[[], bool]) -> Outcome | None:
        """Recall a message. None: nothing has left."""
        if not isinstance(operation, Recall):
            return Outcome(Status.FAILED, "content.unsupported", self.traits.instead["op"])
        return await self._sender.recall(operation, may_send)

    # --- commands ----------------------------------------------------------------------------------

    async def login(self) -> None:
        """Connect again; a bot whose binding is refused is bound anew."""
        self._session.login()

    async def logout(self) -> None:
        """Leave the network until `login`. The binding stays."""
        self._session.logout()

    async def submit_captcha(self, text: str) -> None:
        """Refuse: this network has no captchas."""
        del text
        raise UpstreamError("the official API has no captchas")

    async def probe(self) -> bool:
        """Whether the API takes the bot's token while the gateway is connected."""
        try:
            return self._session.is_online and await self._api.is_usable()
        except (TransportError, AccessRefusedError) as exc:
            log.debug("%s", exc)
            return False

    async def reconnect(self) -> None:
        """Open a new connection, though the present one looks well."""
        self._session.reconnect()

    async def refresh_contacts(self) -> None:
        """Publish the lists of those that were met again; they arrive as events."""
        self._book.has_new_contacts = True
        self._listed_at = None

    async def fetch_image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """Fetch a picture by the address that this process has received. Raises UpstreamError."""
        del upstream
        address = self._receiver.picture_address(image.file_id)
        if not address:
            raise UpstreamError("the address of this picture is not known any more: it came too long ago")
        return await self._api.fetch(address)
