"""Send messages, recall them, answer events in one step."""

from typing import Final

from adapter import pack
from consumers.onebot.actions.context import Context
from consumers.onebot.actions.messages import locate
from consumers.onebot.actions.params import (
    Params,
    boolean,
    message_ref,
    optional_id,
    required_id,
    text,
)
from consumers.onebot.actions.requests import answer_request
from consumers.onebot.answers import Answer, from_result, ok, pending
from consumers.onebot.chat_order import ChatOrder
from consumers.onebot.errors import ActionError, BadRequest
from consumers.onebot.numbers import number_entry, parse_integer
from consumers.onebot.outbox import Pending
from consumers.onebot.segments import Segment, fit_network, read_message

_GROUP_CHATS: Final = ("group:", "discuss:")


async def send_private_msg(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Send to a friend, or to a member of a group in a temporary chat."""
    user, group = required_id(params, "user_id"), optional_id(params, "group_id")
    segments = _message(params)
    async with order.turn(f"private:{user}"):
        chat = await context.private_address(user, group)
        written = await _write(context, chat, segments)
    return await _finish(context, chat, written)


async def send_group_msg(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Send to a group or a discussion."""
    group = required_id(params, "group_id")
    segments = _message(params)
    async with order.turn(f"group:{group}"):
        chat = await context.group_address(group)
        written = await _write(context, chat, segments)
    return await _finish(context, chat, written)


async def send_msg(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Send to a person or to a group, as the parameters say."""
    kind = text(params, "message_type")
    if kind not in {"", "private", "group"}:
        raise BadRequest("message_type is neither private nor group")
    if not kind:
        has_user, has_group = bool(optional_id(params, "user_id")), bool(optional_id(params, "group_id"))
        if has_user and has_group:
            # A private text must never become public.
            raise BadRequest("user_id and group_id are both given: say message_type")
        if not (has_user or has_group):
            raise BadRequest("user_id and group_id are both missing")
        kind = "group" if has_group else "private"
    send = send_group_msg if kind == "group" else send_private_msg
    return await send(context, order, params)


def _message(params: Params) -> list[Segment]:
    if "message" not in params:
        raise BadRequest("message is missing")
    return read_message(params["message"], auto_escape=boolean(params, "auto_escape", default=False))


async def _write(context: Context, chat: str, segments: list[Segment], cause: str = "") -> Pending:
    segments, quoted = await _with_network_ids(context, segments)
    network = context.account.current.network
    names = {}
    for one in segments:
        if one["type"] == "at" and one["data"]["qq"] != "all":
            names[one["data"]["qq"]] = await context.person_name(chat, one["data"]["qq"])
    fitted, replaced = fit_network(
        segments, network, is_group=chat.startswith(_GROUP_CHATS), name_of=lambda user: names.get(user, "")
    )
    for kind in sorted(replaced):
        words = "mentions are sent as @name" if kind == "at" else "quotations are left out"
        context.hint(f"{words}: the network ({network or 'unknown'}) or the chat has none")
    if not fitted:
        raise BadRequest("message is empty without its quotation")
    fields: dict[str, str | bytes] = {"to": chat, "body": pack({"segments": fitted})}
    if cause or quoted:
        fields["cause"] = cause or quoted
    return await context.outbox.write(fields, context.outbox.fresh_id())


async def _with_network_ids(context: Context, segments: list[Segment]) -> tuple[list[Segment], str]:
    """Return the segments with the network's ids in quotations, and the id of the event that is quoted."""
    changed: list[Segment] = []
    cause = ""
    for one in segments:
        number = parse_integer(one["data"].get("id")) if one["type"] == "reply" else None
        ref = None if number is None else number_entry(number)
        if ref is not None:
            try:
                found = await locate(context, ref)
            except ActionError:
                # It may be an id of the network, as it came.
                changed.append(one)
                continue
            cause = cause or found.event_id
            one = {"type": "reply", "data": {"id": found.network_id}}  # noqa: PLW2901 – the loop rebuilds
        changed.append(one)
    return changed, cause


async def _finish(context: Context, chat: str, written: Pending) -> Answer:
    sent = await written.wait()
    if sent.result is None:
        return pending(sent.entry)
    answer = from_result(sent.result)
    if answer["retcode"] == 0 and sent.result.message_id:
        context.index.numbers.put((chat, sent.result.message_id), answer["data"]["message_id"])
    return answer


# --- recall --------------------------------------------------------------------------------------


async def delete_msg(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Recall a message."""
    del order
    found = await locate(context, message_ref(params))
    fields: dict[str, str | bytes] = {"op": "recall", "message_id": found.network_id, "to": found.chat}
    written = await context.outbox.write(fields, context.outbox.fresh_id())
    sent = await written.wait()
    if sent.result is None:
        return pending(sent.entry)
    return from_result(sent.result, is_message=False)


# --- quick operations ----------------------------------------------------------------------------


async def handle_quick_operation(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Do what a bot answers to an event: reply, delete, approve."""
    event, operation = params.get("context"), params.get("operation")
    if not isinstance(event, dict) or not isinstance(operation, dict):
        raise BadRequest("context and operation are an event and an object")
    if event.get("post_type") == "request":
        if operation.get("approve") is None:
            return ok()
        reason = text(operation, "remark") or text(operation, "reason")
        is_approved = boolean(operation, "approve", default=True)
        return await answer_request(context, text(event, "flag"), reason, is_approved=is_approved)
    answer = ok()
    if operation.get("reply"):
        answer = await _reply(context, order, event, operation)
    if answer["status"] != "failed" and boolean(operation, "delete", default=False):
        answer = await delete_msg(context, order, event)
    return ok() if answer["status"] == "ok" else answer


async def _reply(context: Context, order: ChatOrder, event: Params, operation: Params) -> Answer:
    escape = boolean(operation, "auto_escape", default=False)
    segments = read_message(operation["reply"], auto_escape=escape)
    user = required_id(event, "user_id")
    is_group = event.get("message_type") == "group"
    if is_group and boolean(operation, "at_sender", default=True) and not event.get("anonymous"):
        segments = [
            {"type": "at", "data": {"qq": user}},
            {"type": "text", "data": {"text": " "}},
            *segments,
        ]
    cause = await _event_id(context, event)
    if is_group:
        group = required_id(event, "group_id")
        async with order.turn(f"group:{group}"):
            chat = await context.group_address(group)
            written = await _write(context, chat, segments, cause)
    else:
        sender = event.get("sender")
        parent = optional_id(sender, "group_id") if isinstance(sender, dict) else ""
        async with order.turn(f"private:{user}"):
            chat = await context.private_address(user, parent)
            written = await _write(context, chat, segments, cause)
    return await _finish(context, chat, written)


async def _event_id(context: Context, event: Params) -> str:
    """Return the id of the event on the bus that a bot's copy stands for; empty if it is not kept."""
    ref = number_entry(parse_integer(event.get("message_id")) or 0)
    if ref is None or ref.was_sent:
        return ""
    received = await context.reader.event(ref.entry)
    return received.id if received else ""
