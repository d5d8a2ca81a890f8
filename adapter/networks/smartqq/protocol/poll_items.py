"""Order the items of a poll and turn them into events (3.3). No item is dropped.

Whether a message is an echo of our own takes more than one poll to know: messages/echo.py decides it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Message, SessionChange, SessionState, UpstreamEvent
from adapter.networks.smartqq.protocol.content import decode
from adapter.networks.smartqq.protocol.notices import NOTICES, other
from adapter.networks.smartqq.protocol.parsing import mapping, parse_id, parse_int, parse_text
from adapter.networks.smartqq.protocol.poll_item import PollItem

# The id under which the server sometimes names the own account.
ONESELF: Final = "0"
# The official client's text for a kick without a reason of its own.
KICKED: Final = "您的帐号在另一地点登录，您已被迫下线"


def parse_items(
    items: Sequence[object], *, account: str, now: float, keep_raw: bool = False
) -> list[UpstreamEvent]:
    """Return the events of one poll, oldest first. `account`: the own number, "" if unknown."""
    read = [PollItem.read(item, now=now, keep_raw=keep_raw) for item in items]
    return [_event(item, account) for item in _ordered(read)]


def _ordered(items: list[PollItem]) -> list[PollItem]:
    """Sort by time and, within a group, by its counter.

    Early batches come newest first: among equals, the later one in the array is the older. An item without a
    time (typing, presence) stays behind the item before it. Notices look early in late batches too, so that
    messages decide, if there are any.
    """
    messages = [item for item in items if item.kind in MESSAGES]
    if any(item.early for item in messages or items):
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
        if (read_notice := NOTICES.get(item.kind)) is not None:
            return read_notice(item)
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
    if _is_oneself(sender, account):
        to = parse_id(item.value.get("to_uin"))
        partner = sender if _is_oneself(to, account) else to or sender
    return _message(item, Address(ChatKind.FRIEND, partner), sender, account)


def _group(item: PollItem, account: str) -> Message:
    # group_code is another number until 2015.
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
    from_self = _is_oneself(sender, account)
    return Message(
        chat=chat,
        sender=account if from_self and account else sender,
        time=item.moment,
        segments=segments,
        message_id=parse_id(item.value.get("msg_id")),
        font=font,
        from_self=from_self,
        qq=_parse_qq(item.value.get("ruin")),
        upstream=item.upstream(),
        raw=item.raw,
    )


def _is_oneself(sender: str, account: str) -> bool:
    return sender == ONESELF or (bool(account) and sender == account)


def _parse_qq(value: object) -> str:
    number = parse_id(value)
    return "" if number == ONESELF else number


def poll_items(reply: Mapping[str, object]) -> Sequence[object]:
    """Return a poll's items, () if `result` is missing, text or null."""
    result = mapping(reply).get("result")
    return result if isinstance(result, list) else ()
