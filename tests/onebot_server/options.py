"""The options of the server; all can be set at the start and most while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from .dialects import DIALECTS, MESSAGE_IDS, REFUSALS, Dialect
from .errors import ControlError

CHOICES = {
    "dialect": tuple(DIALECTS),
    "refusal": ("", *REFUSALS),
    "message_ids": ("", *MESSAGE_IDS),
    "message_format": ("", "array", "string"),
    "segment_values": ("native", "int", "str", "null"),
}


@dataclass(frozen=True)
class Options:
    """How the server behaves. An empty text or -1 stands for the dialect's own value."""

    dialect: str = "napcat"
    account: int = 20001
    # Connections
    token: str = ""
    refusal: str = ""  # how a wrong token is refused
    refuse_all: bool = False  # every token is refused, as after a change of the token
    handshake_seconds: float = 0.0  # a handshake is answered after this long
    path: str = "/"  # SnowLuma's path; others have fixed ones
    heartbeat_ms: int = -1  # 0 sends none
    ping_seconds: float = 0.0  # WebSocket pings of the server; 0 sends none
    drop_bytes: int = 0  # backlog from which a slow client loses events, as newer SnowLuma does at 256 KiB
    max_frame: int = 64 * 1024 * 1024  # bytes of an incoming frame; beyond it the close code is 1009
    # Events
    message_ids: str = ""
    message_format: str = ""
    segment_values: str = "native"  # scalars of segments as the dialect has them, int, str or with nulls
    report_self: bool = False  # own messages come back as message_sent
    report_offline: bool = False  # LLBot: what came while QQ was offline is reported after the login
    milliseconds: bool = False  # `time` is in ms, NapCat's fallback
    heartbeat_lies: bool = False  # heartbeats and get_status say online while QQ is offline
    # Actions
    answer_seconds: float = 0.0  # every answer takes this long
    recall_seconds: float = 120.0  # own messages older than this cannot be recalled
    rkey_seconds: float = 7200.0  # life of a picture's address

    def changed(self, changes: Mapping[str, Any]) -> "Options":
        """Return a copy with `changes`; raise ControlError for an unknown name or a wrong type."""
        return replace(self, **{name: self._fitting(name, value) for name, value in changes.items()})

    def _fitting(self, name: str, value: Any) -> Any:
        if name not in NAMES:
            raise ControlError(f"no such option: {name}; known: {', '.join(sorted(NAMES))}")
        present = getattr(self, name)
        if isinstance(present, float) and type(value) is int:
            return float(value)
        if isinstance(present, str) and type(value) is int:
            return str(value)  # a token of digits on the command line
        if type(value) is not type(present):
            raise ControlError(f"{name} must be of type {type(present).__name__}, not {value!r}")
        if name in CHOICES and value not in CHOICES[name]:
            raise ControlError(f"{name} must be one of {', '.join(CHOICES[name])}, not {value!r}")
        return value

    @property
    def traits(self) -> Dialect:
        """Return the dialect with what the options override."""
        own = DIALECTS[self.dialect]
        changes: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("refusal", "message_ids", "message_format")
            if getattr(self, name)
        }
        if self.heartbeat_ms >= 0:
            changes["heartbeat_ms"] = self.heartbeat_ms
        return replace(own, **changes)


NAMES = frozenset(field.name for field in fields(Options))
