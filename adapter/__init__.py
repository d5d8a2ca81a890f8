"""QQ on a Redis stream. The names here are the API for consumers and tests."""

from adapter.codec.address import chat_from_event_id, parse_address
from adapter.codec.cq import decode_cq
from adapter.codec.dead_letters import DeadLetter, encode_dead_letter
from adapter.codec.example import example_event, example_fields
from adapter.codec.inbound import pack, replace_surrogates, timestamp
from adapter.codec.outbound import decode_request
from adapter.codec.reader import (
    Received,
    ReceivedMessage,
    ReceivedNotice,
    ReceivedSession,
    Result,
    read_event,
    read_event_header,
    read_map,
    read_result,
    read_time,
)
from adapter.codec.request_body import DEFAULT_LIMITS, LARGEST_LIMITS, RequestLimits
from adapter.codec.segments import read_segment, segment_to_dict
from adapter.content import (
    At,
    Face,
    File,
    Font,
    Forward,
    Image,
    Json,
    Markdown,
    Markup,
    Record,
    Reply,
    Segment,
    Text,
    Unknown,
    Video,
    render,
)
from adapter.contract.tables import TYPES as EVENT_TYPES
from adapter.errors import ConfigError, QQBusError, SchemaError
from adapter.events import CONTRACT_VERSION, Address, ChatKind, Delivery, Priority, Status

__all__ = [
    "CONTRACT_VERSION",
    "DEFAULT_LIMITS",
    "EVENT_TYPES",
    "LARGEST_LIMITS",
    "Address",
    "At",
    "ChatKind",
    "ConfigError",
    "DeadLetter",
    "Delivery",
    "Face",
    "File",
    "Font",
    "Forward",
    "Image",
    "Json",
    "Markdown",
    "Markup",
    "Priority",
    "QQBusError",
    "Received",
    "ReceivedMessage",
    "ReceivedNotice",
    "ReceivedSession",
    "Record",
    "Reply",
    "RequestLimits",
    "Result",
    "SchemaError",
    "Segment",
    "Status",
    "Text",
    "Unknown",
    "Video",
    "chat_from_event_id",
    "decode_cq",
    "decode_request",
    "encode_dead_letter",
    "example_event",
    "example_fields",
    "pack",
    "parse_address",
    "read_event",
    "read_event_header",
    "read_map",
    "read_result",
    "read_segment",
    "read_time",
    "render",
    "replace_surrogates",
    "segment_to_dict",
    "timestamp",
]
