"""OneBot 11 as an Upstream: a QQ account through the forward WebSocket of an implementation."""

import itertools
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio

from adapter.codec.request_body import RequestLimits
from adapter.content import Font, Image, Segment
from adapter.errors import UpstreamError
from adapter.events import (
    Address,
    Batch,
    ChatKind,
    Coverage,
    Gap,
    ImageData,
    Notice,
    Operation,
    Outcome,
    Part,
    SessionChange,
    SessionState,
)
from adapter.networks.inbox import Inbox
from adapter.networks.onebot.chat_file import ChatFile
from adapter.networks.onebot.contact_loader import ContactLoader
from adapter.networks.onebot.gaps import GapTracker, Heard, HeardFile, clip_gap
from adapter.networks.onebot.history_filler import HistoryFiller
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.media import PictureClient
from adapter.networks.onebot.operations import Operations
from adapter.networks.onebot.protocol.encoding import (
    MAX_PARTS,
    MAX_TEXT,
    UPLOAD_ADVICE,
    encode_messages,
)
from adapter.networks.onebot.protocol.operations import is_paced
from adapter.networks.onebot.receiver import Item, Receiver
from adapter.networks.onebot.recent_chats import RecentChats
from adapter.networks.onebot.sender import MessageSender
from adapter.networks.onebot.session_manager import SessionManager
from adapter.networks.onebot.standby import StandbyLog
from adapter.networks.upstream import EventLog, Traits

log = logging.getLogger(__name__)

# Bytes of a request: a file of 10 MB in base64, and some text.
MAX_REQUEST: Final = 15 * 1024 * 1024
_OWN_PAGE: Final = "log in and out at the page of the implementation itself"
# The file in the state folder whose time says up to when nothing is missing.
HEARD_FILE: Final = "onebot.heard"
# The file in the state folder with the chats that were heard from lately.
CHATS_FILE: Final = "onebot.chats"
# Notices after which contact lists are loaded again, and of members those that concern the account.
_CHANGES: Final = frozenset({"friend"})
_OWN_CHANGES: Final = frozenset({"member"})


class OneBotUpstream:
    """One account behind one implementation. Use it as `async with OneBotUpstream(…) as upstream`.

    `kept`: where a standby keeps what it hears, for `keep_seconds` at least. `history`: messages of each chat
    that are asked for after a gap. `limits` and clocks are for tests.
    """

    network = "onebot"
    traits = Traits(
        has_permanent_ids=True,
        has_idempotent_sends=False,
        keeps_events_while_away=False,
        request_limits=RequestLimits(
            body_bytes=MAX_REQUEST, content_bytes=MAX_PARTS * MAX_TEXT * 4, advice=UPLOAD_ADVICE
        ),
        send_interval_seconds=1.0,
        instead={
            "login": _OWN_PAGE,
            "logout": _OWN_PAGE,
            "captcha": _OWN_PAGE,
            "presence": "use op=call and the action set_online_status, if the implementation has it",
        },
    )

    def __init__(
        self,
        url: str,
        token: str,
        state_dir: Path,
        *,
        kept: EventLog | None = None,
        keep_seconds: float = 0.0,
        history: int = 0,
        keep_raw: bool = False,
        limits: Limits | None = None,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits = limits or Limits()
        self._wall = wall
        self._numbers = itertools.count(int(wall() * 1000))
        self._heard = HeardFile(state_dir / HEARD_FILE)
        self._tracker = GapTracker(self._heard.read())
        self._inbox: Inbox[Item] = Inbox(max_bytes=limits.inbox_bytes, batch=limits.batch)
        self._clock = clock
        self._chats = RecentChats()
        self._chat_file = ChatFile(state_dir / CHATS_FILE)
        self._chats.restore(self._chat_file.read())
        self._receiver = Receiver(self._tracker, self._chats, keep_raw=keep_raw)
        self._standby = None if kept is None else StandbyLog(kept, keep_seconds)
        # What the lease holder has heard, and the newest change of the session while standing by.
        self._holder: Heard | None = None
        self._change: SessionChange | None = None
        self._pictures = PictureClient(url)
        self._contacts = ContactLoader(self._inbox, limits, clock)
        self._history = HistoryFiller(self._inbox, self._chats, limits, count=history, keep_raw=keep_raw)
        self._sender = MessageSender(self._chats, limits)
        self._operations = Operations(limits, wall)
        self._session = SessionManager(
            url,
            token,
            self._inbox,
            self._tracker,
            limits,
            wall=wall,
            clock=clock,
            jitter=random.random,
            works=(self._contacts.run, self._history.run),
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(self._session.run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)
        self._chat_file.write(self._chats.times(), self._clock())

    # --- receiving ---------------------------------------------------------------------------------

    async def events(self) -> AsyncGenerator[Batch, None]:
        """Yield what has come, up to 100 events at once; an empty batch if nothing came.

        To ask for the next batch says that the last one is on disk. What was kept while standing by comes
        first, behind the account that heard it and before the present state of the session.
        """
        self._contacts.activate()
        for batch in self._kept_batches():
            yield batch
        while True:
            items = await self._inbox.take(self._limits.idle_seconds)
            if not items and self._inbox.is_closed:
                return
            batch = self._clip(self._receiver.decode(items))
            self._follow(batch)
            yield batch
            self._inbox.release()
            self._keep_heard()

    def _clip(self, batch: Batch) -> Batch:
        """Return the events without those gaps in which the former lease holder has heard all."""
        clipped = (clip_gap(one, self._holder) if isinstance(one, Gap) else one for one in batch)
        return tuple(one for one in clipped if one is not None)

    def _follow(self, batch: Batch) -> None:
        for event in batch:
            if isinstance(event, Gap):
                self._history.request(event)
            elif isinstance(event, Notice) and (
                event.kind in _CHANGES or (event.kind in _OWN_CHANGES and _concerns_account(event))
            ):
                self._contacts.invalidate()

    def _keep_heard(self) -> None:
        try:
            self._heard.write(self._tracker.complete_until)
        except OSError as exc:
            # An older time only makes the gap of the next start longer.
            log.debug("%s cannot be written: %s", HEARD_FILE, exc)
        if self._chat_file.is_due(self._clock()):
            self._chat_file.write(self._chats.times(), self._clock())

    # --- standing by -------------------------------------------------------------------------------

    async def stand_by(self) -> None:
        """Keep on disk what comes, until cancelled."""
        while True:
            items = self._receiver.decode_items(await self._inbox.take(self._limits.idle_seconds))
            for item, _ in items:
                self._change = item if isinstance(item, SessionChange) else self._change
            if self._standby is not None:
                now, account = self._wall(), "" if self._change is None else self._change.account
                self._standby.keep(account, items, now)
                self._standby.trim(now, self._holder)
            self._inbox.release()
            self._keep_heard()

    def note_holder(self, coverage: Coverage | None) -> None:
        """Note what the lease holder has heard; None if not known."""
        if coverage is not None:
            now = self._wall()
            self._holder = Heard(now - coverage.complete_seconds, now - coverage.connected_seconds)

    def coverage(self) -> Coverage | None:
        """Return what this adapter has heard and is sure to publish; None if nothing yet.

        What waits in the standby's log is not: this adapter may lose the lease before that is published.
        """
        if (heard := self._tracker.coverage(now := self._wall())) is None:
            return None
        complete, connected = heard.complete_seconds, heard.connected_seconds
        if self._inbox.is_closed:  # the socket is still open, but what it brings is ignored
            connected = complete
        oldest = None if self._standby is None else self._standby.peek()
        waiting = 0.0 if oldest is None else now - oldest.first
        return Coverage(max(complete, waiting), max(connected, waiting))

    def _kept_batches(self) -> Iterator[Batch]:
        """Yield what was kept while standing by; a batch is dropped when the next one is asked for."""
        standby, (change, self._change) = self._standby, (self._change, None)
        if standby is not None:
            standby.trim(self._wall(), self._holder)
            oldest = standby.peek()
            account = oldest.account if oldest is not None else "" if change is None else change.account
            starting = SessionChange(SessionState.STARTING, account=account)
            gap = standby.missing(self._holder)
            yield (starting,) if gap is None or not account else (starting, gap)
            while (kept := standby.peek()) is not None:
                batch = tuple(kept.events(self._receiver, self._holder))
                self._follow(batch)
                yield batch
                standby.drop()
            self._standby = None
        if change is not None:
            yield (change,)

    # --- the end of receiving ----------------------------------------------------------------------

    def stop_receiving(self) -> None:
        """Take no more events; `events` ends after what has been received."""
        self._inbox.close()
        self._session.stop()

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        await self._session.connected()

    # --- sending -----------------------------------------------------------------------------------

    def split(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages. Raises SchemaError. OneBot has no fonts."""
        del font
        return tuple(Part(content, str(next(self._numbers))) for content in encode_messages(segments))

    async def send(
        self, to: Address, part: Part, *, answers: str = "", may_send: Callable[[], bool]
    ) -> Outcome | None:
        """Send one part. None: nothing has left; it is to be sent again when there is a session."""
        del answers
        connection = self._session.connection
        if connection is None or not self._session.is_online:
            return None
        return await self._sender.send(connection, to, part, may_send)

    # --- operations --------------------------------------------------------------------------------

    def is_paced(self, operation: Operation) -> bool:
        """Whether an operation counts as a message for the pace of the account."""
        return is_paced(operation)

    async def perform(self, operation: Operation, may_send: Callable[[], bool]) -> Outcome | None:
        """Recall, answer a request, or call an action. None: nothing has left."""
        connection = self._session.connection
        if connection is None or not self._session.is_online:
            return None
        return await self._operations.perform(connection, operation, may_send)

    # --- commands ----------------------------------------------------------------------------------

    async def probe(self) -> bool:
        """Whether the implementation answers and says that QQ is online."""
        connection = self._session.connection
        return connection is not None and (await connection.ask_status()).is_online is not False

    async def reconnect(self) -> None:
        """Open a new connection, though the present one looks well."""
        self._session.reconnect()

    async def refresh_contacts(self) -> None:
        """Load friends and groups again; they arrive as events."""
        if (connection := self._session.connection) is not None:
            await self._contacts.load(connection)

    async def fetch_image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """Fetch a picture by the address of its segment. Raises UpstreamError."""
        del upstream
        return await self._pictures.fetch(image)

    async def load_members(self, chat: Address) -> None:
        """Load the members of a group; they arrive as an event. Raises UpstreamError."""
        if chat.kind is not ChatKind.GROUP:
            raise UpstreamError("only a group has members: give group:<number>")
        connection = self._session.connection
        if connection is None or not await self._contacts.load_members(connection, chat):
            raise UpstreamError("the members of this group are not answered")


def _concerns_account(event: Notice) -> bool:
    """Whether the account itself came into a group or left it."""
    data = event.data
    return event.from_self or data.get("sub_type") in {"kick_me", "disband"}
