"""Hold the contacts of the present session and match them to QQ numbers. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from adapter.events import Address, ChatKind, Contact, ListKind, Message


def match_by_name(contacts: Iterable[Contact], listed: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Momentary id to number, where a name stands exactly once on both sides. Never a guess.

    Their lists show marks for friends, names for groups, nicks and cards for members: whoever has a
    name in any of these places lays claim to it, and a name claimed twice is nobody's.
    """
    theirs = [(name, qq) for name, qq in listed if name and qq]
    there = Counter(name for name, _ in theirs)
    claims: dict[str, set[str]] = {}
    for contact in contacts:
        for name in (contact.nick, contact.remark, str(contact.data.get("card", ""))):
            claims.setdefault(name, set()).add(contact.id)
    found: dict[str, set[str]] = {}
    for name, qq in theirs:
        if there[name] == 1 and len(claims.get(name, ())) == 1:
            found.setdefault(next(iter(claims[name])), set()).add(qq)
    return {uin: next(iter(numbers)) for uin, numbers in found.items() if len(numbers) == 1}


@dataclass(slots=True)
class Roster:
    """The contacts of the present session. A list that was never loaded is None, not empty."""

    friends: Mapping[str, Contact] | None = None
    groups: Mapping[str, Contact] | None = None
    discusses: Mapping[str, Contact] | None = None
    members: dict[str, Mapping[str, Contact]] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)

    def put(self, kind: ListKind, contacts: Iterable[Contact], of: Address | None = None) -> None:
        """Keep a whole list."""
        listed = {contact.id: contact for contact in contacts}
        match kind:
            case ListKind.FRIENDS:
                self.friends = listed
            case ListKind.GROUPS:
                self.groups = listed
            case ListKind.DISCUSSES:
                self.discusses = listed
            case ListKind.MEMBERS:
                self.members[str(of)] = listed

    def with_numbers(self, contacts: Iterable[Contact]) -> tuple[Contact, ...]:
        """The same contacts with the permanent numbers learnt so far."""
        return tuple(replace(c, qq=c.qq or self.numbers.get(c.id, "")) for c in contacts)

    def marks(self) -> Mapping[str, str]:
        """What we call our friends."""
        return {uin: friend.remark for uin, friend in (self.friends or {}).items() if friend.remark}

    def find(self, to: Address) -> Contact | None:
        """The contact behind an address; of a temporary conversation the member."""
        match to.kind:
            case ChatKind.FRIEND:
                return (self.friends or {}).get(to.id)
            case ChatKind.GROUP:
                return (self.groups or {}).get(to.id)
            case ChatKind.DISCUSS:
                return (self.discusses or {}).get(to.id)
            case ChatKind.TEMP:
                return self.members.get(str(to.via), {}).get(to.id)

    def knows(self, message: Message) -> bool:
        """Whether the speaker is somebody we can name."""
        match message.chat.kind:
            case ChatKind.FRIEND:
                return message.sender in (self.friends or {})
            case ChatKind.TEMP:
                return True  # a stranger by nature
            case _:
                return message.sender in self.members.get(str(message.chat), {})
