"""Encode a message that was sent as a record of `qq:inbound` (contract). Pure."""

from collections.abc import Sequence
from functools import lru_cache

import msgpack

from adapter.codec.inbound import EventRecord, RecordContext, encode_message, pack
from adapter.content import Markup, Segment, Text
from adapter.events import Address, ContactRef, Identity, Message, Participants, SendRequest


def encode_sent_message(
    request: SendRequest, to: Address, message_id: str, context: RecordContext, *, nick: str, network: str
) -> EventRecord:
    """Return the event of a message that was sent to this address."""
    message = Message(
        chat=to,
        sender=context.account,
        time=context.now,
        segments=_literal(request.segments),
        message_id=message_id,
        from_self=True,
        upstream={"network": network},
    )
    record = encode_message(message, _participants(to, context.account, nick), context, raw=False)
    body = msgpack.unpackb(record.body) | {"request": request.id, "entry": request.entry}
    return record._replace(body=pack(body))


# One object for each pair: events of one pair share what is packed of it.
@lru_cache(maxsize=1024)
def _participants(to: Address, account: str, nick: str) -> Participants:
    return Participants(to, ContactRef(to.id), ContactRef(account, nick, identity=Identity.EXACT))


def _literal(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    return tuple(Text(one.text) if isinstance(one, Markup) else one for one in segments)
