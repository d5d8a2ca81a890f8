"""What a poll brought, put in order and turned into events (3.3). Nothing upstream said is dropped.

Whether a message of unknown origin is our own echo needs to know more than one poll: see echo.py.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Message, SessionChange, SessionState, UpstreamEvent
from adapter.networks.smartqq.protocol.content import decode
from adapter.networks.smartqq.protocol.notices import NOTICES, other
from adapter.networks.smartqq.protocol.parsing import mapping, parse_id, parse_int, parse_text
from adapter.networks.smartqq.protocol.poll_item import PollItem

ONESELF: Final = "0"
KICKED: Final = "您的帐号在另一地点登录，您已被迫下线"
"""What the client says of a kick that comes without a reason to be shown."""


def parse_items(
    items: Sequence[object], *, account: str, now: float, keep_raw: bool = False
) -> list[UpstreamEvent]:
    """The events of one poll, oldest first. `account`: the own number, "" while unknown."""
    read = [PollItem.read(item, now=now, keep_raw=keep_raw) for item in items]
    return [_event(item, account) for item in _ordered(read)]


def _ordered(items: list[PollItem]) -> list[PollItem]:
    """Ascending by time and, within a group, by its counter.

    Early batches come newest first, so among equals the later one in the array is the older. What
    has no time (somebody types, somebody goes offline) keeps its place after what stood before it.
    Notices look early in late batches too: where there are messages, they tell.
    """
    talk = [item for item in items if item.kind in MESSAGES]
    if any(item.early for item in talk or items):
        items.reverse()
    moment = 0.0
    keyed: list[tuple[float, int, PollItem]] = []
    for item in items:
        moment = moment if item.time is None else item.time
        keyed.append((moment, parse_int(item.value.get("seq")) or 0, item))
    keyed.sort(key=lambda entry: entry[:2])
    return [item for _, _, item in keyed]


def _event(item: PollItem, account: str) -> UpstreamEvent:
    if item.kind == "kick_message":
        return _kick(item.value)
    try:
        if (read := MESSAGES.get(item.kind)) is not None:
            return read(item, account)
        if (tell := NOTICES.get(item.kind)) is not None:
            return tell(item)
    except ProtocolError as exc:
        return other(item, str(exc))
    return other(item)


def _kick(value: Mapping[str, object]) -> SessionChange:
    reason = parse_text(value.get("reason")) if parse_int(value.get("show_reason")) != 0 else ""
    return SessionChange(SessionState.KICKED, reason="kicked", detail=reason or KICKED)


# --- messages ----------------------------------------------------------------------------------


def _friend(item: PollItem, account: str) -> Message:
    sender = item.id("from_uin")
    partner = sender
    if _oneself(sender, account):
        to = parse_id(item.value.get("to_uin"))
        partner = sender if _oneself(to, account) else to or sender
    return _message(item, Address(ChatKind.FRIEND, partner), sender, account)


def _group(item: PollItem, account: str) -> Message:
    # Never by group_code: until 2015 that is another number.
    return _message(item, Address(ChatKind.GROUP, item.id("from_uin")), item.id("send_uin"), account)


def _discuss(item: PollItem, account: str) -> Message:
    # Early messages say 10000 in from_uin.
    did = parse_id(item.value.get("did")) or item.id("from_uin")
    return _message(item, Address(ChatKind.DISCUSS, did), item.id("send_uin"), account)


_THROUGH: Final = {0: ChatKind.GROUP, 1: ChatKind.DISCUSS}


def _temporary(item: PollItem, account: str) -> Message:
    sender = item.id("from_uin")
    kind = _THROUGH.get(parse_int(item.value.get("service_type")) or 0, ChatKind.GROUP)
    via = Address(kind, item.id("id"))
    return _message(item, Address(ChatKind.TEMP, sender, via), sender, account)


MESSAGES: Final[Mapping[str, Callable[[PollItem, str], Message]]] = {
    "message": _friend,
    "group_message": _group,
    "discu_message": _discuss,
    "sess_message": _temporary,
}


def _message(item: PollItem, chat: Address, sender: str, account: str) -> Message:
    segments, font = decode(item.value.get("content"), early=item.early)
    own = _oneself(sender, account)
    return Message(
        chat=chat,
        sender=account if own and account else sender,
        time=item.moment,
        segments=segments,
        message_id=parse_id(item.value.get("msg_id")),
        font=font,
        from_self=own,
        qq=_number(item.value.get("ruin")),
        upstream=item.upstream(),
        raw=item.raw,
    )


def _oneself(sender: str, account: str) -> bool:
    return sender == ONESELF or (bool(account) and sender == account)


def _number(value: object) -> str:
    number = parse_id(value)
    return "" if number == ONESELF else number


def poll_items(reply: Mapping[str, object]) -> Sequence[object]:
    """The array of a poll's answer, empty where there is none: `result` may be missing, text or null."""
    result = mapping(reply).get("result")
    return result if isinstance(result, list) else ()
