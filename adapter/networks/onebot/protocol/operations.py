"""Operations on their way out: the action that recalls a message, answers a request, or was asked for."""

import re
from collections.abc import Mapping
from typing import Final

from adapter.errors import SchemaError
from adapter.events import AnswerRequest, CallAction, Operation, Recall
from adapter.networks.onebot.protocol.dialects import Action
from adapter.networks.onebot.protocol.request_ids import decode_request

_ACTION: Final = re.compile(r"\.?[A-Za-z0-9_]{1,64}", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
# Actions that change nothing are not paced as messages are.
_LOOKS: Final = ("get_", "can_", "nc_get_", "fetch_")
_SUFFIX: Final = re.compile(r"_(?:async|rate_limited)$")
# Actions that take a user or a group: given both, implementations differ in whom they choose.
_EITHER: Final = frozenset({"send_msg", "send_forward_msg"})


def is_paced(operation: Operation) -> bool:
    """Whether an operation counts as a message for the pace of the account."""
    return isinstance(operation, CallAction) and not operation.action.startswith(_LOOKS)


def encode_operation(operation: Operation) -> Action:
    """Return the action of an operation. Raises SchemaError saying what to change."""
    match operation:
        case Recall(message_id):
            if not _NUMBER.fullmatch(message_id):
                raise SchemaError("message_id is no message id of OneBot: it is a number")
            return Action("delete_msg", {"message_id": int(message_id)})
        case AnswerRequest():
            return _answer(operation)
        case CallAction(action, params):
            _check_call(action, params)
            return Action(action, params)


def _answer(operation: AnswerRequest) -> Action:
    request = operation.request
    found = decode_request(request.message_id)
    if found is None or (request.chat is None) != (found.sub_type == ""):
        raise SchemaError("event is not the id of a friend or group request that can be answered")
    answer: dict[str, object] = {"flag": found.flag, "approve": operation.is_approved}
    if request.chat is None:
        return Action("set_friend_add_request", {**answer, "remark": operation.text})
    return Action("set_group_add_request", {**answer, "sub_type": found.sub_type, "reason": operation.text})


def _check_call(action: str, params: Mapping[str, object]) -> None:
    """Refuse names that are none, and calls by which a private text could become public."""
    if not _ACTION.fullmatch(action):
        raise SchemaError("action is not the name of an action: letters, digits and _")
    name = _SUFFIX.sub("", action)
    if not params.get("group_id"):
        return
    if name in _EITHER and params.get("user_id"):
        raise SchemaError(f"{action} with user_id and group_id may reach either: give one of them")
    if "private" in name:
        raise SchemaError(
            f"{action} with group_id may reach the whole group: send to temp:<user>@group:<group> instead"
        )
