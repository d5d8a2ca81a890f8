"""Find messages on the bus, and show them: get_msg and the histories."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapter import ReceivedMessage, SchemaError, parse_address, read_map
from consumers.onebot.actions.context import Context
from consumers.onebot.actions.params import Params, count, message_ref, required_id
from consumers.onebot.answers import Answer, ok
from consumers.onebot.chat_order import ChatOrder
from consumers.onebot.cq import encode_cq
from consumers.onebot.errors import ActionError
from consumers.onebot.events import quoted_ids, to_message
from consumers.onebot.numbers import EntryRef, entry_number, id_number, number_entry, parse_integer
from consumers.onebot.segments import to_onebot

# Messages of a history: as many as implementations give, and the most.
_HISTORY: Final = 20
MAX_HISTORY: Final = 1_000
_GONE: Final = "the message is not on the bus (any more)"


@dataclass(frozen=True, slots=True)
class Located:
    """Where a message is for the network. `event_id`: of a message that was received."""

    chat: str
    network_id: str
    event_id: str = ""


async def locate(context: Context, ref: EntryRef) -> Located:
    """Find a message by its entry. Raises ActionError."""
    if not ref.was_sent:
        event = await context.reader.event(ref.entry)
        if not isinstance(event, ReceivedMessage) or not event.message_id:
            raise ActionError(_GONE)
        return Located(event.chat, event.message_id, event.id)
    result = await context.reader.result_of(ref.entry)
    if result is None or not result.message_id:
        raise ActionError(f"{_GONE}: no result names it")
    return Located(result.to, result.message_id)


async def get_msg(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show a message that was received or sent."""
    del order
    ref = message_ref(params)
    if ref.was_sent:
        return ok(await _sent(context, ref))
    event = await context.reader.event(ref.entry)
    shown = await _show(context, event) if isinstance(event, ReceivedMessage) else None
    if shown is None:
        raise ActionError(_GONE)
    return ok(shown)


async def _show(context: Context, message: ReceivedMessage) -> dict[str, Any] | None:
    numbers = {}
    for one in quoted_ids(message):
        if number := context.index.numbers.get((message.chat, one)):
            numbers[one] = number
    event = to_message(message, numbers, as_text=context.options.is_text_format)
    return event and event | {"real_id": event["message_id"]}


async def _sent(context: Context, ref: EntryRef) -> dict[str, Any]:
    fields = await context.reader.request(ref.entry)
    if fields is None:
        raise ActionError(_GONE)
    result = await context.reader.result_of(ref.entry)
    chat = result.to if result else fields.get(b"to", b"").decode("utf-8", "replace")
    try:
        address = parse_address(chat)
    except SchemaError as exc:
        raise ActionError(_GONE) from exc
    segments = to_onebot(_request_segments(fields), lambda one: one)
    written = encode_cq(segments)
    account = context.account.current
    is_group = address.kind in ("group", "discuss")
    number = entry_number(ref.entry, was_sent=True)
    shown: dict[str, Any] = {
        "time": int(ref.entry.partition("-")[0]) // 1000,
        "message_type": "group" if is_group else "private",
        "message_id": number,
        "real_id": number,
        "self_id": id_number(account.number),
        "user_id": id_number(account.number),
        "sender": {
            "user_id": id_number(account.number),
            "nickname": account.nick,
            "sex": "unknown",
            "age": 0,
        },
        "message": written if context.options.is_text_format else segments,
        "raw_message": written,
        "font": 0,
    }
    return shown | ({"group_id": int(address.id)} if is_group else {"target_id": int(address.id)})


def _request_segments(fields: Mapping[bytes, bytes]) -> object:
    if text := fields.get(b"text"):
        return [{"type": "text", "data": {"text": text.decode("utf-8", "replace")}}]
    body = fields.get(b"body", b"")
    try:
        value = json.loads(body) if body[:1] == b"{" else read_map(body)
    except (SchemaError, ValueError):
        return []
    return value.get("segments") if isinstance(value, dict) else []


# --- histories -----------------------------------------------------------------------------------


async def get_group_msg_history(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show the messages of a group that the bus keeps, newest last."""
    del order
    chat = await context.group_address(required_id(params, "group_id"))
    return await _history(context, chat, params)


async def get_friend_msg_history(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Show the messages of a friend that the bus keeps, newest last."""
    del order
    chat = await context.private_address(required_id(params, "user_id"), "")
    return await _history(context, chat, params)


async def _history(context: Context, chat: str, params: Params) -> Answer:
    limit = count(params, "count", default=_HISTORY, most=MAX_HISTORY)
    until = "+"
    for name in ("message_id", "message_seq"):
        # 0 and nothing both ask for the newest.
        ref = number_entry(parse_integer(params.get(name)) or 0)
        if ref is not None:
            until = ref.entry
            break
    found = [one async for one in context.reader.messages(chat, limit, until=until)]
    shown = [await _show(context, one) for one in reversed(found)]
    return ok({"messages": [one for one in shown if one is not None]})
