"""Approve and deny requests of friends and groups."""

from consumers.onebot.actions.context import Context
from consumers.onebot.actions.params import Params, boolean, text
from consumers.onebot.answers import Answer, from_result, pending
from consumers.onebot.chat_order import ChatOrder
from consumers.onebot.errors import BadRequest


async def set_friend_add_request(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Answer the request of a person to become a friend."""
    del order
    is_approved = boolean(params, "approve", default=True)
    return await answer_request(
        context, text(params, "flag"), text(params, "remark"), is_approved=is_approved
    )


async def set_group_add_request(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Answer the request of a person to join, or an invitation."""
    del order
    is_approved = boolean(params, "approve", default=True)
    return await answer_request(
        context, text(params, "flag"), text(params, "reason"), is_approved=is_approved
    )


async def answer_request(context: Context, flag: str, words: str, *, is_approved: bool) -> Answer:
    """Answer a request; `flag` is the id of its event. Raises BadRequest."""
    if not flag:
        raise BadRequest("flag is missing: it is that of the request")
    fields: dict[str, str | bytes] = {"op": "approve" if is_approved else "deny", "event": flag}
    if words:
        fields["text"] = words
    written = await context.outbox.write(fields, context.outbox.fresh_id())
    sent = await written.wait()
    return pending(sent.entry) if sent.result is None else from_result(sent.result, is_message=False)
