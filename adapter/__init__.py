"""qqbus: QQ on a Redis stream. The names here are what consumers and tests may rely on."""

from adapter.address import chat_of_event, parse_address
from adapter.bus.cluster import of_cluster
from adapter.envelope import clean, pack, segment_map, timestamp
from adapter.errors import ConfigError, QQBusError, SchemaError
from adapter.events import (
    CONTRACT_VERSION,
    Address,
    ChatKind,
    Delivery,
    Face,
    Font,
    Image,
    Markup,
    Priority,
    Segment,
    Status,
    Text,
    Unknown,
    render,
)
from adapter.received import (
    Received,
    ReceivedMessage,
    ReceivedNotice,
    ReceivedSession,
    Result,
    read_event,
    read_map,
    read_result,
    read_segment,
)

__all__ = [
    "CONTRACT_VERSION",
    "Address",
    "ChatKind",
    "ConfigError",
    "Delivery",
    "Face",
    "Font",
    "Image",
    "Markup",
    "Priority",
    "QQBusError",
    "Received",
    "ReceivedMessage",
    "ReceivedNotice",
    "ReceivedSession",
    "Result",
    "SchemaError",
    "Segment",
    "Status",
    "Text",
    "Unknown",
    "chat_of_event",
    "clean",
    "of_cluster",
    "pack",
    "parse_address",
    "read_event",
    "read_map",
    "read_result",
    "read_segment",
    "render",
    "segment_map",
    "timestamp",
]
