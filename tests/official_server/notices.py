"""Events that are no messages, with the intent that brings each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .ids import Mint
from .world import Chat, Group, Person, World

GROUP_AND_C2C = 1 << 25
GROUP_MEMBERS = 1 << 24
INTERACTION = 1 << 26
AUDIT = 1 << 27


class NoticeError(ValueError):
    """No such notice, or not for such a chat."""


@dataclass(frozen=True)
class Notice:
    """The type, the intent bit and the body of one notice."""

    type: str
    intent: int
    body: Mapping[str, Any]
    is_anchor: bool = False


_FRIEND = {
    "FRIEND_ADD": {"is_friend": True},
    "FRIEND_DEL": {"is_friend": False},
    "C2C_MSG_REJECT": {"accepts_proactive": False},
    "C2C_MSG_RECEIVE": {"accepts_proactive": True},
}
_GROUP = {
    "GROUP_ADD_ROBOT": {"has_bot": True},
    "GROUP_DEL_ROBOT": {"has_bot": False},
    "GROUP_MSG_REJECT": {"allows_proactive": False},
    "GROUP_MSG_RECEIVE": {"allows_proactive": True},
}
_MEMBERS = ("GROUP_MEMBER_ADD", "GROUP_MEMBER_REMOVE")
# Events that a message may answer by event_id.
_ANCHORS = {"FRIEND_ADD", "C2C_MSG_RECEIVE", "GROUP_ADD_ROBOT", "GROUP_MSG_RECEIVE", "INTERACTION_CREATE"}


class Notices:
    """Build notices and turn the switches that they report."""

    def __init__(self, world: World, mint: Mint, clock: Callable[[], float]) -> None:
        self._world = world
        self._mint = mint
        self._clock = clock

    def make(self, kind: str, address: str, sender: str, **extra: Any) -> Notice:
        """Return a notice of a chat; `extra` replaces fields of its body."""
        chat = self._world.chat(address)
        if kind in _FRIEND and isinstance(chat, Person):
            self._world.change(address, **_FRIEND[kind])
            return self._notice(kind, GROUP_AND_C2C, self._friend(kind, chat), extra)
        if kind in _GROUP and isinstance(chat, Group):
            self._world.change(address, **_GROUP[kind])
            return self._notice(kind, GROUP_AND_C2C, self._group(chat, sender), extra)
        if isinstance(chat, Group) and kind in {*_MEMBERS, "GROUP_JOIN_REQUEST"}:
            intent = GROUP_MEMBERS if kind in _MEMBERS else GROUP_AND_C2C
            return self._notice(kind, intent, self._member(kind, chat, sender), extra)
        return self._other(kind, chat, sender, extra)

    def _notice(self, kind: str, intent: int, body: Mapping[str, Any], extra: Mapping[str, Any]) -> Notice:
        return Notice(kind, intent, {**body, **extra}, kind in _ANCHORS)

    def _other(self, kind: str, chat: Chat, sender: str, extra: Mapping[str, Any]) -> Notice:
        where = {"group_openid" if isinstance(chat, Group) else "openid": chat.openid}
        if kind == "SUBSCRIBE_MESSAGE_STATUS":
            return self._notice(kind, GROUP_AND_C2C, where | {"result": []}, extra)
        if kind in {"MESSAGE_AUDIT_PASS", "MESSAGE_AUDIT_REJECT"}:
            audit = {"audit_id": self._mint.hexadecimal(), "message_id": self._mint.message()}
            return self._notice(kind, AUDIT, audit, extra)
        if kind == "INTERACTION_CREATE":
            return self._notice(kind, INTERACTION, self._interaction(chat, sender), extra)
        raise NoticeError(f"no notice {kind!r} of {chat.chat}")

    def _friend(self, kind: str, person: Person) -> dict[str, Any]:
        body: dict[str, Any] = {"openid": person.openid, "timestamp": int(self._clock())}
        if kind == "FRIEND_ADD":
            author = {"union_openid": self._world.union(person.name)}
            body |= {"scene": 1001, "scene_param": "", "author": author}
        return body

    def _group(self, group: Group, sender: str) -> dict[str, Any]:
        return {
            "group_openid": group.openid,
            "op_member_openid": self._world.member(group, sender),
            "timestamp": int(self._clock()),
        }

    def _member(self, kind: str, group: Group, sender: str) -> dict[str, Any]:
        member = self._world.member(group, sender)
        body = {"group_openid": group.openid, "member_openid": member, "timestamp": int(self._clock())}
        if kind in _MEMBERS:
            return body | {"user_openid": ""}
        asked = {
            "join_request_id": self._mint.hexadecimal(),
            "username": sender,
            "apply_source": "self_apply",
        }
        return body | asked | {"apply_at": int(self._clock())}

    def _interaction(self, chat: Chat, sender: str) -> dict[str, Any]:
        body: dict[str, Any] = {"id": self._mint.hexadecimal(), "type": 11, "timestamp": int(self._clock())}
        if isinstance(chat, Group):
            who = {"group_openid": chat.openid, "group_member_openid": self._world.member(chat, sender)}
            body |= {"chat_type": 1, **who}
        else:
            body |= {"chat_type": 2, "user_openid": chat.openid}
        return body | {"data": {"type": 11, "resolved": {"button_id": "1", "button_data": "yes"}}}
