"""Events: a dispatch of the gateway becomes a message or a notice; nothing is dropped and nothing raises."""

from typing import Final

from adapter.errors import ProtocolError
from adapter.events import Message, Notice
from adapter.networks.official.protocol.frames import Frame
from adapter.networks.official.protocol.messages import MESSAGES, decode_message
from adapter.networks.official.protocol.notices import decode_notice, decode_other
from adapter.networks.official.protocol.redaction import redact_text

# Characters of a frame that cannot be read which the event about it keeps.
_MAX_QUOTED: Final = 4_096


def decode_dispatch(
    frame: Frame, now: float, *, account: str, own_id: str = "", keep_raw: bool = False
) -> Message | Notice:
    """Return the event of a dispatch; what cannot be read becomes an `other` with what came."""
    try:
        if frame.event in MESSAGES:
            return decode_message(frame, now, account=account, own_id=own_id, keep_raw=keep_raw)
        return decode_notice(frame, keep_raw=keep_raw)
    except (ProtocolError, RecursionError) as exc:
        return decode_other(frame, str(exc) if isinstance(exc, ProtocolError) else type(exc).__name__)


def decode_unreadable(content: bytes, reason: str) -> Notice:
    """Return the event about a frame that is none."""
    text = redact_text(content[:_MAX_QUOTED].decode("utf-8", "replace"))
    return decode_other(Frame(-1, data={"text": text}), reason)
