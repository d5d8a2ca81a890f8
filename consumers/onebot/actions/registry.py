"""Find an action by its name and run it. Every action is answered, also one that does not exist."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from adapter import pack
from consumers.onebot.actions import contacts, messages, requests, sending, status
from consumers.onebot.actions.context import Context
from consumers.onebot.actions.params import Params
from consumers.onebot.answers import Answer, failed, from_error, from_result, ok, pending
from consumers.onebot.chat_order import ChatOrder
from consumers.onebot.errors import BAD_REQUEST, TOO_MANY, UNKNOWN_ACTION, ActionError

log = logging.getLogger("qqbus.gateway")

Handler = Callable[[Context, ChatOrder, Params], Awaitable[Answer]]

# Actions under way at a time, over all connections.
MAX_IN_FLIGHT: Final = 10_000
# The forms of a name that mean the same here: the adapter paces all sends, and all answers say the truth.
_SUFFIXES: Final = ("_async", "_rate_limited")
# Characters of an unknown name that the answer repeats.
_SHOWN: Final = 64

_HANDLERS: Final[Mapping[str, Handler]] = {
    "send_private_msg": sending.send_private_msg,
    "send_group_msg": sending.send_group_msg,
    "send_msg": sending.send_msg,
    "delete_msg": sending.delete_msg,
    ".handle_quick_operation": sending.handle_quick_operation,
    "get_msg": messages.get_msg,
    "get_group_msg_history": messages.get_group_msg_history,
    "get_friend_msg_history": messages.get_friend_msg_history,
    "get_login_info": contacts.get_login_info,
    "get_stranger_info": contacts.get_stranger_info,
    "get_friend_list": contacts.get_friend_list,
    "get_group_list": contacts.get_group_list,
    "get_group_info": contacts.get_group_info,
    "get_group_member_list": contacts.get_group_member_list,
    "get_group_member_info": contacts.get_group_member_info,
    "set_friend_add_request": requests.set_friend_add_request,
    "set_group_add_request": requests.set_group_add_request,
    "get_status": status.get_status,
    "get_version_info": status.get_version_info,
    "can_send_image": status.can_send_file,
    "can_send_record": status.can_send_file,
}
# Their answers are small, and waiting for one takes as long as the network does.
_SENDS: Final = frozenset(
    {
        *("send_private_msg", "send_group_msg", "send_msg", "delete_msg", ".handle_quick_operation"),
        *("set_friend_add_request", "set_group_add_request"),
    }
)


class Actions:
    """The actions of a gateway."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.in_flight = 0
        self.answered = 0

    async def run(self, order: ChatOrder, action: object, params: object) -> Answer:
        """Run an action and return its answer."""
        if self.in_flight >= MAX_IN_FLIGHT:
            return failed(TOO_MANY, f"{MAX_IN_FLIGHT} actions are under way: ask again later")
        if not isinstance(action, str) or not action:
            return failed(BAD_REQUEST, "action is missing or no text")
        if params is None:
            params = {}
        if not isinstance(params, Mapping):
            return failed(BAD_REQUEST, "params is no object")
        self.in_flight += 1
        try:
            return await self._run(order, action, params)
        except ActionError as exc:
            return from_error(exc)
        except UnicodeEncodeError:
            return failed(BAD_REQUEST, "a text holds half of a surrogate pair")
        finally:
            self.in_flight -= 1
            self.answered += 1

    def knows(self, action: str) -> bool:
        """Return whether the gateway has this action itself, or may ask the network for it."""
        return base_name(action) in _HANDLERS or self._context.options.may_call

    async def _run(self, order: ChatOrder, action: str, params: Params) -> Answer:
        handler = _HANDLERS.get(base_name(action))
        if handler is not None:
            return await handler(self._context, order, params)
        if not self._context.options.may_call:
            return failed(UNKNOWN_ACTION, f"the gateway has no action {action[:_SHOWN]!r}")
        return await self._call(action, params)

    async def _call(self, action: str, params: Params) -> Answer:
        body = pack({"action": action, "params": dict(params)})
        outbox = self._context.outbox
        ident = outbox.fresh_id()
        await outbox.confirm_call(ident, body)
        written = await outbox.write({"op": "call", "body": body}, ident)
        sent = await written.wait()
        if sent.result is None:
            return pending(sent.entry)
        answer = from_result(sent.result, is_message=False)
        if answer["retcode"] == 0:
            return ok(_json(sent.result.data))
        return answer


def base_name(action: str) -> str:
    """Return the name of an action without the suffixes that change nothing here."""
    for suffix in _SUFFIXES:
        action = action.removesuffix(suffix)
    return action


def is_send(action: object) -> bool:
    """Return whether an action waits for the network instead of showing what the bus keeps."""
    return isinstance(action, str) and base_name(action) in _SENDS


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
