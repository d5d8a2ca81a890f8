"""Actions that change something: recalls, requests, members, cards, pokes."""

from typing import Any

from .call import Call
from .errors import ControlError, bad_params, refused
from .messages import Said
from .notices import Notices
from .params import boolean, integer, words
from .record import Delivery

# Seconds that a member is muted for without a duration.
_BAN_SECONDS = 1_800


def _said(call: Call) -> Said:
    said = call.state.messages.find(integer(call.params, "message_id"))
    if said is None:
        raise refused("消息不存在", "MSG_NOT_FOUND")
    return said


def _role(call: Call, group: int) -> str:
    members = call.state.world.groups[group].members if group in call.state.world.groups else {}
    return members[call.state.account].role if call.state.account in members else ""


def _emit(call: Call, kind: str, **fields: Any) -> None:
    """Emit the notice of a change; refuse the action where the change makes no sense."""
    try:
        call.emit(getattr(Notices(call.state), kind)(**fields))
    except ControlError as exc:
        raise refused(str(exc)) from exc


async def delete_msg(call: Call) -> object:
    """Recall a message within QQ's limits of time and rank."""
    said, state = _said(call), call.state
    is_own = said.sender == state.account
    is_manager = said.chat.kind == "group" and _role(call, said.chat.peer) in {"owner", "admin"}
    if said.is_recalled:
        raise refused("消息已撤回", "RECALL_API_ERROR")
    if not is_manager and (not is_own or state.now() - said.time > state.options.recall_seconds):
        raise refused("撤回失败, 超时或没有权限", "RECALL_API_ERROR")
    _emit(call, "recall", message_id=said.message_id, operator=state.account)
    return None


async def set_friend_add_request(call: Call) -> object:
    """Answer a friend request; an unknown flag is refused, in NapCat's words."""
    pending = call.state.requests.find("friend", words(call.params, "flag"))
    if pending is None:
        raise refused("No such request", "FLAG_NOT_FOUND")
    approves = boolean(call.params, "approve", default=True)
    pending.answer, pending.words = "approved" if approves else "denied", words(call.params, "remark")
    if approves:
        call.state.world.befriend(pending.user, pending.words)
        _emit(call, "friend_add", user=pending.user)
    return None


async def set_group_add_request(call: Call) -> object:
    """Answer a group request; go-cqhttp alone needs its sub_type."""
    kind = words(call.params, "sub_type") or words(call.params, "type")
    if call.state.traits.is_request_sub_type_needed and kind not in {"add", "invite"}:
        raise bad_params("sub_type must be add or invite")
    pending = call.state.requests.find("group", words(call.params, "flag"))
    if pending is None:
        raise refused("No such request", "FLAG_NOT_FOUND")
    approves = boolean(call.params, "approve", default=True)
    pending.answer, pending.words = "approved" if approves else "denied", words(call.params, "reason")
    if approves:
        joins = call.state.account if pending.sub_type == "invite" else pending.user
        how = {"invite": "invite", "add": "approve"}[pending.sub_type]
        operator = pending.user if pending.sub_type == "invite" else call.state.account
        _emit(call, "group_increase", group=pending.group, user=joins, sub_type=how, operator=operator)
    return None


def _managed(call: Call) -> int:
    """Return the group of an action that only its managers may do."""
    group = integer(call.params, "group_id")
    if _role(call, group) not in {"owner", "admin"}:
        raise refused("没有权限", "NO_PERMISSION")
    return group


async def set_group_kick(call: Call) -> object:
    """Remove a member."""
    group, user = _managed(call), integer(call.params, "user_id")
    _emit(call, "group_decrease", group=group, user=user, sub_type="kick", operator=call.state.account)
    return None


async def set_group_ban(call: Call) -> object:
    """Mute a member."""
    group, user = _managed(call), integer(call.params, "user_id")
    seconds = integer(call.params, "duration", _BAN_SECONDS)
    _emit(call, "group_ban", group=group, user=user, operator=call.state.account, duration=seconds)
    return None


async def set_group_whole_ban(call: Call) -> object:
    """Mute all members."""
    group = _managed(call)
    seconds = -1 if boolean(call.params, "enable", default=True) else 0
    _emit(call, "group_ban", group=group, user=0, operator=call.state.account, duration=seconds)
    return None


async def set_group_admin(call: Call) -> object:
    """Make a member an administrator."""
    group, user = _managed(call), integer(call.params, "user_id")
    _emit(call, "group_admin", group=group, user=user, is_set=boolean(call.params, "enable", default=True))
    return None


async def set_group_card(call: Call) -> object:
    """Change a card; the own one may always be changed."""
    user = integer(call.params, "user_id")
    group = integer(call.params, "group_id") if user == call.state.account else _managed(call)
    _emit(call, "group_card", group=group, user=user, card=words(call.params, "card"))
    return None


async def set_group_name(call: Call) -> object:
    """Rename a group."""
    group = _managed(call)
    _emit(call, "group_name", group=group, user=call.state.account, name=words(call.params, "group_name"))
    return None


async def set_group_leave(call: Call) -> object:
    """Leave a group."""
    group = integer(call.params, "group_id")
    _emit(call, "group_decrease", group=group, user=call.state.account, sub_type="leave")
    return None


async def set_group_special_title(call: Call) -> object:
    """Give a member a title."""
    group, user = _managed(call), integer(call.params, "user_id")
    _emit(call, "title", group=group, user=user, title=words(call.params, "special_title"))
    return None


async def set_essence_msg(call: Call) -> object:
    """Mark a message as essential."""
    _emit(call, "essence", message_id=_said(call).message_id, operator=call.state.account)
    return None


async def delete_essence_msg(call: Call) -> object:
    """End that a message is essential."""
    _emit(call, "essence", message_id=_said(call).message_id, operator=call.state.account, is_added=False)
    return None


async def set_msg_emoji_like(call: Call) -> object:
    """React to a message."""
    emoji, is_added = words(call.params, "emoji_id"), boolean(call.params, "set", default=True)
    said = _said(call)
    _emit(
        call, "reaction", message_id=said.message_id, user=call.state.account, emoji=emoji, is_added=is_added
    )
    return None


async def send_poke(call: Call) -> object:
    """Poke a person; recorded as a delivery of the segment `poke`."""
    user, group = integer(call.params, "user_id"), integer(call.params, "group_id", 0)
    chat = f"group:{group}" if group else f"friend:{user}"
    segments = [{"type": "poke", "data": {"qq": str(user)}}]
    state = call.state
    state.record.received.add(
        lambda n: Delivery(
            n, state.clock(), call.connection, call.number, chat, 0, "[poke]", segments, "action"
        )
    )
    _emit(call, "poke", user=state.account, target=user, group=group)
    return None
