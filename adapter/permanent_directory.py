"""The directory of a network whose ids are permanent: nothing is matched, each id names one contact for ever.

A decimal id is its own stable id, a number that was never met can be addressed, and no name decides
anything. Other ids get a decimal stable id that is computed from them, so that each process finds the same
one; what it stands for is stored. Nothing that another network left in the same Redis is read.
"""

import hashlib
import itertools
from collections.abc import Iterable
from typing import Final

from adapter.directory import (
    CACHED_PARTICIPANTS,
    CHAT_SPACES,
    LIST_SPACES,
    Directory,
    IdSpace,
    Record,
)
from adapter.events import (
    Address,
    Contact,
    ContactList,
    ContactRef,
    Identity,
    Message,
    Notice,
    Participants,
    Profile,
)

# Digits of an id that is its own stable id; longer ones are no addresses of the contract.
_MAX_DIGITS: Final = 20
# Bits of a computed id: as a number of JSON it is exact in every language.
_COMPUTED_BITS: Final = 53
# People whose names are remembered, at 300 bytes each; beyond it all are forgotten until the next list.
_MAX_NAMES: Final = 200_000

_Key = tuple[Address | None, str, Profile, str]


class PermanentDirectory:
    """Names of contacts by id. No I/O: the caller stores what `drain_changes` returns."""

    def __init__(self, records: Iterable[Record] = (), account: str = "") -> None:
        self.generation = 0
        self.account = account
        self._contacts: dict[tuple[IdSpace, str], Contact] = {}
        self._cards: dict[tuple[str, str], str] = {}
        self._participants: dict[_Key, Participants] = {}
        self._originals: dict[tuple[IdSpace, str], str] = {
            (record.space, record.stable): record.session_scoped_id for record in records
        }
        self._changed: list[Record] = []

    def start_generation(self, account: str = "") -> None:
        """Begin a login. Ids outlive it; only the account may be another one."""
        self.account = account or self.account

    def drain_changes(self) -> tuple[Record, ...]:
        """Return the computed ids that are new since the last call."""
        records = tuple(self._changed)
        self._changed.clear()
        return records

    def update(self, listed: ContactList, now: float) -> tuple[tuple[str, Contact, Identity], ...]:
        """Apply a whole list; returns its contacts with stable ids."""
        del now
        self._participants.clear()
        space = LIST_SPACES.get(listed.kind, IdSpace.PERSON)
        scope = "" if listed.of is None else str(self.address(listed.of))
        if len(self._contacts) + len(listed.contacts) > _MAX_NAMES:
            self._contacts.clear()
            self._cards.clear()
        rows = []
        for contact in listed.contacts:
            stable = self._stable(space, contact.id)
            if listed.of is None:
                self._contacts[space, stable] = contact
            else:
                # A friend that is also a member keeps its remark.
                self._contacts.setdefault((space, stable), contact)
                self._cards[scope, stable] = str(contact.data.get("card", ""))
            rows.append((stable, contact, Identity.EXACT))
        return tuple(rows)

    def locate(self, event: Message | Notice) -> Participants:
        """Return chat and sender of an event, with the names of the event and of the lists."""
        key = (event.chat, event.sender, event.profile, event.chat_name)
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
            name = self._name(CHAT_SPACES[chat.kind], chat.id, event.chat_name)
            chat_contact = ContactRef(chat.id, name, Identity.EXACT)
        if event.sender:
            stable, profile = self._stable(IdSpace.PERSON, event.sender), event.profile
            sender = ContactRef(
                stable,
                self._name(IdSpace.PERSON, stable, profile.name),
                Identity.EXACT,
                profile.card or self._cards.get((str(chat), stable), ""),
                event.qq,
                profile.role,
                profile.anonymous,
            )
        return Participants(chat, chat_contact, sender)

    def _name(self, space: IdSpace, stable: str, given: str) -> str:
        """Return the account's own remark, else the name that the event says, else that of the lists."""
        contact = self._contacts.get((space, stable))
        if contact is None:
            return given
        return contact.remark or given or contact.name

    def address(self, address: Address) -> Address:
        """Return the same conversation with stable ids."""
        stable = self._stable(CHAT_SPACES[address.kind], address.id)
        if address.via is None:
            return address if stable == address.id else Address(address.kind, stable)
        via = self.address(address.via)
        if stable == address.id and via is address.via:
            return address
        return Address(address.kind, stable, via)

    def resolve(self, address: Address) -> Address | None:
        """Return where to send, with the network's ids."""
        original = self._originals.get((CHAT_SPACES[address.kind], address.id), address.id)
        via = None if address.via is None else self.resolve(address.via)
        return Address(address.kind, original, via)

    def _stable(self, space: IdSpace, original: str) -> str:
        if original.isdecimal() and original.isascii() and len(original) <= _MAX_DIGITS:
            return original
        stable = next(
            one
            for one in (compute_stable_id(space, original, turn) for turn in itertools.count())
            if self._originals.get((space, one), original) == original
        )
        if (space, stable) not in self._originals:
            self._originals[space, stable] = original
            self._changed.append(Record(space, stable, session_scoped_id=original, identity=Identity.EXACT))
        return stable


def compute_stable_id(space: IdSpace, original: str, turn: int = 0) -> str:
    """Return the decimal id that stands for an id which is no number.

    A higher `turn` gives another one, for the odd case that two contacts would share it.
    """
    name = f"{space.value}:{original}" + (f":{turn}" if turn else "")
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return str(int.from_bytes(digest[:8]) >> 64 - _COMPUTED_BITS)


AnyDirectory = Directory | PermanentDirectory
