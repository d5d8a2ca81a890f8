"""Classify messages: the own account's echo, a service text, or a person (3.5). Pure.

Since May 2017 the server sends back whatever the account says, from here or from another device, under
an id that is in no list (an alias). A bot that answers its own echo never stops.

A message is classified before its speaker is looked up. An unknown speaker who repeats a sent text within
`lifetime_seconds` therefore counts as the echo, but only once for each message sent. A speaker whom a list
names later is that person again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from adapter.content import Face, Segment, Text
from adapter.events import Address, ChatKind, Message, Notice
from adapter.networks.smartqq.contacts.roster import Roster
from adapter.networks.smartqq.protocol.notices import service_event

# Sent messages remembered: several times what the account may send within the lifetime of an echo.
MAX_SENT: Final = 64


@dataclass(slots=True)
class _Sent:
    time: float
    to: Address
    text: str
    # Speaker and id of the message that was classified as the echo. The server may deliver that one twice.
    echo: tuple[str, str] | None = None


@dataclass(slots=True)
class EchoDetector:
    """Remember what was sent lately, and the aliases under which it came back."""

    lifetime_seconds: float
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _aliases: set[str] = field(default_factory=set)

    def remember(self, to: Address, segments: tuple[Segment, ...], message_id: str, now: float) -> None:
        """Record a message before it is sent: its echo may arrive before the answer.

        A repeated attempt, which keeps the message id, replaces the record.
        """
        self._sent.pop(message_id, None)
        while len(self._sent) >= MAX_SENT:
            del self._sent[next(iter(self._sent))]
        self._sent[message_id] = _Sent(now, to, comparison_text(segments))

    def forget_ids(self) -> None:
        """Drop all momentary ids after a login; recipients stay known by kind alone."""
        self._aliases.clear()
        for sent in self._sent.values():
            sent.to = Address(sent.to.kind, "")

    def needs_lookup(self, message: Message, roster: Roster) -> bool:
        """Return whether the speaker is neither listed nor a known alias."""
        return (
            not message.from_self
            and message.sender not in self._aliases
            and not roster.knows(message.chat, message.sender)
        )

    def classify(self, message: Message, roster: Roster, account: str, now: float) -> Message | Notice:
        """Return the message with `from_self` set right, or the service notice it is."""
        if not message.from_self and roster.knows(message.chat, message.sender):
            return message
        # The text comes first: a mute too is announced under an id that is in no list.
        if message.chat.kind is ChatKind.GROUP and not message.from_self:
            event = service_event(_plain_text(message.segments))
            if event is not None:
                return _service_notice(message, event)
        sent = self._match(message, now)
        if not (message.from_self or sent or message.sender in self._aliases):
            return message
        if not message.from_self:
            self._aliases.add(message.sender)
        has_recipient = sent is not None and sent.to.id and message.chat.kind is ChatKind.FRIEND
        chat = sent.to if sent is not None and has_recipient else message.chat
        return replace(message, from_self=True, sender=account or message.sender, chat=chat)

    def _match(self, message: Message, now: float) -> _Sent | None:
        """Find the oldest sent message that this one repeats, and mark it as echoed."""
        text, echo = comparison_text(message.segments), (message.sender, message.message_id)
        for sent in self._sent.values():
            is_recent = now - sent.time <= self.lifetime_seconds
            if is_recent and sent.text == text and sent.echo in (None, echo) and _fits(message.chat, sent.to):
                sent.echo = echo
                return sent
        return None


def _fits(chat: Address, to: Address) -> bool:
    """Return whether the echo of a message to `to` may arrive in `chat`."""
    if chat == to:
        return True
    return chat.kind is to.kind and (to.kind is ChatKind.FRIEND or not to.id)


def comparison_text(segments: tuple[Segment, ...]) -> str:
    """Return text to compare: the server may change a face's number and the last blank."""
    parts = []
    for segment in segments:
        match segment:
            case Text(text):
                parts.append(text)
            case Face():
                parts.append("\ufffc")
            case _:
                parts.append("\ufffd")
    return "".join(parts).strip()


def _plain_text(segments: tuple[Segment, ...]) -> str:
    return "".join(segment.text for segment in segments if isinstance(segment, Text))


def _service_notice(message: Message, event: Mapping[str, object]) -> Notice:
    return Notice(
        "group",
        text=_plain_text(message.segments),
        chat=message.chat,
        time=message.time,
        message_id=message.message_id,
        data=event,
        upstream=message.upstream,
        raw=message.raw,
    )
