"""Hold the contacts of the present session and match them to QQ numbers. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from adapter.events import Address, ChatKind, Contact, ListKind


def match_by_name(contacts: Iterable[Contact], listed: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map momentary ids to numbers where a name is unique on both sides.

    qun.qq.com lists remarks for friends, names for groups, nicks and cards for members. A contact claims
    each of its names. A name with two claimants matches none of them: a wrong match would be a guess.
    """
    listed = [(name, qq) for name, qq in listed if name and qq]
    listings = Counter(name for name, _ in listed)
    claims: dict[str, set[str]] = {}
    for contact in contacts:
        for name in (contact.nick, contact.remark, str(contact.data.get("card", ""))):
            claims.setdefault(name, set()).add(contact.id)
    found: dict[str, set[str]] = {}
    for name, qq in listed:
        if listings[name] == 1 and len(claims.get(name, ())) == 1:
            found.setdefault(next(iter(claims[name])), set()).add(qq)
    return {uin: next(iter(numbers)) for uin, numbers in found.items() if len(numbers) == 1}


@dataclass(slots=True)
class Roster:
    """Keep the lists of one session. A list that was never loaded is None, not empty."""

    friends: Mapping[str, Contact] | None = None
    groups: Mapping[str, Contact] | None = None
    discusses: Mapping[str, Contact] | None = None
    members: dict[str, Mapping[str, Contact]] = field(default_factory=dict)
    # Momentary id to permanent number.
    numbers: dict[str, str] = field(default_factory=dict)

    def put(self, kind: ListKind, contacts: Iterable[Contact], of: Address | None = None) -> None:
        """Replace a whole list."""
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
        """Return the contacts with the permanent numbers known so far."""
        return tuple(replace(c, qq=c.qq or self.numbers.get(c.id, "")) for c in contacts)

    def remarks(self) -> Mapping[str, str]:
        """Return the owner's names for friends, by momentary id."""
        return {uin: friend.remark for uin, friend in (self.friends or {}).items() if friend.remark}

    def find(self, to: Address) -> Contact | None:
        """Return the contact behind an address; for a temporary chat the member."""
        match to.kind:
            case ChatKind.FRIEND:
                return (self.friends or {}).get(to.id)
            case ChatKind.GROUP:
                return (self.groups or {}).get(to.id)
            case ChatKind.DISCUSS:
                return (self.discusses or {}).get(to.id)
            case ChatKind.TEMP:
                return self.members.get(str(to.via), {}).get(to.id)

    def find_speaker(self, chat: Address, sender: str) -> Contact | None:
        """Return the contact that spoke in a chat."""
        if chat.kind is ChatKind.FRIEND:
            return (self.friends or {}).get(sender)
        return self.members.get(str(chat), {}).get(sender)

    def knows(self, chat: Address, sender: str) -> bool:
        """Return whether a list names the speaker; a temporary chat needs none."""
        return chat.kind is ChatKind.TEMP or self.find_speaker(chat, sender) is not None
