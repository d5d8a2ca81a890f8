"""What the implementations do differently, by the name that `get_version_info` gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from adapter.events import Address, ChatKind
from adapter.networks.onebot.protocol.messages import history_messages
from adapter.networks.onebot.protocol.values import mapping, parse_int, parse_text

# Messages that one history call returns at most; go-cqhttp returns as many whatever is asked for.
HISTORY_PAGE: Final = 20


class Dialect(Enum):
    """An implementation, by the words that its name holds in lower case; OTHER for all that are not known."""

    NAPCAT = "napcat"
    LLBOT = "llonebot"
    SNOWLUMA = "snowluma"
    GO_CQHTTP = "go-cqhttp"
    OTHER = ""


def dialect_of(version: object) -> Dialect:
    """Return the dialect of an answer to `get_version_info`."""
    name = parse_text(mapping(version).get("app_name")).lower()
    return next((one for one in Dialect if one.value and one.value in name), Dialect.OTHER)


@dataclass(frozen=True, slots=True)
class Action:
    """A call: the name of the action and its parameters."""

    name: str
    params: Mapping[str, object]


def history_action(dialect: Dialect, chat: Address, count: int, page: object = None) -> Action | None:
    """Return the call for the newest messages of a chat; None where the dialect has none.

    The parameter that names a place in the history means four different things: the id of the first
    message (NapCat), the sequence number (LLBot, go-cqhttp) or the id (SnowLuma) of the last. Without it
    all return the newest messages. Only go-cqhttp needs `page`, from `next_page`: it ignores `count`.
    """
    if chat.kind is ChatKind.GROUP:
        name, params = "get_group_msg_history", {"group_id": int(chat.id)}
    elif chat.kind is ChatKind.FRIEND and dialect is not Dialect.GO_CQHTTP:
        name, params = "get_friend_msg_history", {"user_id": int(chat.id)}
    else:
        return None
    if dialect is not Dialect.GO_CQHTTP:
        return Action(name, {**params, "count": count})
    return Action(name, params if page is None else {**params, "message_seq": page})


def next_page(dialect: Dialect, data: object) -> int | None:
    """Return what to ask for the messages before a history answer; None where one answer is all."""
    rows = history_messages(data)
    if dialect is not Dialect.GO_CQHTTP or not rows:
        return None
    oldest = min((seq for row in rows if (seq := parse_int(row.get("message_seq")))), default=0)
    return oldest - 1 if oldest > 1 else None


def can_send_file(dialect: Dialect) -> bool:
    """Whether a segment `file` is sent; go-cqhttp drops it and has upload actions instead."""
    return dialect is not Dialect.GO_CQHTTP
