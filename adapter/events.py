"""Define the vocabulary of qqbus: the frozen values that modules exchange.

Ids are decimal strings. An `Address` or `sender` from an upstream holds session-scoped ids; the directory
replaces them by stable ids. Times are seconds since 1970, UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from adapter.content import Font, Segment

CONTRACT_VERSION: Final = "1"


class ChatKind(StrEnum):
    """Kind of the chat that an address names."""

    FRIEND = "friend"
    GROUP = "group"
    DISCUSS = "discuss"
    TEMP = "temp"


@dataclass(frozen=True, slots=True)
class Address:
    """A conversation: `friend:1`, `group:2`, `discuss:3` or `temp:4@group:2`."""

    kind: ChatKind
    id: str
    via: "Address | None" = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.via is None else f"{self.kind}:{self.id}@{self.via}"


# --- events of an upstream ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Profile:
    """What an event itself says about its sender. Contact lists only add to it.

    `role` is `owner`, `admin` or `member`; `anonymous` the name under which an anonymous member speaks.
    """

    name: str = ""
    card: str = ""
    role: str = ""
    anonymous: str = ""


NO_PROFILE: Final = Profile()


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a chat. `from_self`: the own account sent it, here or on another device.

    `qq` is the sender's permanent number if upstream gives it. `upstream` holds the network's own
    integers; `raw` the value as received. `chat_name` is empty where the event does not say it. `key` stands
    for the message in its event id where `message_id` does not fit there or copies differ in content.
    """

    chat: Address
    sender: str
    time: float
    segments: tuple[Segment, ...]
    message_id: str
    font: Font | None = None
    from_self: bool = False
    qq: str = ""
    upstream: Mapping[str, object] = field(default_factory=dict)
    raw: object | None = None
    profile: Profile = NO_PROFILE
    chat_name: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """An event of upstream that is not a message. `kind` is the type after `notice.`.

    A request has its whole type instead: `request.friend` or `request.group`.
    `time` is None if upstream gives none. `data` is the notice's own content, ready for the bus.
    `ordinal` tells equal notices of one second apart; None where equal notices are copies of one event.
    `key` names the notice in its event id where the network gives each one an id.
    """

    kind: str
    text: str
    chat: Address | None = None
    sender: str = ""
    time: float | None = None
    message_id: str = ""
    from_self: bool = False
    data: Mapping[str, object] = field(default_factory=dict)
    upstream: Mapping[str, object] = field(default_factory=dict)
    raw: object | None = None
    qq: str = ""
    profile: Profile = NO_PROFILE
    chat_name: str = ""
    ordinal: int | None = None
    key: str = ""


class SessionState(StrEnum):
    """State of the session with upstream, as `qq:session` shows it."""

    STARTING = "starting"
    QR = "qr"
    SCANNED = "scanned"
    CAPTCHA = "captcha"
    ONLINE = "online"
    RELINKING = "relinking"
    OFFLINE = "offline"
    KICKED = "kicked"
    STANDBY = "standby"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A QR code or a captcha that the operator must look at. A credential: never logged."""

    picture: bytes = field(repr=False)
    text: str = field(repr=False, default="")
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class SessionChange:
    """The session changed its state. `ids_changed`: all session-scoped ids are new."""

    state: SessionState
    reason: str = ""
    detail: str = ""
    account: str = ""
    nick: str = ""
    ids_changed: bool = False
    challenge: Challenge | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Upstream may have lost messages between these two times. `key` is its own part of the event id."""

    since: float
    until: float
    reason: str
    key: str = ""  # where a network yields it again after a kill


@dataclass(frozen=True, slots=True)
class Contact:
    """A friend, group, discussion or member. `id` is session-scoped, `qq` the permanent number if known.

    `name` is what to show: remark before card before nick. `data` holds other fields, ready for the bus
    (category, card, online state, …); `code` a second id that some networks need.
    """

    id: str
    name: str
    nick: str = ""
    remark: str = ""
    qq: str = ""
    code: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


class ListKind(StrEnum):
    """Kind of a contact list."""

    FRIENDS = "friends"
    GROUPS = "groups"
    DISCUSSES = "discusses"
    MEMBERS = "members"


@dataclass(frozen=True, slots=True)
class ContactList:
    """A complete list: a contact that is not in it is gone. `of` is the chat of a list of members."""

    kind: ListKind
    contacts: tuple[Contact, ...]
    of: Address | None = None


UpstreamEvent = Message | Notice | SessionChange | Gap | ContactList
Batch = tuple[UpstreamEvent, ...]


# --- contacts with stable ids, from the directory ----------------------------------------------


class Identity(StrEnum):
    """How a stable id was matched to the same contact in an earlier session.

    EXACT: by its number. MATCHED: by a unique name. SESSION: not matched, valid for this session.
    """

    EXACT = "exact"
    MATCHED = "matched"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class ContactRef:
    """A contact by its stable id."""

    id: str
    name: str = ""
    identity: Identity = Identity.SESSION
    card: str = ""
    qq: str = ""
    role: str = ""
    anonymous: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Participants:
    """The chat and the sender of an event, in stable ids. `chat_contact` is the contact that `chat` names.

    The directory returns the same object for the same pair: compare by identity.
    """

    chat: Address | None = None
    chat_contact: ContactRef | None = None
    sender: ContactRef | None = None


@dataclass(frozen=True, slots=True)
class ImageData:
    """A picture as the network sent it."""

    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an adapter has heard, in seconds before now.

    `complete_seconds`: up to then it lacks no event, for certain. `connected_seconds`: then it was connected.
    """

    complete_seconds: float
    connected_seconds: float


# --- operations --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventRef:
    """What the id of an event says about it. `message_id` is the network's, `time` in whole seconds.

    A request has in place of a message id what its network needs to answer it.
    """

    id: str
    chat: Address | None
    sender: str
    message_id: str
    time: float


@dataclass(frozen=True, slots=True)
class Recall:
    """Take back a message, by the network's id of it. `chat` is where it stands."""

    message_id: str
    chat: Address | None = None


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """Approve or deny a friend or group request. `text` is the remark or the reason."""

    request: EventRef
    is_approved: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class CallAction:
    """Call an action of the network by its name."""

    action: str
    params: Mapping[str, object] = field(default_factory=dict)


Operation = Recall | AnswerRequest | CallAction


# --- sending -----------------------------------------------------------------------------------


class Delivery(StrEnum):
    """Guarantee for an attempt that may or may not have arrived."""

    AT_MOST_ONCE = "at-most-once"
    AT_LEAST_ONCE = "at-least-once"


class Priority(StrEnum):
    """Priority of a request in the backlog."""

    HIGH = "high"
    NORMAL = "normal"
    BULK = "bulk"


class Status(StrEnum):
    """Status of a result."""

    SENT = "sent"
    UNKNOWN = "unknown"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One readable entry of `qq:outbound`. `to` holds stable ids; `results` is a whole key.

    `operation` stands in place of `segments`; only an operation may have no `to`. `answers` is the id of the
    event that is answered. `traceparent` (W3C Trace Context) is repeated in the result. A repeat of
    the id has the same `digest`, which stands for what is asked. `at`: not sent before, in seconds since
    1970. `scheduled`: the entry that asked for it, if this one was appended when its time had come.
    """

    entry: str
    id: str
    to: Address | None
    segments: tuple[Segment, ...]
    font: Font | None = None
    expires: float | None = None
    cause: str = ""
    delivery: Delivery = Delivery.AT_MOST_ONCE
    priority: Priority = Priority.NORMAL
    results: str = ""
    traceparent: str = ""
    operation: Operation | None = None
    answers: str = ""
    digest: str = field(default="", compare=False)
    at: float | None = None
    scheduled: str = ""

    @property
    def chat(self) -> str:
        """The key of its order: the address; a request without one waits for no other."""
        return f"entry:{self.entry}" if self.to is None else str(self.to)


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a request. `content` is in the network's own form, opaque to other modules.

    A retry keeps `message_id`; a new message never reuses one.
    """

    content: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of sending one part: `status` is sent, unknown or failed; `code` as in the contract.

    `message_id` is the network's own id of what was sent, empty where it gives none. `data` is the answer
    to a call, as JSON.
    """

    status: Status
    code: str
    detail: str = ""
    message_id: str = ""
    data: str = ""


@dataclass(frozen=True, slots=True)
class SendResult:
    """Result of one entry of `qq:outbound`. `to` is the address, as far as it could be read."""

    entry: str
    id: str
    to: str
    status: Status
    code: str
    detail: str = ""
    attempts: int = 0
    sent: int = 0
    total: int = 0
    message_id: str = ""
    replayed: bool = False
    traceparent: str = ""
    data: str = ""
