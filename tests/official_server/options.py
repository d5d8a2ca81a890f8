"""The switches of the server; each can be set at the start or while it runs.

What a test scripts for single HTTP answers is in `faults`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


class OptionError(ValueError):
    """An unknown option or an unfit value; the text names the option."""


# Guilds 0, members 1, guild DM 12, group members 24, groups and C2C 25, interactions 26, audits 27,
# public guild messages 30. Tencent's own SDK asks for 12, 25, 26 and 30.
GRANTED_INTENTS = 1 << 0 | 1 << 1 | 1 << 12 | 1 << 24 | 1 << 25 | 1 << 26 | 1 << 27 | 1 << 30


@dataclass(frozen=True)
class Options:
    """How the server behaves; README.md says whose word stands behind each default."""

    # Token
    token_seconds: float = 7200.0  # life of a token
    token_overlap: float = 60.0  # the next token is given in the last seconds of the former one
    token_text: bool = True  # expires_in is text, not a number
    token_code: int = 0  # every request for a token is answered this code (0: none)
    token_error: int = 11244  # the code for a token that is unknown or expired

    # Gateway
    heartbeat_ms: int = 45_000  # announced by Hello
    hello: bool = True  # whether Hello is sent at all
    heartbeat_acks: bool = True  # whether heartbeats are answered
    heartbeats_missed: float = 2.5  # intervals without a heartbeat until 4009 (0: never)
    silent: bool = False  # dispatches are held back; heartbeats are answered
    expire_every: float = 0.0  # seconds after READY or RESUMED until 4009 (0: never)
    reconnect_grace: float = 2.0  # seconds between Reconnect (op 7) and 4009
    dispatch_delay: float = 0.0  # seconds before each dispatch
    resume_seconds: float = 300.0  # how long a session without a connection can be resumed
    replay_limit: int = 100_000  # dispatches kept for Resume
    replay_overlap: int = 0  # dispatches before the client's seq that Resume repeats
    resumed_has_s: bool = True  # RESUMED consumes an s, otherwise it has none
    bad_resume: str = "op9"  # the answer to a Resume of an unknown session
    granted_intents: int = GRANTED_INTENTS  # further ones close with 4014
    frame_limit: int = 0  # frames of a client in 60 s until 4008 (0: no limit)
    session_starts: int = 1000  # Identify a day
    second_session: str = "all"  # whether two sessions both get an event, or one by chance

    # Events
    old_payloads: bool = False  # the few fields of before 2026
    full_at: str = "at"  # in a full group a mention of the bot comes as "at", "full" or "both"
    mention_style: str = "short"  # <@ID>; "long": <qqbot-at-user id="ID" />
    null_mentions: bool = False  # `mentions` is null in full mode
    union_openids: bool = False  # whether union_openid is filled
    bare_urls: bool = False  # addresses of attachments lack their scheme
    url_seconds: float = 3600.0  # life of a signed address

    # Sending
    c2c_window: float = 3600.0  # seconds in which a C2C message can be answered
    group_window: float = 300.0  # seconds in which a group message can be answered
    c2c_replies: int = 4  # answers to one C2C message
    group_replies: int = 5  # answers to one group message
    event_dedup: bool = True  # (event_id, msg_seq) is recognised like (msg_id, msg_seq)
    proactive_groups: bool = False  # new groups allow messages without an anchor
    proactive_limits: bool = True  # quotas of messages without an anchor
    verified: bool = False  # a verified bot has higher quotas
    api_qps: int = 100  # calls of one endpoint in a second (0: no limit)
    max_length: int = 0  # characters of a text (0: no limit)
    urls_in_groups: bool = False  # otherwise 40054010
    recall_seconds: float = 120.0  # how long a message can be recalled
    audit: bool = False  # sends are accepted for audit: 202 and 304023
    errors_as_200: bool = False  # refusals of the API come as HTTP 200
    ip_allowed: bool = True  # otherwise 401, 11298
    banned: bool = False  # 401, 11265; the gateway closes with 4915
    needs_gateway: bool = False  # sending needs a session with a connection, otherwise 304018
    swallow_after_expiry: float = 0.0  # seconds after a 4009 in which accepted messages are not shown

    # Media
    media_ttl: int = 0  # seconds that file_info is good for (0: no end)
    media_limit: int = 30 * 1024 * 1024  # bytes; above it 850031
    part_bytes: int = 1024 * 1024  # bytes of one part of an upload in parts

    # QR binding
    bind_seconds: float = 300.0  # life of a code
    auto_scan: bool = False  # each code is scanned at the second question

    def changed(self, changes: Mapping[str, Any]) -> "Options":
        """Return a copy with `changes`; raise OptionError if unfit."""
        return replace(self, **{name: self._fit(name, value) for name, value in changes.items()})

    def _fit(self, name: str, value: Any) -> Any:
        if name not in NAMES:
            raise OptionError(f"no such option: {name}")
        present = getattr(self, name)
        if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if type(value) is not type(present):
            raise OptionError(f"{name} must be of type {type(present).__name__}, not {value!r}")
        if name in CHOICES and value not in CHOICES[name]:
            raise OptionError(f"{name} must be one of {', '.join(CHOICES[name])}, not {value!r}")
        return value


NAMES = frozenset(field.name for field in fields(Options))

CHOICES = {
    "bad_resume": ("op9", "4006", "4902"),
    "second_session": ("all", "one"),
    "full_at": ("at", "full", "both"),
    "mention_style": ("short", "long"),
}
