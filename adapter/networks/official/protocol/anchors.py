"""What a message that is sent can answer, and with what it was sent."""

from dataclasses import dataclass

from adapter.events import Address, ChatKind


@dataclass(frozen=True, slots=True)
class Anchor:
    """A message or notice that can be answered. `key` names it in its event id.

    `name` is its id for the API: a `msg_id`, or an `event_id` if `is_event`. `reference` is what quotes it.
    `is_spent`: the API takes no more answers to it.
    """

    key: str
    chat: Address
    name: str
    is_event: bool = False
    reference: str = ""
    is_spent: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a part was sent: the anchor that it took, "" for none, and its msg_seq."""

    part: str
    name: str
    is_event: bool
    seq: int


@dataclass(frozen=True, slots=True)
class Met:
    """A contact that was met: a friend, a group, or a member of one."""

    openid: str
    kind: str
    name: str


FRIEND = ChatKind.FRIEND.value
GROUP = ChatKind.GROUP.value
MEMBER = "member"
