"""The directory: who is who. Upstream's ids change at every login; the ids on the bus do not have to.

The first momentary id under which a contact is seen becomes its stable id. After a login with new ids
a contact is matched again by its number where that is known, else by a name that is unique among the old
and among the new ones. What cannot be matched gets a new stable id: a wrong match would send a private
message to the wrong person, a missed one only makes a new acquaintance.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
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
    """Where an id is unique: people share one space, whatever chat they are met in."""

    PERSON = "person"
    GROUP = "group"
    DISCUSS = "discuss"


_SPACES = {
    ListKind.FRIENDS: IdSpace.PERSON,
    ListKind.GROUPS: IdSpace.GROUP,
    ListKind.DISCUSSES: IdSpace.DISCUSS,
}
_CHATS = {
    ChatKind.FRIEND: IdSpace.PERSON,
    ChatKind.TEMP: IdSpace.PERSON,
    ChatKind.GROUP: IdSpace.GROUP,
    ChatKind.DISCUSS: IdSpace.DISCUSS,
}
_Key = Callable[["Record | Contact"], str]
PLACES = 65_536  # pairs of chat and speaker whose names are at hand; half a kilobyte each
FRIENDS = "friends"  # the scope of friends; members have their chat's stable address as theirs
ALIAS = "-"  # the scope of a second id of somebody who was a stranger until a number told who it is


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a contact across restarts and logins.

    `scope`: where its names are compared. `seen`: when a list last had it, in seconds. `momentary` was
    its id in the login of number `session`.
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
    """Both directions between stable and momentary ids. No I/O: what is `changed` is to be stored."""

    def __init__(self, records: Iterable[Record] = (), session: int = 0, account: str = "") -> None:
        self._records: dict[tuple[IdSpace, str], Record] = {}
        self._by_scoped_id: dict[tuple[IdSpace, str], _Known] = {}
        self._by_stable_id: dict[tuple[IdSpace, str], str] = {}
        self._cards: dict[tuple[str, str], str] = {}
        self._places: dict[tuple[Address | None, str, str], Participants] = {}
        self._changed: dict[tuple[IdSpace, str], Record] = {}
        self.generation = session
        self.account = account
        for record in sorted(records, key=_aliases_last, reverse=True):
            self._records[record.space, record.stable] = record
            if record.generation == session and record.session_scoped_id:
                name = record.remark or record.nick
                contact = Contact(
                    record.session_scoped_id, name, nick=record.nick, remark=record.remark, qq=record.qq
                )
                self._bind(record.space, contact, record, record.identity)

    def start_generation(self, account: str = "") -> None:
        """A login with new momentary ids: nobody is reachable until met again.

        Another account's contacts are known again by their numbers alone: a name is somebody else there.
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
        self._places.clear()

    def copy(self) -> "Directory":
        """The same, apart: whoever is met there is not met here."""
        other = Directory(session=self.generation, account=self.account)
        other._records = self._records
        other._by_scoped_id = self._by_scoped_id.copy()
        other._by_stable_id = self._by_stable_id.copy()
        other._cards = self._cards
        return other

    def drain_changes(self) -> tuple[Record, ...]:
        """The records that are new or different since this was asked last."""
        records = tuple(self._changed.values())
        self._changed.clear()
        return records

    # --- lists ---------------------------------------------------------------------------------

    def update(self, listed: ContactList, now: float) -> tuple[tuple[str, Contact, Identity], ...]:
        """Take in a whole list; returns its contacts with their stable ids."""
        self._places.clear()
        space = _SPACES.get(listed.kind, IdSpace.PERSON)
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
        """Give momentary ids back the stable ids of those they surely are."""
        mine = [record for record in self._records.values() if record.space is space]
        self._match_numbers(space, mine, contacts)
        strangers = [contact for contact in contacts if (space, contact.id) not in self._by_scoped_id]
        if not strangers:
            return
        self._match_ids(space, mine, strangers)
        # Names are compared with the last list alone: those who had left before may share them.
        latest = max((record.seen for record in mine if record.scope == scope), default=0)
        last = [record for record in mine if record.scope == scope and record.seen == latest]
        for key in (_mark, _nick):
            self._match_names(space, key, last, contacts)

    def _match_numbers(self, space: IdSpace, mine: list[Record], contacts: tuple[Contact, ...]) -> None:
        """Whoever has a number known before is that one, even if met as a stranger a moment ago.

        The id of that stranger goes on leading there: it may have been told.
        """
        numbers: dict[str, list[Record]] = {}
        for record in sorted(mine, key=_aliases_last):
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

    def _match_ids(self, space: IdSpace, mine: list[Record], strangers: list[Contact]) -> None:
        """Ids may outlive a new link: the same one under the same names is no coincidence."""
        last = {
            record.session_scoped_id: record for record in mine if record.generation == self.generation - 1
        }
        for contact in strangers:
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
            # Two numbers that are known and differ are proof of two people.
            if self._is_free(record) and not (record.qq and contact.qq and record.qq != contact.qq):
                self._bind(space, contact, record, Identity.MATCHED)

    def _is_free(self, record: Record) -> bool:
        return (record.space, record.stable) not in self._by_stable_id

    def _bind(self, space: IdSpace, contact: Contact, record: Record, identity: Identity) -> None:
        self._by_scoped_id[space, contact.id] = _Known(record.stable, identity, contact)
        self._by_stable_id[space, record.stable] = contact.id

    def _get_or_create(self, space: IdSpace, momentary: str, contact: Contact | None = None) -> _Known:
        known = self._by_scoped_id.get((space, momentary))
        if known is None:
            stable = self._allocate_id(space, momentary)
            known = _Known(stable, Identity.SESSION, contact or Contact(momentary, ""))
            self._by_stable_id[space, stable] = momentary
        if contact is not None:
            identity = Identity.EXACT if contact.qq else known.identity
            known = replace(known, contact=contact, identity=identity)
        self._by_scoped_id[space, momentary] = known
        return known

    def _store(self, space: IdSpace, known: _Known, scope: str, now: int) -> None:
        key, contact = (space, known.stable), known.contact
        former = self._records.get(key)
        mark, nick = contact.remark, contact.nick or contact.name
        # A friend met in a group stays a friend: it is among friends that its names are compared.
        if former is not None and former.scope == FRIENDS != scope:
            scope, mark, nick, now = FRIENDS, former.remark, former.nick, former.seen
        qq = contact.qq or (former.qq if former is not None else "")
        record = Record(
            space, known.stable, scope, qq, mark, nick, now, contact.id, self.generation, known.identity
        )
        if record != former:
            self._records[key] = self._changed[key] = record

    def _allocate_id(self, space: IdSpace, momentary: str) -> str:
        stable, turn = momentary, 0
        # Momentary ids are random: one may equal the stable id that somebody else keeps.
        while (space, stable) in self._records or (space, stable) in self._by_stable_id:
            stable, turn = f"{momentary}{turn}", turn + 1
        return stable

    # --- events --------------------------------------------------------------------------------

    def locate(self, event: Message | Notice) -> Participants:
        """Where an event happened and who caused it, in stable ids. Strangers are met here."""
        key = (event.chat, event.sender, event.qq if isinstance(event, Message) else "")
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= PLACES:
                self._places.clear()
            place = self._places[key] = self._locate(event)
        return place

    def _locate(self, event: Message | Notice) -> Participants:
        chat = None if event.chat is None else self.address(event.chat)
        party = sender = None
        if event.chat is not None and chat is not None:
            known = self._get_or_create(_CHATS[event.chat.kind], event.chat.id)
            party = ContactRef(chat.id, known.contact.name, known.identity, qq=known.contact.qq)
        if event.sender:
            known = self._get_or_create(IdSpace.PERSON, event.sender)
            qq = (event.qq if isinstance(event, Message) else "") or known.contact.qq
            card = self._cards.get((str(chat), event.sender), "")
            identity = Identity.EXACT if qq else known.identity
            sender = ContactRef(known.stable, known.contact.name, identity, card, qq)
        return Participants(chat, party, sender)

    def address(self, address: Address) -> Address:
        """The same conversation in stable ids."""
        known = self._get_or_create(_CHATS[address.kind], address.id)
        via = None if address.via is None else self.address(address.via)
        return Address(address.kind, known.stable, via)

    def resolve(self, address: Address) -> Address | None:
        """Where to send, in momentary ids; None where the contact cannot be reached in this session."""
        momentary = self._by_stable_id.get((_CHATS[address.kind], address.id))
        if momentary is None:
            return None
        if address.via is None:
            return Address(address.kind, momentary)
        via = self.resolve(address.via)
        return None if via is None else Address(address.kind, momentary, via)

    def names(self) -> Mapping[str, int]:
        """How many contacts are reachable now, by space."""
        return Counter(space.value for space, _ in self._by_scoped_id)


def _aliases_last(record: Record) -> bool:
    return record.scope == ALIAS


def _mark(who: Record | Contact) -> str:
    return who.remark


def _nick(who: Record | Contact) -> str:
    return who.nick or (who.name if isinstance(who, Contact) else "")
