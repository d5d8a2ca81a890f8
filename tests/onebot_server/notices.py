"""Notices and requests of every kind; each method changes the world and returns the event."""

from typing import Any

from .errors import ControlError
from .messages import Said
from .state import State

Event = dict[str, Any]


class Notices:
    """Makes the events that are no messages."""

    def __init__(self, state: State) -> None:
        self._state = state

    def _notice(self, kind: str, **fields: Any) -> Event:
        return self._state.stamped("notice", notice_type=kind, **fields)

    def _notify(self, sub_type: str, **fields: Any) -> Event:
        return self._notice("notify", sub_type=sub_type, **fields)

    # Members of a group

    def group_increase(self, group: int, user: int, sub_type: str = "approve", operator: int = 0) -> Event:
        """Let a member join; `sub_type` is approve or invite."""
        self._state.world.join(group, user)
        return self._notice(
            "group_increase", sub_type=sub_type, group_id=group, user_id=user, operator_id=operator
        )

    def group_decrease(self, group: int, user: int, sub_type: str = "leave", operator: int = 0) -> Event:
        """Let a member go; `sub_type` is leave, kick, kick_me or disband."""
        gone = self._state.account if sub_type in {"kick_me", "disband"} else user
        self._state.world.leave(group, gone)
        return self._notice(
            "group_decrease", sub_type=sub_type, group_id=group, user_id=gone, operator_id=operator or user
        )

    def group_dismiss(self, group: int, operator: int = 0) -> Event:
        """Dissolve a group in LLBot's own form."""
        self._state.world.leave(group, self._state.account)
        return self._notice(
            "group_dismiss", group_id=group, user_id=self._state.account, operator_id=operator
        )

    def group_admin(self, group: int, user: int, *, is_set: bool = True) -> Event:
        """Make a member an administrator, or end that."""
        self._member(group, user).role = "admin" if is_set else "member"
        return self._notice(
            "group_admin", sub_type="set" if is_set else "unset", group_id=group, user_id=user
        )

    def group_ban(self, group: int, user: int = 0, operator: int = 0, duration: int = 600) -> Event:
        """Mute a member, or all with user 0 and duration -1; a duration of 0 lifts it."""
        if user:
            self._member(group, user).muted_until = self._state.now() + duration if duration else 0
        else:
            self._state.world.group(group).is_muted = duration != 0
        return self._notice(
            "group_ban",
            sub_type="ban" if duration else "lift_ban",
            group_id=group,
            user_id=user,
            operator_id=operator,
            duration=duration,
        )

    def group_card(self, group: int, user: int, card: str) -> Event:
        """Change a member's card."""
        member = self._member(group, user)
        former, member.card = member.card, card
        return self._notice("group_card", group_id=group, user_id=user, card_new=card, card_old=former)

    def title(self, group: int, user: int, title: str) -> Event:
        """Give a member a special title."""
        self._member(group, user).title = title
        return self._notify("title", group_id=group, user_id=user, title=title)

    def group_name(self, group: int, user: int, name: str) -> Event:
        """Rename a group."""
        self._state.world.group(group).name = name
        return self._notify("group_name", group_id=group, user_id=user, name_new=name)

    def group_upload(self, group: int, user: int, name: str = "文件.txt", size: int = 12) -> Event:
        """Upload a file to a group."""
        file = {"id": f"/{self._state.now()}-{size}", "name": name, "size": size, "busid": 102}
        return self._notice("group_upload", group_id=group, user_id=user, file=file)

    def honor(self, group: int, user: int, honor_type: str = "talkative") -> Event:
        """Give a member an honour."""
        return self._notify("honor", group_id=group, user_id=user, honor_type=honor_type)

    def lucky_king(self, group: int, user: int, target: int) -> Event:
        """Name the luckiest taker of a red packet."""
        return self._notify("lucky_king", group_id=group, user_id=user, target_id=target)

    # Messages

    def recall(self, message_id: int, operator: int = 0) -> Event:
        """Recall a message; NapCat names the sender of a private one, others the friend."""
        said = self._said(message_id)
        said.is_recalled = True
        if said.chat.kind == "group":
            return self._notice(
                "group_recall",
                group_id=said.chat.peer,
                user_id=said.sender,
                operator_id=operator or said.sender,
                message_id=message_id,
            )
        user = said.sender if self._state.traits.name == "napcat" else said.chat.peer
        return self._notice("friend_recall", user_id=user, message_id=message_id)

    def essence(self, message_id: int, operator: int, *, is_added: bool = True) -> Event:
        """Mark a message of a group as essential, or end that."""
        said = self._said(message_id)
        return self._notice(
            "essence",
            sub_type="add" if is_added else "delete",
            group_id=said.chat.peer,
            message_id=message_id,
            sender_id=said.sender,
            operator_id=operator,
            user_id=said.sender,
        )

    def reaction(self, message_id: int, user: int, emoji: str = "76", *, is_added: bool = True) -> Event:
        """React to a message of a group with an emoji, or take that back."""
        said = self._said(message_id)
        return self._notice(
            "group_msg_emoji_like",
            group_id=said.chat.peer,
            user_id=user,
            message_id=message_id,
            likes=[{"emoji_id": emoji, "count": 1}],
            is_add=is_added,
        )

    def poke(self, user: int, target: int = 0, group: int = 0) -> Event:
        """Poke the account, or `target`, in a private chat or in a group."""
        place = {"group_id": group} if group else {"sender_id": user}
        return self._notify("poke", user_id=user, target_id=target or self._state.account, **place)

    def poke_recall(self, user: int, target: int = 0, group: int = 0) -> Event:
        """Take a poke back, a notice of LLBot alone."""
        return {**self.poke(user, target, group), "sub_type": "poke_recall"}

    def gray_tip(self, group: int, user: int, content: str = "提示") -> Event:
        """Show a grey line in a group, a notice of NapCat alone."""
        return self._notify(
            "gray_tip", group_id=group, user_id=user, message_id=0, busi_id="1061", content=content
        )

    # Friends and the account

    def friend_add(self, user: int) -> Event:
        """Become a friend."""
        self._state.world.befriend(user)
        return self._notice("friend_add", user_id=user)

    def input_status(self, user: int, text: str = "对方正在输入...", event_type: int = 1) -> Event:
        """Type."""
        return self._notify("input_status", user_id=user, group_id=0, event_type=event_type, status_text=text)

    def profile_like(self, user: int, times: int = 1) -> Event:
        """Like the account's profile."""
        nick = self._state.world.nickname_of(user)
        return self._notify("profile_like", operator_id=user, operator_nick=nick, times=times)

    def offline_file(self, user: int, name: str = "文件.txt", size: int = 12) -> Event:
        """Send a file to the account, go-cqhttp's form."""
        file = {"name": name, "size": size, "url": f"{self._state.pictures.origin}/pictures/{name}?rkey=0"}
        return self._notice("offline_file", user_id=user, file=file)

    def client_status(self, *, online: bool = True) -> Event:
        """Log in or out on another device, go-cqhttp's form."""
        client = {"app_id": 16, "device_name": "PC", "device_kind": "Windows"}
        return self._notice("client_status", client=client, online=online)

    def flash_file(self, user: int, title: str = "闪传") -> Event:
        """Send a flash transfer, a notice of LLBot alone."""
        return self._notice(
            "flash_file", sub_type="downloading", user_id=user, title=title, file_set_id="f-1"
        )

    def bot_offline(self, message: str = "您的账号已在另一台终端登录", tag: str = "下线通知") -> Event:
        """Say that QQ is offline, a notice of NapCat alone."""
        return self._notice("bot_offline", user_id=self._state.account, tag=tag, message=message)

    # Requests

    def friend_request(self, user: int, comment: str = "你好") -> Event:
        """Ask to become a friend."""
        pending = self._state.requests.add(
            "friend", "", user, 0, comment, flags=self._state.traits.name, now=self._state.now()
        )
        return self._state.stamped(
            "request", request_type="friend", user_id=user, comment=comment, flag=pending.flag
        )

    def group_request(self, group: int, user: int, sub_type: str = "add", comment: str = "") -> Event:
        """Ask to join a group (`add`), or invite the account into one (`invite`)."""
        pending = self._state.requests.add(
            "group", sub_type, user, group, comment, flags=self._state.traits.name, now=self._state.now()
        )
        return self._state.stamped(
            "request",
            request_type="group",
            sub_type=sub_type,
            group_id=group,
            user_id=user,
            comment=comment,
            flag=pending.flag,
        )

    def _member(self, group: int, user: int) -> Any:
        members = self._state.world.group(group).members
        if user not in members:
            raise ControlError(f"{user} is no member of group {group}")
        return members[user]

    def _said(self, message_id: int) -> Said:
        said = self._state.messages.find(message_id)
        if said is None:
            raise ControlError(f"no message {message_id} is remembered")
        return said


KINDS = frozenset(name for name in vars(Notices) if not name.startswith("_"))


def make(notices: Notices, kind: object, fields: dict[str, Any]) -> Event:
    """Return the event of a control request; raise ControlError for wrong fields."""
    if kind not in KINDS:
        raise ControlError(f"kind must be one of {', '.join(sorted(KINDS))}, not {kind!r}")
    try:
        made: Event = getattr(notices, str(kind))(**fields)
    except TypeError as exc:
        raise ControlError(str(exc).removeprefix("Notices.")) from exc
    return made
