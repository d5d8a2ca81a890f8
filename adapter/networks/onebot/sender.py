"""Sender: carries messages out, each to exactly the people it is meant for.

A private text must never become public. An implementation may send a private message to the whole group when
it is given a group and cannot find the user. Therefore:
- only `send_private_msg` and `send_group_msg` are used, never `send_msg`;
- a group is named in a private send only for a temporary session whose group is known;
- before the first such send to a person who was not heard from in that group, the implementation is asked
  whether the person is a member.
"""

from collections.abc import Callable
from typing import Final

from adapter.errors import TransportError
from adapter.events import Address, ChatKind, Outcome, Part, Status
from adapter.networks.onebot.client.connection import Connection
from adapter.networks.onebot.client.errors import CallTimeoutError
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.dialects import Dialect, can_send_file
from adapter.networks.onebot.protocol.messages import NO_GROUP
from adapter.networks.onebot.protocol.return_codes import Verdict, outcome_of
from adapter.networks.onebot.protocol.values import mapping, parse_id
from adapter.networks.onebot.recent_chats import RecentChats

# Within JSON texts quotation marks are escaped: these stand for segments alone.
_MENTION: Final = '{"type":"at",'
_FILE: Final = '{"type":"file",'


class MessageSender:
    """Sends parts on a proved connection. Never raises for a refusal: a refusal is an Outcome."""

    def __init__(self, chats: RecentChats, limits: Limits) -> None:
        self._chats = chats
        self._limits = limits

    async def send(
        self, connection: Connection, to: Address, part: Part, may_send: Callable[[], bool]
    ) -> Outcome | None:
        """Send one part. None: nothing has left, because it may not or because the connection is gone."""
        if (refusal := _refuse(to, part.content, connection.dialect)) is not None:
            return refusal
        try:
            if (refusal := await self._check_member(connection, to)) is not None:
                return refusal
            action, target = _target(to)
            params = f'{{{target},"message":{part.content}}}'
            answer = await connection.calls.call(
                action, params, seconds=self._limits.call_seconds, may_send=may_send
            )
        except TransportError as exc:
            return outcome_of_error(exc)
        return None if answer is None else outcome_of(answer)

    async def _check_member(self, connection: Connection, to: Address) -> Outcome | None:
        """Return a refusal unless a private text to a group's member is sure to stay private."""
        if to.via in (None, NO_GROUP) or to.via is None or self._chats.has_member(to.via.id, to.id):
            return None
        params = {"group_id": int(to.via.id), "user_id": int(to.id)}
        try:
            answer = await connection.calls.call(
                "get_group_member_info", params, seconds=self._limits.call_seconds
            )
        except CallTimeoutError as exc:
            return Outcome(Status.FAILED, "target.unknown", str(exc))
        if answer is None or answer.verdict is not Verdict.DONE:
            words = "" if answer is None else answer.words
            return Outcome(Status.FAILED, "target.unknown", f"no member of the group: {words}")
        if parse_id(mapping(answer.data).get("user_id")) != to.id:
            return Outcome(Status.FAILED, "target.unknown", "no member of the group")
        self._chats.confirm_member(to.via.id, to.id)
        return None


def outcome_of_error(error: TransportError) -> Outcome | None:
    """Return what became of a call without an answer; None if nothing of it was written."""
    if not error.may_have_sent:
        return None
    code = "upstream.timeout" if isinstance(error, CallTimeoutError) else "upstream.lost"
    return Outcome(Status.UNKNOWN, code, str(error))


def _refuse(to: Address, content: str, dialect: Dialect) -> Outcome | None:
    """Return a refusal for what would vanish without an error, or go nowhere."""
    if to.kind is ChatKind.DISCUSS or not (to.id.isascii() and to.id.isdecimal()):
        return Outcome(Status.FAILED, "target.unknown", f"{to} is no address of OneBot")
    if to.kind is not ChatKind.GROUP and _MENTION in content:
        return _unsupported("a mention is shown in groups alone: send the name as text")
    if _FILE in content and not can_send_file(dialect):
        return _unsupported(
            "go-cqhttp sends files by op=call and the actions upload_group_file and upload_private_file"
        )
    return None


def _unsupported(detail: str) -> Outcome:
    return Outcome(Status.FAILED, "content.unsupported", detail)


def _target(to: Address) -> tuple[str, str]:
    """Return the action, and the JSON of the parameters that name who gets the message."""
    if to.kind is ChatKind.GROUP:
        return "send_group_msg", f'"group_id":{int(to.id)}'
    if to.via is None or to.via == NO_GROUP:
        return "send_private_msg", f'"user_id":{int(to.id)}'
    return "send_private_msg", f'"user_id":{int(to.id)},"group_id":{int(to.via.id)}'
