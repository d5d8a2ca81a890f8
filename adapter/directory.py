"""Directory: maps upstream's session-scoped ids to the stable ids on the bus, and back.

The first session-scoped id of a contact becomes its stable id. Each login with new ids begins a generation.
A contact is matched with its record by its number where that is known, else by a name that is unique among
the old and among the new contacts. Of a person that name is the mark that the account gave: a person chooses
the nick, and could take that of another. A contact without a match gets a new stable id: a wrong match would
send a private message to the wrong person, a missed one only adds a contact.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from adapter.events import (
    Address,
    ChatKind,
    Contact,
    ContactList,
    ContactRef,
    Identity,
    ListKind,
    Message,
    Notice,
    Participants,
)


class IdSpace(StrEnum):
    """Namespace of ids. People share one, whatever chat they speak in."""

    PERSON = "person"
    GROUP = "group"
    DISCUSS = "discuss"


LIST_SPACES = {
    ListKind.FRIENDS: IdSpace.PERSON,
    ListKind.GROUPS: IdSpace.GROUP,
    ListKind.DISCUSSES: IdSpace.DISCUSS,
}
CHAT_SPACES = {
    ChatKind.FRIEND: IdSpace.PERSON,
    ChatKind.TEMP: IdSpace.PERSON,
    ChatKind.GROUP: IdSpace.GROUP,
    ChatKind.DISCUSS: IdSpace.DISCUSS,
}
_Key = Callable[["Record | Contact"], str]
# Pairs of chat and speaker whose names are cached; half a kilobyte each.
CACHED_PARTICIPANTS = 65_536
# Scope of friends; the scope of members is the stable address of their chat.
FRIENDS = "friends"
# Scope of a second stable id: its contact was unknown until a number identified it.
ALIAS = "-"


@dataclass(frozen=True, slots=True)
class Record:
    """A contact as it is kept across restarts and logins.

    `scope`: where its names are compared. `seen`: when a list last had it, in seconds. `session_scoped_id`:
    its id in the login of number `generation`.
    """

    space: IdSpace
    stable: str
    scope: str = ""
    qq: str = ""
    remark: str = ""
    nick: str = ""
    seen: int = 0
    session_scoped_id: str = ""
    generation: int = 0
    identity: Identity = Identity.SESSION


@dataclass(frozen=True, slots=True)
class _Known:
    stable: str
    identity: Identity
    contact: Contact


class Directory:
    """Maps ids in both directions. No I/O: the caller stores what `drain_changes` returns."""

    def __init__(self, records: Iterable[Record] = (), generation: int = 0, account: str = "") -> None:
        self._records: dict[tuple[IdSpace, str], Record] = {}
        self._by_scoped_id: dict[tuple[IdSpace, str], _Known] = {}
        self._by_stable_id: dict[tuple[IdSpace, str], str] = {}
        self._cards: dict[tuple[str, str], str] = {}
        self._participants: dict[tuple[Address | None, str, str], Participants] = {}
        self._changed: dict[tuple[IdSpace, str], Record] = {}
        self.generation = generation
        self.account = account
        for record in sorted(records, key=_aliases_last, reverse=True):
            self._records[record.space, record.stable] = record
            if record.generation == generation and record.session_scoped_id:
                name = record.remark or record.nick
                contact = Contact(
                    record.session_scoped_id, name, nick=record.nick, remark=record.remark, qq=record.qq
                )
                self._bind(record.space, contact, record, record.identity)

    def start_generation(self, account: str = "") -> None:
        """Begin a login with new ids: no contact is reachable until it is seen again.

        For another account only numbers match: there a name belongs to another contact.
        """
        if account not in ("", self.account):
            if self.account:
                nameless = {key: replace(record, remark="", nick="") for key, record in self._records.items()}
                self._records = nameless
                self._changed |= nameless
            self.account = account
        self.generation += 1
        self._by_scoped_id.clear()
        self._by_stable_id.clear()
        self._cards.clear()
        self._participants.clear()

    def drain_changes(self) -> tuple[Record, ...]:
        """Return the records that are new or changed since the last call."""
        records = tuple(self._changed.values())
        self._changed.clear()
        return records

    # --- lists ---------------------------------------------------------------------------------

    def update(self, listed: ContactList, now: float) -> tuple[tuple[str, Contact, Identity], ...]:
        """Apply a whole list; returns its contacts with stable ids and how sure these are."""
        self._participants.clear()
        space = LIST_SPACES.get(listed.kind, IdSpace.PERSON)
        scope = self._scope(listed)
        self._match(space, scope, listed.contacts)
        rows = []
        for contact in listed.contacts:
            known = self._get_or_create(space, contact.id, contact)
            self._store(space, known, scope, int(now))
            if listed.of is not None and contact.data.get("card"):
                self._cards[scope, contact.id] = str(contact.data["card"])
            rows.append((known.stable, contact, known.identity))
        return tuple(rows)

    def _scope(self, listed: ContactList) -> str:
        if listed.of is None:
            return FRIENDS if listed.kind is ListKind.FRIENDS else listed.kind.value
        return str(self.address(listed.of))

    def _match(self, space: IdSpace, scope: str, contacts: tuple[Contact, ...]) -> None:
        """Bind session-scoped ids to the stable ids of the same contacts."""
        records = [record for record in self._records.values() if record.space is space]
        self._match_numbers(space, records, contacts)
        unmatched = [contact for contact in contacts if (space, contact.id) not in self._by_scoped_id]
        if not unmatched:
            return
        self._match_ids(space, records, unmatched)
        # Names are compared with the last list only: contacts that had left before may share them.
        latest = max((record.seen for record in records if record.scope == scope), default=0)
        last = [record for record in records if record.scope == scope and record.seen == latest]
        for key in (_remark,) if space is IdSpace.PERSON else (_remark, _nick):
            self._match_names(space, key, last, contacts)

    def _match_numbers(self, space: IdSpace, records: list[Record], contacts: tuple[Contact, ...]) -> None:
        """Match by number, also a contact that got a new stable id a moment ago.

        That new id becomes an alias: workers may know it.
        """
        numbers: dict[str, list[Record]] = {}
        for record in sorted(records, key=_aliases_last):
            if record.qq:
                numbers.setdefault(record.qq, []).append(record)
        for contact in contacts:
            for record in numbers.get(contact.qq, ()):
                known = self._by_scoped_id.get((space, contact.id))
                if not self._is_free(record):
                    continue
                if known is None or record.scope != ALIAS:
                    self._bind(space, contact, record, Identity.EXACT)
                    self._retire(space, known, contact.qq)
                else:
                    self._by_stable_id[space, record.stable] = contact.id

    def _retire(self, space: IdSpace, known: "_Known | None", qq: str) -> None:
        former = None if known is None else self._records.get((space, known.stable))
        if former is not None:
            retired = replace(former, scope=ALIAS, qq=qq)
            self._records[space, former.stable] = self._changed[space, former.stable] = retired

    def _match_ids(self, space: IdSpace, records: list[Record], unmatched: list[Contact]) -> None:
        """Match by session-scoped id: it may outlive a reconnect, and the same names confirm it."""
        last = {
            record.session_scoped_id: record for record in records if record.generation == self.generation - 1
        }
        for contact in unmatched:
            record = last.get(contact.id)
            if record is None or (space, contact.id) in self._by_scoped_id or not self._is_free(record):
                continue
            same = (record.remark, record.nick) == (contact.remark, contact.nick or contact.name)
            if same and (contact.qq == record.qq or not (contact.qq and record.qq)):
                self._bind(space, contact, record, record.identity)

    def _match_names(
        self, space: IdSpace, key: "_Key", last: list[Record], contacts: tuple[Contact, ...]
    ) -> None:
        before = Counter(key(record) for record in last)
        after = Counter(key(contact) for contact in contacts)
        by_name = {key(record): record for record in last}
        for contact in contacts:
            name = key(contact)
            if not name or (space, contact.id) in self._by_scoped_id or not before[name] == after[name] == 1:
                continue
            record = by_name[name]
            # Two known numbers that differ prove two contacts.
            if self._is_free(record) and not (record.qq and contact.qq and record.qq != contact.qq):
                self._bind(space, contact, record, Identity.MATCHED)

    def _is_free(self, record: Record) -> bool:
        return (record.space, record.stable) not in self._by_stable_id

    def _bind(self, space: IdSpace, contact: Contact, record: Record, identity: Identity) -> None:
        self._by_scoped_id[space, contact.id] = _Known(record.stable, identity, contact)
        self._by_stable_id[space, record.stable] = contact.id

    def _get_or_create(self, space: IdSpace, scoped_id: str, contact: Contact | None = None) -> _Known:
        known = self._by_scoped_id.get((space, scoped_id))
        if known is None:
            stable = self._allocate_id(space, scoped_id)
            known = _Known(stable, Identity.SESSION, contact or Contact(scoped_id, ""))
            self._by_stable_id[space, stable] = scoped_id
        if contact is not None:
            identity = Identity.EXACT if contact.qq else known.identity
            known = replace(known, contact=contact, identity=identity)
        self._by_scoped_id[space, scoped_id] = known
        return known

    def _store(self, space: IdSpace, known: _Known, scope: str, now: int) -> None:
        key, contact = (space, known.stable), known.contact
        former = self._records.get(key)
        remark, nick = contact.remark, contact.nick or contact.name
        # A friend that is also a group member keeps its scope: its names are compared among friends.
        if former is not None and former.scope == FRIENDS != scope:
            scope, remark, nick, now = FRIENDS, former.remark, former.nick, former.seen
        qq = contact.qq or (former.qq if former is not None else "")
        record = Record(
            space, known.stable, scope, qq, remark, nick, now, contact.id, self.generation, known.identity
        )
        if record != former:
            self._records[key] = self._changed[key] = record

    def _allocate_id(self, space: IdSpace, scoped_id: str) -> str:
        stable, turn = scoped_id, 0
        # Session-scoped ids are random: one may equal the stable id of another contact.
        while (space, stable) in self._records or (space, stable) in self._by_stable_id:
            stable, turn = f"{scoped_id}{turn}", turn + 1
        return stable

    # --- events --------------------------------------------------------------------------------

    def locate(self, event: Message | Notice) -> Participants:
        """Return chat and sender of an event with stable ids; unknown contacts get new ones."""
        key = (event.chat, event.sender, event.qq if isinstance(event, Message) else "")
        participants = self._participants.get(key)
        if participants is None:
            if len(self._participants) >= CACHED_PARTICIPANTS:
                self._participants.clear()
            participants = self._participants[key] = self._locate(event)
        return participants

    def _locate(self, event: Message | Notice) -> Participants:
        chat = None if event.chat is None else self.address(event.chat)
        chat_contact = sender = None
        if event.chat is not None and chat is not None:
            known = self._get_or_create(CHAT_SPACES[event.chat.kind], event.chat.id)
            chat_contact = ContactRef(chat.id, known.contact.name, known.identity, qq=known.contact.qq)
        if event.sender:
            known = self._get_or_create(IdSpace.PERSON, event.sender)
            qq = (event.qq if isinstance(event, Message) else "") or known.contact.qq
            card = self._cards.get((str(chat), event.sender), "")
            identity = Identity.EXACT if qq else known.identity
            sender = ContactRef(known.stable, known.contact.name, identity, card, qq)
        return Participants(chat, chat_contact, sender)

    def address(self, address: Address) -> Address:
        """Return the same conversation with stable ids."""
        known = self._get_or_create(CHAT_SPACES[address.kind], address.id)
        via = None if address.via is None else self.address(address.via)
        return Address(address.kind, known.stable, via)

    def resolve(self, address: Address) -> Address | None:
        """Return where to send, with session-scoped ids; None if this session cannot reach the contact."""
        scoped_id = self._by_stable_id.get((CHAT_SPACES[address.kind], address.id))
        if scoped_id is None:
            return None
        if address.via is None:
            return Address(address.kind, scoped_id)
        via = self.resolve(address.via)
        return None if via is None else Address(address.kind, scoped_id, via)


def _aliases_last(record: Record) -> bool:
    return record.scope == ALIAS


def _remark(contact: Record | Contact) -> str:
    return contact.remark


def _nick(contact: Record | Contact) -> str:
    return contact.nick or (contact.name if isinstance(contact, Contact) else "")
