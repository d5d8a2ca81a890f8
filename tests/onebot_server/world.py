"""The people and groups around the account."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import ControlError

# A group of QQ has at most 3,000 members today; lists of 9,000 have been measured.
MAX_MEMBERS = 20_000
_FIRST_MEMBER = 5_000_000


@dataclass
class Person:
    """One QQ user."""

    qq: int
    nickname: str
    remark: str = ""
    sex: str = "unknown"
    age: int = 0


@dataclass
class Member:
    """One person inside a group."""

    qq: int
    nickname: str
    card: str = ""
    role: str = "member"
    title: str = ""
    level: str = "1"
    joined: int = 1_600_000_000
    spoke: int = 0
    muted_until: int = 0


@dataclass
class Group:
    """One group."""

    number: int
    name: str
    members: dict[int, Member] = field(default_factory=dict)
    max_members: int = 500
    is_muted: bool = False


@dataclass
class World:
    """The account, its friends and its groups; may be changed at any time."""

    account: int
    nickname: str = "机器人"
    friends: dict[int, Person] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)

    def group(self, number: int) -> Group:
        """Return a group of the account; raise ControlError if there is none."""
        if number not in self.groups:
            raise ControlError(f"no group {number}; known: {', '.join(map(str, self.groups))}")
        return self.groups[number]

    def nickname_of(self, qq: int) -> str:
        """Return the nickname of a person, a made-up one for a stranger."""
        if qq == self.account:
            return self.nickname
        if qq in self.friends:
            return self.friends[qq].nickname
        known = (group.members[qq].nickname for group in self.groups.values() if qq in group.members)
        return next(known, f"用户{qq}")

    def befriend(self, qq: int, remark: str = "") -> None:
        """Add a friend."""
        self.friends.setdefault(qq, Person(qq, self.nickname_of(qq), remark))

    def join(self, number: int, qq: int) -> None:
        """Add a member to a group; the account itself may join a group that is not known yet."""
        if qq == self.account:
            self.groups.setdefault(number, Group(number, f"群{number}"))
        self.group(number).members.setdefault(qq, Member(qq, self.nickname_of(qq)))

    def leave(self, number: int, qq: int) -> None:
        """Remove a member from a group, or the group if the account itself leaves."""
        if qq == self.account:
            self.groups.pop(number, None)
        elif number in self.groups:
            self.groups[number].members.pop(qq, None)

    def add_group(self, number: int, name: str, members: int = 0, people: Iterable[int] = ()) -> Group:
        """Make a group of the account, `people` and as many more invented members as asked for."""
        if members > MAX_MEMBERS:
            raise ControlError(f"a group has at most {MAX_MEMBERS} members here, not {members}")
        group = Group(number, name, max_members=max(500, members + 10))
        for qq in (self.account, *people):
            group.members[qq] = Member(qq, self.nickname_of(qq))
        for offset in range(members - len(group.members)):
            qq = _FIRST_MEMBER + offset
            group.members[qq] = Member(qq, f"成员{offset}", card=f"名片{offset}")
        self.groups[number] = group
        return group


def sample_world(account: int) -> World:
    """Return three friends and two groups, one of whose members is a stranger."""
    world = World(account)
    for qq, nickname, remark in ((10001, "小明", "明明"), (10002, "Alice", ""), (10003, "老王", "王哥")):
        world.friends[qq] = Person(qq, nickname, remark)
    lounge = world.add_group(30001, "茶馆", people=(10001, 10002, 10009))
    lounge.members[10001].role = "owner"
    lounge.members[10002].role = "admin"
    lounge.members[10002].card = "爱丽丝"
    lounge.members[10009].nickname = "路人"
    world.add_group(30002, "Testers", people=(10001, 10003))
    return world
