"""The table of actions, and the answer of one action in the dialect's own form."""

from typing import Any

from . import files, history, lookups, managing, sending
from .call import Call, Handler
from .dialects import Dialect
from .errors import ActionError, Failure

_LOOKUPS: dict[str, Handler] = {
    "get_login_info": lookups.get_login_info,
    "get_status": lookups.get_status,
    "get_version_info": lookups.get_version_info,
    "get_friend_list": lookups.get_friend_list,
    "get_stranger_info": lookups.get_stranger_info,
    "get_group_list": lookups.get_group_list,
    "get_group_info": lookups.get_group_info,
    "get_group_member_list": lookups.get_group_member_list,
    "get_group_member_info": lookups.get_group_member_info,
    "get_msg": history.get_msg,
    "get_forward_msg": history.get_forward_msg,
    "get_group_msg_history": history.get_group_msg_history,
    "get_group_system_msg": lookups.get_group_system_msg,
    "get_image": files.get_image,
    "can_send_image": lookups.say_yes,
    "can_send_record": lookups.say_yes,
    "mark_msg_as_read": lookups.get_empty,
    "clean_cache": lookups.get_empty,
}
_CHANGES: dict[str, Handler] = {
    "send_private_msg": sending.send_private_msg,
    "send_group_msg": sending.send_group_msg,
    "send_msg": sending.send_msg,
    "send_group_forward_msg": sending.send_forward,
    "send_private_forward_msg": sending.send_forward,
    "upload_group_file": sending.upload_file,
    "upload_private_file": sending.upload_file,
    "delete_msg": managing.delete_msg,
    "set_friend_add_request": managing.set_friend_add_request,
    "set_group_add_request": managing.set_group_add_request,
    "set_group_kick": managing.set_group_kick,
    "set_group_ban": managing.set_group_ban,
    "set_group_whole_ban": managing.set_group_whole_ban,
    "set_group_admin": managing.set_group_admin,
    "set_group_card": managing.set_group_card,
    "set_group_name": managing.set_group_name,
    "set_group_leave": managing.set_group_leave,
    "set_group_special_title": managing.set_group_special_title,
    "set_essence_msg": managing.set_essence_msg,
    "delete_essence_msg": managing.delete_essence_msg,
    "send_like": lookups.get_empty,
}
# Extensions that the three living implementations share, and those of the file streams.
_LIVING: dict[str, Handler] = {
    "get_friend_msg_history": history.get_friend_msg_history,
    "get_file": files.get_image,
    "get_record": files.get_image,
    "set_msg_emoji_like": managing.set_msg_emoji_like,
    "send_poke": managing.send_poke,
    "group_poke": managing.send_poke,
    "friend_poke": managing.send_poke,
    "set_input_status": lookups.get_empty,
    "nc_get_rkey": files.nc_get_rkey,
}
_STREAMS: dict[str, Handler] = {
    "download_file_stream": files.download_file_stream,
    "upload_file_stream": files.upload_file_stream,
}


def handler_of(action: str, traits: Dialect) -> Handler | None:
    """Return the handler of an action, aliases included; None if the dialect has none."""
    known = _LOOKUPS | _CHANGES
    known |= _LIVING if traits.name != "go-cqhttp" else {}
    known |= _STREAMS if traits.has_file_streams else {}
    for suffix in ("", *traits.alias_suffixes):
        if action.endswith(suffix) and action.removesuffix(suffix) in known:
            return known[action.removesuffix(suffix)]
    return None


async def perform(call: Call) -> dict[str, Any]:
    """Carry an action out; return its answer without the echo."""
    traits = call.state.traits
    handler = handler_of(call.action, traits)
    if handler is None:
        unknown = ActionError(Failure.UNKNOWN_ACTION, _unknown(call.action, traits), "API_NOT_FOUND")
        return failed(unknown, traits)
    try:
        return succeeded(await handler(call), traits)
    except ActionError as error:
        return failed(error, traits)


def _unknown(action: str, traits: Dialect) -> str:
    return {
        "napcat": f"不支持的API {action}",
        "llbot": f"{action} API 不存在",
        "go-cqhttp": "API不存在",
    }.get(traits.name, f"Unknown action: {action}")


def succeeded(data: object, traits: Dialect) -> dict[str, Any]:
    """Return the answer of an action that succeeded."""
    answer = {"status": "ok", "retcode": 0, "data": data, "message": "", "wording": ""}
    return answer | ({"stream": "normal-action"} if traits.has_stream_field else {})


def failed(error: ActionError, traits: Dialect) -> dict[str, Any]:
    """Return the answer of an action that failed."""
    answer: dict[str, Any] = {"status": "failed", "retcode": traits.codes[error.failure], "data": None}
    answer |= {name: error.code if name == "msg" else error.wording for name in traits.wording_fields}
    return answer | ({"stream": "normal-action"} if traits.has_stream_field else {})


def with_echo(answer: dict[str, Any], frame: dict[str, Any], traits: Dialect) -> dict[str, Any]:
    """Return an answer with the echo of its frame, or with what stands for a missing one."""
    if "echo" in frame:
        return {**answer, "echo": frame["echo"]}
    return {**answer, "echo": ""} if traits.is_absent_echo_answered else answer
