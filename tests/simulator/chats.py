"""Conversations by name: who says what where, in real numbers, made into poll items.

A chat is written `friend:<QQ>`, `group:<number>`, `discuss:<number>` or
`temp:<QQ>@group:<number>` (also `@discuss:`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import content, polls, wire
from .identity import Kind
from .journal import Uttered
from .mailbox import Letter
from .network import Network
from .polls import Head, Item
from .world import Discussion, Group, NotInWorldError


class ChatError(ValueError):
    """A chat is written wrongly or names nobody; the text says which."""


@dataclass(frozen=True)
class Chat:
    """A parsed chat. `number` is a QQ, group or discussion number; `room` that of a temporary chat."""

    kind: str
    number: int
    room_kind: str = ""
    room: int = 0


@dataclass(frozen=True)
class Said:
    """A message as it was typed, before anybody has momentary ids."""

    chat: Chat
    text: str | None
    content: list[Any] | None
    sender: int
    head: Head
    seq: int


def parse(chat: str) -> Chat:
    """Return the parts of a chat's name."""
    kind, _, rest = chat.partition(":")
    number, _, room = rest.partition("@")
    room_kind, _, room_number = room.partition(":")
    plain = kind in {"friend", "group", "discuss"} and not room
    temporary = kind == "temp" and room_kind in {"group", "discuss"} and room_number.isdecimal()
    if not number.isdecimal() or not (plain or temporary):
        raise ChatError(f"not a chat: {chat!r}")
    return Chat(kind, int(number), room_kind, int(room_number or 0))


def say(
    net: Network, chat: str, text: str | None, *, elements: list[Any] | None = None, sender: int | None = None
) -> Item:
    """Let somebody say something; return the poll item the client will get.

    Without a sender the first other member speaks. A sender who is no member speaks all the same:
    service texts came like that.
    """
    if (text is None) == (elements is None):
        raise ChatError("either text or content, not both and not neither")
    parsed = parse(chat)
    try:
        speaker = _speaker(net, parsed, sender)
    except NotInWorldError as exc:
        raise ChatError(str(exc)) from exc
    said = Said(parsed, text, elements, speaker, _head(net, f"{parsed.kind}:{speaker}"), _seq(net, parsed))
    item = _item(net, said)
    for element in elements or ():
        if isinstance(element, list) and element[:1] == [content.PICTURE]:
            net.pictures.setdefault(content.picture_name(element), net.mint.hexadecimal(32))
    post(net, item, said)
    words = text if text is not None else content.shown(elements or [])
    net.journal.say(lambda n: Uttered(n, chat, speaker, words, net.clock()))
    return item


def post(net: Network, item: Item, said: Said | None = None) -> None:
    """Put a poll item into the mailbox."""
    text = wire.dumps(item, ascii_only=net.options.ascii_json)
    again = None if said is None else lambda: wire.dumps(_item(net, said), ascii_only=net.options.ascii_json)
    net.mailbox.put(Letter(text, again), net.options.queue_limit)


def _speaker(net: Network, chat: Chat, sender: int | None) -> int:
    if chat.kind == "friend":
        if chat.number not in net.world.friends:
            raise NotInWorldError(f"no friend has the QQ number {chat.number}")
        return chat.number
    room = _room(net, chat)
    if chat.kind == "temp":
        return chat.number
    if sender is not None:
        return sender
    others = [member.qq for member in room.members if member.qq != net.account]
    if not others:
        raise NotInWorldError("nobody else is there to speak")
    return others[0]


def _room(net: Network, chat: Chat) -> Group | Discussion:
    kind, number = (chat.room_kind, chat.room) if chat.kind == "temp" else (chat.kind, chat.number)
    return net.world.group(number) if kind == "group" else net.world.discussion(number)


def _head(net: Network, channel: str) -> Head:
    """Return the head of a message; message numbers count apart for each sender's channel."""
    msg_id2 = net.rng.randrange(1, 1_000_000)
    return Head(net.count(channel), net.account, int(net.clock()), msg_id2, late=net.options.late_types)


def _seq(net: Network, chat: Chat) -> int:
    return net.count(f"seq:{chat.kind}:{chat.number}") if chat.kind in {"group", "discuss"} else 0


def _item(net: Network, said: Said) -> Item:
    options, chat, ids = net.options, said.chat, net.ids
    private = chat.kind in {"friend", "temp"}
    if said.content is not None:
        body = content.given(said.content, options, private=private)
    else:
        body = content.typed(said.text or "", options)
    uin = ids.of(Kind.PERSON, said.sender)
    rich = options.rich_values
    match chat.kind:
        case "friend":
            return polls.friend(said.head, body, rich=rich, uin=uin)
        case "group":
            gid, code = ids.of(Kind.GROUP, chat.number), ids.of(Kind.CODE, chat.number)
            return polls.group(
                said.head, body, rich=rich, gid=gid, code=code, uin=uin, seq=said.seq, number=chat.number
            )
        case "discuss":
            did = ids.of(Kind.DISCUSSION, chat.number)
            return polls.discussion(said.head, body, rich=rich, did=did, uin=uin, seq=said.seq)
        case _:
            grouped = chat.room_kind == "group"
            room = ids.of(Kind.GROUP if grouped else Kind.DISCUSSION, chat.room)
            return polls.temporary(
                said.head, body, rich=rich, uin=uin, qq=said.sender, room=room, service_type=int(not grouped)
            )


def echo(net: Network, chat: str, parts: list[Any]) -> None:
    """Bring a message the account sent back to it, under a sender's id as the option has it."""
    if net.options.echo == "off":
        return
    parsed = parse(chat)
    uin = (
        {"zero": 0, "own": net.account}.get(net.options.echo)
        if net.options.echo != "random"
        else net.ids.stray()
    )
    shown = [content.escaped(part, net.options) if isinstance(part, str) else part for part in parts]
    said = Said(parsed, None, shown, net.account, _head(net, "echo"), _seq(net, parsed))
    item = _item(net, said)
    value = item["value"]
    value["from_uin" if "send_uin" not in value else "send_uin"] = uin
    post(net, item)


def from_mapping(net: Network, value: Mapping[str, Any]) -> Item:
    """Say what a JSON object describes: chat and text or content, perhaps sender."""
    chat, text, elements, sender = (value.get(key) for key in ("chat", "text", "content", "sender"))
    if not isinstance(chat, str) or not isinstance(text, str | None) or not isinstance(elements, list | None):
        raise ChatError("chat and text are strings, content is an array")
    if not isinstance(sender, int | None):
        raise ChatError("sender is a QQ number")
    return say(net, chat, text, elements=elements, sender=sender)
