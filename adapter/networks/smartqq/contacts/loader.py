"""Loads contacts: all lists after a login, members bit by bit, one list again for an unknown sender."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import anyio

from adapter.errors import ProtocolError, TransportError
from adapter.events import Address, ChatKind, Contact, ContactList, ListKind, Message
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.contacts import lists, roster
from adapter.networks.smartqq.contacts.lists import Statuses
from adapter.networks.smartqq.contacts.roster import Roster
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Request, Response
from adapter.networks.smartqq.protocol.parsing import OK, mapping, parse_id, parse_json, return_code
from adapter.networks.smartqq.protocol.return_codes import SESSION_INVALID
from adapter.networks.smartqq.session.credentials import Credentials

log = logging.getLogger(__name__)

Ask = Callable[[Request], Awaitable[Response]]
ReadNames = Callable[[Mapping[str, object]], Iterable[tuple[str, str]]]

TRIES: Final = 3
"""A list may be refused or come without its main part, and be there a moment later (5)."""

ALL: Final = (ListKind.FRIENDS, ListKind.GROUPS, ListKind.DISCUSSES)

_LISTS: Final[Mapping[ChatKind, ListKind]] = {
    ChatKind.FRIEND: ListKind.FRIENDS,
    ChatKind.GROUP: ListKind.GROUPS,
    ChatKind.DISCUSS: ListKind.DISCUSSES,
}


class ContactLoader:
    """The contacts of the present session and how to get them. `doubt`: upstream doubts the session."""

    def __init__(self, ask: Ask, tokens: Credentials, limits: Limits, clock: Callable[[], float]) -> None:
        self.book = Roster()
        self.session_suspect = False
        self._ask = ask
        self._tokens = tokens
        self._limits = limits
        self._clock = clock
        self._online: Statuses = {}
        self._due: deque[Address] = deque()
        self._missing: set[ListKind] = set(ALL)
        self._asked: dict[str, float] = {}
        self._numbers_closed = False
        self._qun_closed = False
        self._lock = anyio.Lock()

    def reset(self) -> None:
        """All momentary ids are new: nothing that is known holds."""
        self.book = Roster()
        self._due.clear()
        self._missing = set(ALL)
        self._asked.clear()
        self._numbers_closed = self._qun_closed = False

    def update_presence(self, online: Response) -> None:
        """Who is online, from the answer to the probe."""
        try:
            self._online = lists.statuses(parse_json(online))
        except ProtocolError:
            self._online = {}

    @property
    def incomplete(self) -> bool:
        """Whether there is more to load."""
        return bool(self._due or self._missing)

    # --- whole lists ---

    async def load(self) -> list[ContactList]:
        """Friends, groups and discussions, as far as they come within the limit."""
        found: list[ContactList] = []
        with anyio.move_on_after(self._limits.lists):
            async with self._lock, anyio.create_task_group() as group:
                for kind in ALL:
                    group.start_soon(self._load, kind, found)
        return found

    async def reload(self) -> list[ContactList]:
        """Everything again: the lists and all members, as far as they come within the limits.

        Nothing where a new login came between: what is due then is for its own `more` to load and tell.
        """
        roster = self.book
        lists = await self.load()
        if roster is not self.book:
            return []
        for told in lists:
            if told.kind in (ListKind.GROUPS, ListKind.DISCUSSES):
                self._queue(told.kind, told.contacts, again=True)
        return lists + await self.load_missing(self._limits.lists)

    async def load_missing(self, seconds: float) -> list[ContactList]:
        """What is still missing, as far as it comes within so many seconds."""
        found: list[ContactList] = []
        book = self.book
        with anyio.move_on_after(seconds):
            async with self._lock, anyio.create_task_group() as group:
                if book is not self.book:
                    return []  # a new login came while we waited
                for kind in [kind for kind in self._missing if self._may_ask(kind.value)]:
                    group.start_soon(self._load, kind, found)
                for _ in range(self._limits.max_parallel_lookups):
                    group.start_soon(self._load_members, book, found)
        return found

    async def _load(self, kind: ListKind, found: list[ContactList]) -> None:
        self._asked[kind.value] = self._clock()
        self._missing.add(kind)
        book = self.book
        book.numbers[self._tokens.account] = self._tokens.account
        request, read = {
            ListKind.FRIENDS: (endpoints.friends(self._tokens), self._read_friends),
            ListKind.GROUPS: (endpoints.groups(self._tokens), lists.groups),
            ListKind.DISCUSSES: (endpoints.discussions(self._tokens, self._clock()), lists.discussions),
        }[kind]
        reply = await self._fetch(request)
        if reply is None or book is not self.book:
            return
        listed = read(reply)
        if kind is not ListKind.DISCUSSES:
            with anyio.move_on_after(self._limits.details):
                await self._number(kind, listed)
        if book is not self.book:
            return  # a new login came between: these ids are nobody's
        listed = book.with_numbers(listed)
        book.put(kind, listed)
        self._missing.discard(kind)
        found.append(ContactList(kind, listed))
        if kind is not ListKind.FRIENDS:
            self._queue(kind, listed)

    def _read_friends(self, reply: Mapping[str, object]) -> tuple[Contact, ...]:
        return lists.friends(reply, self._online)

    def _queue(self, kind: ListKind, listed: Iterable[Contact], *, again: bool = False) -> None:
        chat = ChatKind.GROUP if kind is ListKind.GROUPS else ChatKind.DISCUSS
        waiting = set(self._due)
        for contact in listed:
            address = Address(chat, contact.id)
            if address not in waiting and (again or str(address) not in self.book.members):
                self._due.append(address)

    # --- permanent numbers ---

    async def _number(self, kind: ListKind, listed: tuple[Contact, ...]) -> None:
        """Permanent numbers, for as long as upstream gives them away (5.9)."""
        todo = deque(c for c in listed if c.id not in self.book.numbers and (c.code or kind is ALL[0]))
        if self._numbers_closed or not todo or not await self._next_number(kind, todo):
            await self._number_by_name(kind, listed)
            return
        async with anyio.create_task_group() as group:
            for _ in range(self._limits.max_parallel_lookups):
                group.start_soon(self._numbers, kind, todo)

    async def _numbers(self, kind: ListKind, todo: deque[Contact]) -> None:
        while todo and not self._numbers_closed:
            await self._next_number(kind, todo)

    async def _next_number(self, kind: ListKind, todo: deque[Contact]) -> bool:
        contact = todo.popleft()
        book, now = self.book, self._clock()
        person = kind is ListKind.FRIENDS
        uin = contact.id if person else contact.code
        request = endpoints.qq_number(self._tokens, uin, endpoints.PERSON if person else endpoints.GROUP, now)
        reply = await self._once(request, vital=False)
        qq = parse_id(mapping((reply or {}).get("result")).get("account"))
        if qq in ("", "0"):
            self._numbers_closed = True
            return False
        book.numbers[contact.id] = qq
        return True

    async def _number_by_name(self, kind: ListKind, listed: tuple[Contact, ...]) -> None:
        if kind is ListKind.FRIENDS:
            await self._compare(endpoints.qun_friends(self._tokens), lists.qun_friends, listed)
        else:
            await self._compare(endpoints.qun_groups(self._tokens), lists.qun_groups, listed)

    async def _compare(self, request: Request, read: ReadNames, listed: tuple[Contact, ...]) -> None:
        """Numbers from one of the lists at qun.qq.com, until it is closed to us."""
        book = self.book
        if self._qun_closed or all(contact.id in book.numbers for contact in listed):
            return
        reply = await self._once(request, vital=False)
        if reply is None:
            self._qun_closed = True
            return
        for uin, qq in roster.match_by_name(listed, read(reply)).items():
            book.numbers.setdefault(uin, qq)

    # --- members ---

    async def _load_members(self, book: Roster, found: list[ContactList]) -> None:
        while self._due and book is self.book:
            chat = self._due.popleft()
            try:
                await self._members(chat, found)
            except anyio.get_cancelled_exc_class():
                if book is self.book:
                    self._due.appendleft(chat)
                raise

    async def _members(self, chat: Address, found: list[ContactList], code: str = "") -> None:
        self._asked[str(chat)] = self._clock()
        book = self.book
        known = self.book.find(chat)
        if chat.kind is ChatKind.GROUP:
            code = (known.code if known else "") or code
            request = endpoints.group_members(self._tokens, code, self._clock())
            read, part = lists.group_members, "minfo"
            if not code:
                return
        else:
            request = endpoints.discussion_members(self._tokens, chat.id, self._clock())
            read, part = lists.discussion_members, "mem_info"
        reply = await self._fetch(request, part)
        if reply is None or book is not self.book:
            return
        listed = read(reply, book.marks())
        if known and known.qq:
            await self._compare(endpoints.qun_members(self._tokens, known.qq), lists.qun_members, listed)
        listed = book.with_numbers(listed)
        book.put(ListKind.MEMBERS, listed, chat)
        found.append(ContactList(ListKind.MEMBERS, listed, chat))
        self._recognise(listed, found)

    def _recognise(self, listed: Iterable[Contact], found: list[ContactList]) -> None:
        """Friends whose permanent number a member list has just given away."""
        book = self.book
        friends = tuple((book.friends or {}).values())
        book.numbers.update({contact.id: contact.qq for contact in listed if contact.qq})
        if (known := book.with_numbers(friends)) != friends:
            book.put(ListKind.FRIENDS, known)
            found.append(ContactList(ListKind.FRIENDS, known))

    # --- an unknown sender ---

    def can_look_up(self, messages: Iterable[Message]) -> bool:
        """Whether `learn` would take its time for these."""
        return self._lock.locked() or any(self._lacks(m) or self._lacks_members(m) for m in messages)

    async def look_up_senders(self, messages: Iterable[Message], found: list[ContactList]) -> None:
        """Load again what could name these senders; results are in `found` even if time runs out."""
        async with self._lock:
            for message in messages:
                if not self.book.knows(message):
                    await self._look_up(message, found)

    async def _look_up(self, message: Message, found: list[ContactList]) -> None:
        if kind := self._lacks(message):
            await self._load(kind, found)
        if self._lacks_members(message):
            await self._members(message.chat, found, parse_id(message.upstream.get("group_code")))

    def _lacks(self, message: Message) -> ListKind | None:
        """The list that should have this chat, if it has not and may be asked for."""
        kind = _LISTS.get(message.chat.kind)
        lacks = kind is not None and self.book.find(message.chat) is None and self._may_ask(kind.value)
        return kind if lacks else None

    def _lacks_members(self, message: Message) -> bool:
        chat = message.chat
        return chat.kind in (ChatKind.GROUP, ChatKind.DISCUSS) and self._may_ask(str(chat))

    def _may_ask(self, name: str) -> bool:
        return (
            self._clock() - self._asked.get(name, -self._limits.lookup_interval)
            >= self._limits.lookup_interval
        )

    def note_group_number(self, message: Message) -> ContactList | None:
        """A group's permanent number, if this message tells it first (until the end of 2015)."""
        qq = parse_id(message.upstream.get("info_seq"))
        groups = self.book.groups or {}
        known = groups.get(message.chat.id)
        if message.chat.kind is not ChatKind.GROUP or known is None or known.qq or qq in ("", "0"):
            return None
        self.book.numbers[known.id] = qq
        listed = tuple(replace(c, qq=qq) if c.id == known.id else c for c in groups.values())
        self.book.put(ListKind.GROUPS, listed)
        return ContactList(ListKind.GROUPS, listed)

    def invalidate(self, kind: ListKind) -> None:
        """Upstream says that this list has changed."""
        self._missing.add(kind)
        self._asked.pop(kind.value, None)

    # --- asking ---

    async def _fetch(self, request: Request, part: str = "") -> Mapping[str, object] | None:
        """A list, asked for again if it is refused or lacks its main part; None if it does not come."""
        reply = None
        for attempt in range(TRIES):
            if attempt:
                await anyio.sleep(self._limits.retry_first)
            reply = await self._once(request)
            if reply is not None and (not part or part in mapping(reply.get("result"))):
                break
            if self.session_suspect:
                break
        if reply is None:
            log.warning("no answer to use from %s", request.safe_name)
        return reply

    async def _once(self, request: Request, *, vital: bool = True) -> Mapping[str, object] | None:
        """The reply if it is a good one. `vital`: a refusal casts doubt on the session."""
        try:
            answer = await self._ask(request)
            reply = parse_json(answer) if answer.status == HTTPStatus.OK else None
        except (TransportError, ProtocolError):
            return None
        if reply is None:
            return None
        code = return_code(reply)
        self.session_suspect = self.session_suspect or (vital and code in SESSION_INVALID)
        return reply if code == OK else None
