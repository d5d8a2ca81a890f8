"""Load contacts: all lists after a login, members and unknown speakers between polls.

Loads are paced: a list is requested at most once in `Limits.lookup_interval`, at most
`Limits.max_parallel_lookups` at a time. What cannot be requested yet stays queued.
A login with new ids replaces the roster. A load that was started before it changes nothing.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import anyio

from adapter.errors import ProtocolError, TransportError
from adapter.events import Address, Batch, ChatKind, Contact, ContactList, ListKind, Message, Notice
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.contacts import lists
from adapter.networks.smartqq.contacts.list_client import ListClient, Reply, Send
from adapter.networks.smartqq.contacts.lists import Statuses
from adapter.networks.smartqq.contacts.numbers import NumberLookup
from adapter.networks.smartqq.contacts.roster import Roster
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.protocol.parsing import parse_id, parse_json
from adapter.networks.smartqq.session.credentials import Credentials

log = logging.getLogger(__name__)

LISTS: Final[Mapping[ChatKind, ListKind]] = {
    ChatKind.FRIEND: ListKind.FRIENDS,
    ChatKind.GROUP: ListKind.GROUPS,
    ChatKind.DISCUSS: ListKind.DISCUSSES,
}
# Unknown speakers remembered until a list names them: more than speak between two look-ups.
MAX_UNNAMED: Final = 256


class ContactLoader:
    """Fill the roster of the present session and return what is new as events."""

    def __init__(
        self, request: Send, credentials: Credentials, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self.roster = Roster()
        self._request = request
        self._credentials = credentials
        self._limits = limits
        self._clock = clock
        self._client = ListClient(request, limits)
        self._numbers = NumberLookup(self._client, credentials, limits, clock)
        self._presence: Statuses = {}
        self._missing: set[ListKind] = set(LISTS.values())
        self._due: deque[Address] = deque()  # chats whose members are missing
        self._requested_at: dict[str, float] = {}
        self._group_codes: dict[str, str] = {}  # as messages give them, for groups that no list has
        self._unnamed: dict[tuple[Address, str], None] = {}
        self._refreshed: dict[tuple[ListKind, Address | None], ContactList] = {}
        self._lock = anyio.Lock()

    def reset(self) -> None:
        """Forget everything: a login has made all momentary ids invalid."""
        self.roster = Roster()
        self._missing = set(LISTS.values())
        self._numbers.reset()
        for kept in (self._due, self._requested_at, self._group_codes, self._unnamed, self._refreshed):
            kept.clear()

    @property
    def session_suspect(self) -> bool:
        """Whether the server refused a list as if the session were invalid."""
        return self._client.session_suspect

    def clear_suspicion(self) -> None:
        """Trust the session again: a probe has succeeded."""
        self._client.session_suspect = False

    def update_presence(self, online: Response) -> None:
        """Take who is online from the answer to a probe."""
        try:
            self._presence = lists.statuses(parse_json(online))
        except ProtocolError:
            self._presence = {}

    # --- whole lists ---

    async def load(self) -> Batch:
        """Return friends, groups and discussions, as far as they come within the limit."""
        found: list[ContactList] = []
        with anyio.move_on_after(self._limits.lists_timeout):
            async with self._lock, anyio.create_task_group() as group:
                for kind in LISTS.values():
                    group.start_soon(self._load_list, kind, found)
        return tuple(found)

    async def refresh(self) -> None:
        """Load all lists and members again; `take_refreshed` returns them.

        Discards them if a login came in between: `load` and `load_missing` follow that login.
        """
        roster = self.roster
        try:
            self.update_presence(
                await self._request(endpoints.online_friends(self._credentials, self._clock()))
            )
        except TransportError as exc:
            log.warning("cannot refresh who is online: %s", exc)
        found = await self.load()
        if roster is not self.roster:
            return
        for listed in found:
            if isinstance(listed, ContactList) and listed.kind is not ListKind.FRIENDS:
                self._queue_members(listed.kind, listed.contacts, is_again=True)
        found += await self.load_missing(self._limits.lists_timeout)
        if roster is self.roster:
            self._refreshed |= {(e.kind, e.of): e for e in found if isinstance(e, ContactList)}

    def take_refreshed(self) -> Batch:
        """Return the lists of a finished refresh, once."""
        taken = tuple(self._refreshed.values())
        self._refreshed.clear()
        return taken

    # --- what is missing ---

    @property
    def has_work(self) -> bool:
        """Whether `load_missing` would request anything now."""
        wanted = [*(kind.value for kind in self._missing), *map(str, self._due)]
        return any(self._is_allowed(name) for name in wanted)

    async def load_missing(self, seconds: float) -> Batch:
        """Return missing lists, as far as they come in time, and who was unknown before."""
        found: list[ContactList] = []
        roster = self.roster
        with anyio.move_on_after(seconds):
            async with self._lock, anyio.create_task_group() as group:
                if roster is not self.roster:
                    return ()  # a login came while this waited for the lock
                for kind in [kind for kind in self._missing if self._is_allowed(kind.value)]:
                    group.start_soon(self._load_list_and_members, kind, found)
                for _ in range(self._limits.max_parallel_lookups):
                    group.start_soon(self._load_members, roster, found)
        return (*found, *self._take_named())

    def request_lookup(self, message: Message) -> None:
        """Queue the lists that may name the speaker of a message, before all others."""
        chat = message.chat
        kind = LISTS.get(chat.kind)
        if kind is not None and self.roster.find(chat) is None:
            self._missing.add(kind)
        if chat.kind is not ChatKind.FRIEND:
            if code := parse_id(message.upstream.get("group_code")):
                self._group_codes[chat.id] = code
            if chat in self._due:
                self._due.remove(chat)
            self._due.appendleft(chat)
        self._unnamed.pop((chat, message.sender), None)
        while len(self._unnamed) >= MAX_UNNAMED:
            del self._unnamed[next(iter(self._unnamed))]
        self._unnamed[chat, message.sender] = None

    def _take_named(self) -> list[Notice]:
        """Return a notice for each speaker who was unknown and now has a name."""
        found = []
        for chat, sender in list(self._unnamed):
            if (contact := self.roster.find_speaker(chat, sender)) is not None:
                del self._unnamed[chat, sender]
                text = f"发言者：{contact.name}"
                found.append(Notice("contacts", text, chat=chat, sender=sender, data={"event": "named"}))
        return found

    def invalidate(self, kind: ListKind) -> None:
        """Request a list again soon: the server says that it has changed."""
        self._missing.add(kind)
        self._requested_at.pop(kind.value, None)

    def note_group_number(self, message: Message) -> ContactList | None:
        """Take a group's permanent number from a message (until the end of 2015)."""
        qq = parse_id(message.upstream.get("info_seq"))
        groups = self.roster.groups or {}
        known = groups.get(message.chat.id)
        if message.chat.kind is not ChatKind.GROUP or known is None or known.qq or qq in ("", "0"):
            return None
        self.roster.numbers[known.id] = qq
        listed = tuple(replace(c, qq=qq) if c.id == known.id else c for c in groups.values())
        self.roster.put(ListKind.GROUPS, listed)
        return ContactList(ListKind.GROUPS, listed)

    def _is_allowed(self, name: str) -> bool:
        requested = self._requested_at.get(name)
        return requested is None or self._clock() - requested >= self._limits.lookup_interval

    # --- one list ---

    async def _load_list(self, kind: ListKind, found: list[ContactList]) -> None:
        self._requested_at[kind.value] = self._clock()
        self._missing.add(kind)
        roster = self.roster
        roster.numbers[self._credentials.account] = self._credentials.account
        credentials = self._credentials
        request, read = {
            ListKind.FRIENDS: (endpoints.friends(credentials), self._read_friends),
            ListKind.GROUPS: (endpoints.groups(credentials), lists.groups),
            ListKind.DISCUSSES: (endpoints.discussions(credentials, self._clock()), lists.discussions),
        }[kind]
        reply = await self._client.fetch(request)
        if reply is None or roster is not self.roster:
            return
        listed = read(reply)
        if kind is not ListKind.DISCUSSES:
            with anyio.move_on_after(self._limits.members_timeout):
                await self._numbers.look_up(kind, listed, roster)
        if roster is not self.roster:
            return
        listed = roster.with_numbers(listed)
        roster.put(kind, listed)
        self._missing.discard(kind)
        found.append(ContactList(kind, listed))
        if kind is not ListKind.FRIENDS:
            self._queue_members(kind, listed)

    def _read_friends(self, reply: Reply) -> tuple[Contact, ...]:
        return lists.friends(reply, self._presence)

    # --- members ---

    def _queue_members(self, kind: ListKind, listed: Iterable[Contact], *, is_again: bool = False) -> None:
        chat_kind = ChatKind.GROUP if kind is ListKind.GROUPS else ChatKind.DISCUSS
        queued = set(self._due)
        for contact in listed:
            chat = Address(chat_kind, contact.id)
            if is_again:
                self._requested_at.pop(str(chat), None)
            if chat not in queued and (is_again or str(chat) not in self.roster.members):
                self._due.append(chat)

    async def _load_list_and_members(self, kind: ListKind, found: list[ContactList]) -> None:
        roster = self.roster
        await self._load_list(kind, found)
        await self._load_members(roster, found)

    async def _load_members(self, roster: Roster, found: list[ContactList]) -> None:
        while roster is self.roster and (chat := self._take_due()) is not None:
            try:
                await self._load_members_of(chat, roster, found)
            except anyio.get_cancelled_exc_class():
                if roster is self.roster:
                    self._due.appendleft(chat)
                    self._requested_at.pop(str(chat), None)
                raise

    def _take_due(self) -> Address | None:
        chat = next((chat for chat in self._due if self._is_allowed(str(chat))), None)
        if chat is not None:
            self._due.remove(chat)
        return chat

    async def _load_members_of(self, chat: Address, roster: Roster, found: list[ContactList]) -> None:
        self._requested_at[str(chat)] = self._clock()
        known = roster.find(chat)
        if chat.kind is ChatKind.GROUP:
            code = (known.code if known else "") or self._group_codes.get(chat.id, "")
            if not code:
                return
            request = endpoints.group_members(self._credentials, code, self._clock())
            read, main_part = lists.group_members, "minfo"
        else:
            request = endpoints.discussion_members(self._credentials, chat.id, self._clock())
            read, main_part = lists.discussion_members, "mem_info"
        reply = await self._client.fetch(request, main_part)
        if reply is None or roster is not self.roster:
            return
        listed = read(reply, roster.remarks())
        if known and known.qq:
            await self._numbers.look_up_members(known.qq, listed, roster)
        listed = roster.with_numbers(listed)
        roster.put(ListKind.MEMBERS, listed, chat)
        found.append(ContactList(ListKind.MEMBERS, listed, chat))
        self._number_friends(listed, roster, found)

    @staticmethod
    def _number_friends(listed: Iterable[Contact], roster: Roster, found: list[ContactList]) -> None:
        """Add the numbers of a member list to friends who are among the members."""
        friends = tuple((roster.friends or {}).values())
        roster.numbers.update({contact.id: contact.qq for contact in listed if contact.qq})
        if (numbered := roster.with_numbers(friends)) != friends:
            roster.put(ListKind.FRIENDS, numbered)
            found.append(ContactList(ListKind.FRIENDS, numbered))
