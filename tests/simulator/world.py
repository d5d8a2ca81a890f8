"""The people, groups and discussions of the simulated account, in permanent numbers.

Data only: `sample` has a ready-made world, `identity` the momentary ids the network shows instead.
The world may change while the simulator runs; clients see it when they ask for the lists again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Person:
    """What everybody may know about a QQ number. `status` "offline" keeps it out of the online lists."""

    qq: int
    nick: str
    status: str = "offline"
    client_type: int = 1
    gender: str = "unknown"
    country: str = "中国"
    province: str = ""
    city: str = ""
    lnick: str = ""
    face: int = 0
    flag: int = 4194370
    vip_level: int = 0
    level: int = 16


@dataclass(frozen=True)
class Friend:
    """A person in the account's own list, with the name the account gave them ("" for none)."""

    person: Person
    mark: str = ""
    category: int = 0

    @property
    def qq(self) -> int:
        """The permanent number."""
        return self.person.qq


@dataclass(frozen=True)
class Member:
    """A person in a group or discussion, with their card there ("" for none)."""

    person: Person
    card: str = ""
    mflag: int = 0

    @property
    def qq(self) -> int:
        """The permanent number."""
        return self.person.qq


@dataclass(frozen=True)
class Group:
    """A group by its public number. `mask`: 0 notify, 1 silent, 2 blocked."""

    number: int
    name: str
    owner: int
    members: tuple[Member, ...]
    mark: str = ""
    memo: str = ""
    mask: int = 0
    level: int = 4
    created: int = 1231435199

    def member(self, qq: int) -> Member | None:
        """Return the member of that number."""
        return next((member for member in self.members if member.qq == qq), None)


@dataclass(frozen=True)
class Discussion:
    """A discussion; its number is ours alone, upstream had none that outlived a login."""

    number: int
    name: str
    owner: int
    members: tuple[Member, ...]

    def member(self, qq: int) -> Member | None:
        """Return the member of that number."""
        return next((member for member in self.members if member.qq == qq), None)


class NotInWorldError(LookupError):
    """The number names nobody and nothing here."""


@dataclass
class World:
    """Everything the account can see. Change it with the methods, or put new values into the dicts."""

    me: Person
    categories: dict[int, str] = field(default_factory=dict)
    friends: dict[int, Friend] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    discussions: dict[int, Discussion] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        me: Person,
        *,
        friends: Iterable[Friend] = (),
        groups: Iterable[Group] = (),
        discussions: Iterable[Discussion] = (),
        categories: dict[int, str] | None = None,
    ) -> "World":
        """Build a world from plain lists."""
        return cls(
            me,
            dict(categories or {}),
            {friend.qq: friend for friend in friends},
            {group.number: group for group in groups},
            {discussion.number: discussion for discussion in discussions},
        )

    def person(self, qq: int) -> Person:
        """Return the person of that number, from whichever list has them."""
        if qq == self.me.qq:
            return self.me
        if qq in self.friends:
            return self.friends[qq].person
        rooms: list[Group | Discussion] = [*self.groups.values(), *self.discussions.values()]
        for room in rooms:
            if member := room.member(qq):
                return member.person
        raise NotInWorldError(f"nobody has the QQ number {qq}")

    def knows(self, qq: int) -> bool:
        """Tell whether anybody here has that number."""
        try:
            self.person(qq)
        except NotInWorldError:
            return False
        return True

    def add_friend(self, friend: Friend) -> None:
        """Add a friend or put a new one in the place of the one with the same number."""
        self.friends[friend.qq] = friend

    def remove_friend(self, qq: int) -> None:
        """Remove a friend."""
        if self.friends.pop(qq, None) is None:
            raise NotInWorldError(f"no friend has the QQ number {qq}")

    def change_friend(self, qq: int, **changes: Any) -> None:
        """Change a friend's `mark` or `category`."""
        if qq not in self.friends:
            raise NotInWorldError(f"no friend has the QQ number {qq}")
        self.friends[qq] = replace(self.friends[qq], **changes)

    def change_person(self, qq: int, **changes: Any) -> None:
        """Change a person (nick, status, …) in every list that has them."""
        person = replace(self.person(qq), **changes)
        if qq == self.me.qq:
            self.me = person
        if qq in self.friends:
            self.friends[qq] = replace(self.friends[qq], person=person)
        for number, group in self.groups.items():
            self.groups[number] = replace(group, members=_with_person(group.members, person))
        for number, discussion in self.discussions.items():
            self.discussions[number] = replace(discussion, members=_with_person(discussion.members, person))

    def change_group(self, number: int, **changes: Any) -> None:
        """Change a group's name, mark, mask or members."""
        self.groups[number] = replace(self.group(number), **changes)

    def add_member(self, number: int, member: Member) -> None:
        """Let somebody join a group, or put a new entry in the place of theirs."""
        group = self.group(number)
        others = tuple(one for one in group.members if one.qq != member.qq)
        self.change_group(number, members=(*others, member))

    def remove_member(self, number: int, qq: int) -> None:
        """Let somebody leave a group."""
        group = self.group(number)
        self.change_group(number, members=tuple(one for one in group.members if one.qq != qq))

    def change_card(self, number: int, qq: int, card: str) -> None:
        """Give a member of a group another card ("" for none)."""
        member = self.group(number).member(qq)
        if member is None:
            raise NotInWorldError(f"group {number} has no member {qq}")
        changed = tuple(
            replace(one, card=card) if one.qq == qq else one for one in self.group(number).members
        )
        self.change_group(number, members=changed)

    def group(self, number: int) -> Group:
        """Return the group of that number."""
        if number not in self.groups:
            raise NotInWorldError(f"no group has the number {number}")
        return self.groups[number]

    def discussion(self, number: int) -> Discussion:
        """Return the discussion of that number."""
        if number not in self.discussions:
            raise NotInWorldError(f"no discussion has the number {number}")
        return self.discussions[number]


def _with_person(members: tuple[Member, ...], person: Person) -> tuple[Member, ...]:
    return tuple(replace(one, person=person) if one.qq == person.qq else one for one in members)
