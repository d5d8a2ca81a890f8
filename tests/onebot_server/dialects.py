"""The OneBot implementations that the server imitates, each as a table of traits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import ControlError, Failure

# How a wrong token is refused. The first two answer a frame after a complete handshake, the third
# closes after it, the last three refuse the upgrade; `http` is 401 without and 403 with a wrong token.
TokenRefusal = Literal["frame-1005", "frame-1008", "close-1008", "http-401", "http-403", "http"]
REFUSALS = ("frame-1005", "frame-1008", "close-1008", "http-401", "http-403", "http")

MessageIds = Literal["hash31", "signed32", "wide37"]
MESSAGE_IDS = ("hash31", "signed32", "wide37")


@dataclass(frozen=True)
class Dialect:
    """The traits of one implementation; the README names the source of each."""

    name: str
    app_name: str
    app_version: str
    refusal: TokenRefusal
    message_ids: MessageIds
    codes: Mapping[Failure, int]
    # Fields of a failed answer that carry the words.
    wording_fields: tuple[str, ...]
    # Milliseconds between two heartbeats.
    heartbeat_ms: int
    # Where the group of a temporary session stands in its events.
    temp_group: Literal["top", "sender", "absent"]
    # What `message_seq` holds: the message id again, or the running number of the chat.
    message_seq: Literal["id", "seq"]
    history: Literal["napcat", "llbot", "snowluma", "go-cqhttp"]
    # Suffixes of action names that are plain aliases.
    alias_suffixes: tuple[str, ...] = ()
    message_format: Literal["array", "string"] = "array"
    lifecycle: tuple[str, ...] = ("connect",)
    is_heartbeat_sent_on_connect: bool = False
    # One timer for all clients, or one from the connect of each.
    is_heartbeat_shared: bool = True
    does_query_token_win: bool = False
    # Paths that carry nothing at all.
    is_other_path_dead: bool = False
    is_other_path_refused: bool = False
    # Message ids that are remembered; an older one is unknown.
    id_memory: int = 100_000
    are_ids_forgotten_on_restart: bool = False
    has_bot_offline: bool = False
    has_group_name: bool = False
    has_private_friend_fields: bool = False
    has_stream_field: bool = False
    has_file_streams: bool = False
    are_malformed_frames_answered: bool = True
    is_absent_echo_answered: bool = False
    # send_private_msg to an unknown user with a group_id reaches the whole group (onebot.md 3.1).
    does_private_fall_back_to_group: bool = False
    # send_msg with a group_id reaches the group whatever else is said.
    does_group_id_override_type: bool = False
    # send_msg without message_type and with both ids prefers the user.
    does_send_msg_prefer_user: bool = False
    is_request_sub_type_needed: bool = False
    reverse_scheme: str = "Bearer"
    reverse_seconds: float = 3.0
    member_extras: Mapping[str, Any] = field(default_factory=dict)


def _codes(bad: int, unknown: int, refused: int) -> dict[Failure, int]:
    return {
        Failure.BAD_PARAMS: bad,
        Failure.UNKNOWN_ACTION: unknown,
        Failure.REFUSED: refused,
        Failure.TIMEOUT: refused,
    }


NAPCAT = Dialect(
    name="napcat",
    app_name="NapCat.Onebot",
    app_version="4.9.80",
    refusal="frame-1005",
    message_ids="hash31",
    codes=_codes(1400, 1404, 1200),
    wording_fields=("message", "wording"),
    heartbeat_ms=30_000,
    temp_group="top",
    message_seq="id",
    history="napcat",
    alias_suffixes=("_async", "_rate_limited"),
    does_query_token_win=True,
    id_memory=5_000,
    are_ids_forgotten_on_restart=True,
    has_bot_offline=True,
    has_group_name=True,
    has_private_friend_fields=True,
    has_stream_field=True,
    has_file_streams=True,
    is_absent_echo_answered=True,
    does_private_fall_back_to_group=True,
    reverse_seconds=5.0,
    member_extras={"qq_level": 16, "unfriendly": False, "card_changeable": True, "is_robot": False},
)

LLBOT = Dialect(
    name="llbot",
    app_name="LLOneBot",
    app_version="8.1.7",
    refusal="frame-1008",
    message_ids="signed32",
    codes=_codes(1400, 1404, 1200),
    wording_fields=("message", "wording"),
    heartbeat_ms=60_000,
    temp_group="sender",
    message_seq="seq",
    history="llbot",
    alias_suffixes=("_async", "_rate_limited"),
    is_heartbeat_shared=False,
    is_other_path_dead=True,
    has_group_name=True,
    member_extras={"qq_level": 16, "unfriendly": False, "card_changeable": True},
)

SNOWLUMA = Dialect(
    name="snowluma",
    app_name="SnowLuma",
    app_version="1.11.1",
    refusal="close-1008",
    message_ids="signed32",
    codes=_codes(1400, 1404, 100),
    wording_fields=("wording",),
    heartbeat_ms=30_000,
    temp_group="absent",
    message_seq="seq",
    history="snowluma",
    lifecycle=("connect", "enable"),
    is_heartbeat_sent_on_connect=True,
    is_other_path_refused=True,
    has_stream_field=True,
    has_file_streams=True,
    does_group_id_override_type=True,
)

GO_CQHTTP = Dialect(
    name="go-cqhttp",
    app_name="go-cqhttp",
    app_version="v1.2.0",
    refusal="http",
    message_ids="signed32",
    codes=_codes(100, 404, 100),
    wording_fields=("msg", "wording", "message"),
    heartbeat_ms=5_000,
    temp_group="sender",
    message_seq="seq",
    history="go-cqhttp",
    alias_suffixes=("_async",),
    message_format="string",
    are_malformed_frames_answered=False,
    does_send_msg_prefer_user=True,
    is_request_sub_type_needed=True,
    reverse_scheme="Token",
    member_extras={"title_expire_time": 0, "unfriendly": False, "card_changeable": True},
)

DIALECTS = {one.name: one for one in (NAPCAT, LLBOT, SNOWLUMA, GO_CQHTTP)}


def dialect_of(name: str) -> Dialect:
    """Return the dialect of that name; raise ControlError for an unknown one."""
    if name not in DIALECTS:
        raise ControlError(f"dialect must be one of {', '.join(DIALECTS)}, not {name!r}")
    return DIALECTS[name]
