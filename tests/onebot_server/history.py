"""Actions that look at messages: one by its id, and the histories, which differ by dialect."""

from collections.abc import Callable, Sequence
from typing import Any

from .addresses import Chat
from .call import Call
from .errors import refused
from .events import message_body
from .lookups import known_group
from .messages import Said
from .params import boolean, integer, words

# Messages of a history call without `count`.
_HISTORY_COUNT = 20


async def get_msg(call: Call) -> object:
    """Return a message that the implementation remembers."""
    said = call.state.messages.find(integer(call.params, "message_id"))
    if said is None:
        raise refused("消息不存在", "MSG_NOT_FOUND")
    return _shown(call, said)


def _shown(call: Call, said: Said) -> dict[str, Any]:
    kind = "message_sent" if said.sender == call.state.account else "message"
    body = message_body(call.state, said)
    body.setdefault("real_id", said.seq)
    return call.state.stamped(kind, said.time, **body)


async def get_forward_msg(call: Call) -> object:
    """Return the nodes of a forwarded chat that was sent here."""
    wanted = words(call.params, "message_id", words(call.params, "id"))
    said = call.state.messages.find(int(wanted)) if wanted.removeprefix("-").isdecimal() else None
    nodes = [one["data"].get("content") for one in said.segments if one["type"] == "forward"] if said else []
    if not nodes:
        raise refused("找不到相关的聊天记录", "MSG_NOT_FOUND")
    return {"messages": nodes[0]}


async def get_group_msg_history(call: Call) -> object:
    """Return the newest messages of a group, or those at an anchor, in the dialect's own way."""
    group = known_group(call)
    return _history(call, Chat("group", group.number))


async def get_friend_msg_history(call: Call) -> object:
    """Return the newest messages of a friend, or those at an anchor."""
    return _history(call, Chat("friend", integer(call.params, "user_id")))


def _history(call: Call, chat: Chat) -> object:
    said = call.state.messages.in_chat(chat)
    chosen = _HISTORIES[call.state.traits.history](call, said)
    return {"messages": [_shown(call, one) for one in chosen]}


def _napcat_history(call: Call, said: Sequence[Said]) -> Sequence[Said]:
    """Take a message id as anchor, which is included; without one the order flag is ignored."""
    count, anchor = integer(call.params, "count", _HISTORY_COUNT), integer(call.params, "message_seq", 0)
    if not anchor:
        return said[-count:]
    at = _index(said, lambda one: one.message_id == anchor)
    if boolean(call.params, "reverse_order", default=boolean(call.params, "reverseOrder", default=False)):
        return said[max(0, at + 1 - count) : at + 1]
    return said[at : at + count]


def _llbot_history(call: Call, said: Sequence[Said]) -> Sequence[Said]:
    """Take the sequence number of the newest wanted message as anchor."""
    count, anchor = integer(call.params, "count", _HISTORY_COUNT), integer(call.params, "message_seq", 0)
    return [one for one in said if not anchor or one.seq <= anchor][-count:]


def _snowluma_history(call: Call, said: Sequence[Said]) -> Sequence[Said]:
    """Take a message id as anchor; without one start from the newest that was seen itself."""
    count, anchor = integer(call.params, "count", _HISTORY_COUNT), integer(call.params, "message_id", 0)
    if anchor:
        return said[: _index(said, lambda one: one.message_id == anchor) + 1][-count:]
    seen = [index for index, one in enumerate(said) if not one.is_unseen]
    return said[: seen[-1] + 1][-count:] if seen else []


def _go_cqhttp_history(call: Call, said: Sequence[Said]) -> Sequence[Said]:
    """Take a sequence number as anchor, and go 19 messages back whatever `count` says."""
    anchor = integer(call.params, "message_seq", 0)
    return [one for one in said if not anchor or one.seq <= anchor][-_HISTORY_COUNT:]


_HISTORIES = {
    "napcat": _napcat_history,
    "llbot": _llbot_history,
    "snowluma": _snowluma_history,
    "go-cqhttp": _go_cqhttp_history,
}


def _index(said: Sequence[Said], matches: Callable[[Said], bool]) -> int:
    found = next((index for index, one in enumerate(said) if matches(one)), None)
    if found is None:
        raise refused("消息不存在", "MSG_NOT_FOUND")
    return found
