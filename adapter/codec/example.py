"""Make events to try a worker with: encoded and read as those of the adapter. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapter.codec.address import parse_address
from adapter.codec.inbound import (
    EventRecord,
    RecordContext,
    encode_message,
    encode_notice,
    encode_session_event,
)
from adapter.codec.reader import Received, read_event
from adapter.content import Segment, Text
from adapter.errors import SchemaError
from adapter.events import (
    CONTRACT_VERSION,
    Address,
    ChatKind,
    ContactRef,
    Gap,
    Identity,
    Message,
    Notice,
    Participants,
    SessionChange,
    SessionState,
)

# Who receives the events, and who speaks where the chat does not say it.
ACCOUNT = "305419896"
SPEAKER = "10001"


def example_fields(
    content: str | Sequence[Segment],
    *,
    kind: str,
    chat: str,
    sender: str,
    name: str,
    own: bool,
    data: Mapping[str, object],
    number: int,
    now: float,
) -> dict[bytes, bytes]:
    """Return the fields of an event as the adapter appends them. Raises SchemaError.

    `kind`: the type, empty for a message of the chat. `number` distinguishes it from others of `now`.
    """
    context = RecordContext(ACCOUNT, 1, now, number)
    address = parse_address(chat) if chat else None
    family, _, detail = (kind or ("message" if address is None else f"message.{address.kind}")).partition(".")
    sender = sender or _speaker(address, own=own)
    participants = Participants(
        address,
        None if address is None else ContactRef(address.id, f"chat {address.id}", Identity.EXACT),
        ContactRef(sender, name, Identity.EXACT, qq=sender),
    )
    record = _record(content, (family, detail), participants, context, own=own, data=data)
    fields: dict[str, str | bytes] = {
        "v": CONTRACT_VERSION,
        "id": record.id,
        "type": record.type,
        "time": record.time,
        "account": ACCOUNT,
        "epoch": "1",
        "seq": str(number),
        "chat": record.chat,
        "sender": record.sender,
        "self": record.from_self,
        "text": record.text,
        "body": record.body,
    }
    return {name.encode(): v.encode() if isinstance(v, str) else v for name, v in fields.items()}


def example_event(content: str | Sequence[Segment], *, number: int, now: float, **options: Any) -> Received:
    """Return an event as a worker reads it; the options are those of `example_fields`."""
    fields = example_fields(content, number=number, now=now, **options)
    return read_event(f"{int(now * 1000)}-{number}", fields)


def _record(
    content: str | Sequence[Segment],
    kind: tuple[str, str],
    participants: Participants,
    context: RecordContext,
    *,
    own: bool,
    data: Mapping[str, object],
) -> EventRecord:
    address, now, number = participants.chat, context.now, str(context.ordinal)
    sender = participants.sender.id if participants.sender else ""
    text = content if isinstance(content, str) else ""
    match kind:
        case "message", detail:
            if address is None or detail not in {"", address.kind.value}:
                raise SchemaError(f"message.{detail} is no type of an event in {address or 'no chat'}")
            segments = (Text(content),) if isinstance(content, str) else tuple(content)
            said = Message(address, sender, now, segments, number, from_self=own, qq=sender)
            return encode_message(said, participants, context, raw=False)
        case family, "":
            raise SchemaError(
                f"type {family!r} is a family: give the whole type of an event, as `notice.poke`"
            )
        case "session", "gap":
            return encode_session_event(Gap(now, now, text), context)
        case "session", detail:
            return encode_session_event(SessionChange(SessionState(detail), text), context)
        case family, detail:
            whole = f"{family}.{detail}" if family == "request" else detail
            notice = Notice(whole, text, address, sender, now, number, own, data, qq=sender)
            return encode_notice(notice, participants, context, raw=False)


def _speaker(chat: Address | None, *, own: bool) -> str:
    if own:
        return ACCOUNT
    return chat.id if chat is not None and chat.kind in {ChatKind.FRIEND, ChatKind.TEMP} else SPEAKER
