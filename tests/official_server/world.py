"""The people and groups around the bot; each exists as soon as it is named."""

from dataclasses import dataclass, field

from .ids import openid

APPID = "102000001"
SECRET = "3kQz8mVt0WxYbNcR"
BOT = "qqbus-bot"


class WorldError(ValueError):
    """No such chat; the text says what one looks like."""


@dataclass
class Person:
    """One user who talks to the bot in private."""

    name: str
    openid: str
    is_friend: bool = True
    accepts_proactive: bool = True
    refuses: bool = False
    last_word: float = 0.0
    wakeups: set[int] = field(default_factory=set)

    @property
    def chat(self) -> str:
        """Return the address in the control interface."""
        return f"friend:{self.name}"


@dataclass
class Group:
    """One group. `receives` is the owner's switch: `all`, `only_mention` or `mention_and_context`."""

    name: str
    openid: str
    has_bot: bool = True
    allows_proactive: bool = False
    is_muted: bool = False
    receives: str = "only_mention"
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def chat(self) -> str:
        """Return the address in the control interface."""
        return f"group:{self.name}"


Chat = Person | Group
_SWITCHES = {
    Person: {"is_friend", "accepts_proactive", "refuses"},
    Group: {"has_bot", "allows_proactive", "is_muted", "receives", "roles"},
}
RECEIVES = ("all", "only_mention", "mention_and_context")


class World:
    """All chats of one bot."""

    def __init__(self, appid: str, *, proactive_groups: bool) -> None:
        self.appid = appid
        self.proactive_groups = proactive_groups
        self._chats: dict[str, Chat] = {}
        self._by_openid: dict[tuple[type[Chat], str], Chat] = {}

    def chat(self, address: str) -> Chat:
        """Return a chat by `friend:NAME` or `group:NAME`."""
        if address not in self._chats:
            kind, _, name = address.partition(":")
            if kind not in {"friend", "group"} or not name:
                raise WorldError(f"a chat is friend:NAME or group:NAME, not {address!r}")
            made = self._person(name) if kind == "friend" else self._group(name)
            self._chats[address] = self._by_openid[type(made), made.openid] = made
        return self._chats[address]

    def group(self, address: str) -> Group:
        """Return a group by its address."""
        found = self.chat(address)
        if not isinstance(found, Group):
            raise WorldError(f"{address!r} is no group")
        return found

    def by_openid(self, kind: type[Chat], value: str) -> Chat | None:
        """Return the chat that a path of the API names."""
        return self._by_openid.get((kind, value))

    def member(self, group: Group, name: str) -> str:
        """Return the member_openid of a person in a group."""
        return openid(self.appid, group.chat, name)

    def bot_in(self, group: Group) -> str:
        """Return the bot's own member_openid in a group."""
        return self.member(group, BOT)

    def union(self, name: str) -> str:
        """Return the union_openid of a person."""
        return openid("union", "", name)

    def change(self, address: str, **switches: object) -> Chat:
        """Turn switches of a chat."""
        chat = self.chat(address)
        for name, value in switches.items():
            if name not in _SWITCHES[type(chat)]:
                raise WorldError(f"{address} has no switch {name!r}")
            if type(value) is not type(getattr(chat, name)):
                raise WorldError(f"{name} must be of type {type(getattr(chat, name)).__name__}")
            if name == "receives" and value not in RECEIVES:
                raise WorldError(f"receives must be one of {', '.join(RECEIVES)}")
            setattr(chat, name, value)
        return chat

    def _person(self, name: str) -> Person:
        return Person(name, openid(self.appid, "c2c", name))

    def _group(self, name: str) -> Group:
        return Group(name, openid(self.appid, "groups", name), allows_proactive=self.proactive_groups)
