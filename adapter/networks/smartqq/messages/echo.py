"""Who really speaks: our own echo, the service, or somebody (3.5). Pure.

Since May 2017 upstream sends back whatever the account says, from here or from another device,
under a number that is in no list. A bot that answers its own echo never stops.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from adapter.events import Address, ChatKind, Face, Message, Notice, Segment, Text
from adapter.networks.smartqq.contacts.roster import Roster
from adapter.networks.smartqq.protocol.notices import service_event

REMEMBERED: Final = 64
"""Sends in half a minute, several times over."""


@dataclass(frozen=True, slots=True)
class _Sent:
    time: float
    to: Address
    words: str


@dataclass(slots=True)
class EchoDetector:
    """What was sent lately, and the numbers under which it came back. `life` in seconds."""

    life: float
    _sent: deque[_Sent] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _aliases: set[str] = field(default_factory=set)

    def remember(self, to: Address, segments: tuple[Segment, ...], now: float) -> None:
        """Something leaves; its echo may be here before the answer is."""
        self._sent.append(_Sent(now, to, comparison_text(segments)))

    def forget_numbers(self) -> None:
        """All momentary ids are new: where something was sent to is known by its kind alone."""
        self._aliases.clear()
        nowhere = [replace(sent, to=Address(sent.to.kind, "")) for sent in self._sent]
        self._sent.clear()
        self._sent.extend(nowhere)

    def needs_lookup(self, message: Message, book: Roster) -> bool:
        """Whether the lists have to be looked at again before this message can be judged."""
        return not message.from_self and message.sender not in self._aliases and not book.knows(message)

    def copy(self) -> "EchoDetector":
        """The same, apart: what is learnt there is not learnt here."""
        return replace(self, _aliases=self._aliases.copy())

    def classify(self, message: Message, book: Roster, account: str, now: float) -> Message | Notice:
        """The message with `own` right, or the notice that it is."""
        if not message.from_self and book.knows(message):
            return message
        # The text first: a mute is told under an unknown number too.
        if message.chat.kind is ChatKind.GROUP and not message.from_self:
            event = service_event(_plain(message.segments))
            if event is not None:
                return _service(message, event)
        sent = self._match(message, now)
        if message.from_self or sent or message.sender in self._aliases:
            if not message.from_self:
                self._aliases.add(message.sender)
            told = sent is not None and sent.to.id and message.chat.kind is ChatKind.FRIEND
            chat = sent.to if sent is not None and told else message.chat
            return replace(message, from_self=True, sender=account or message.sender, chat=chat)
        return message

    def _match(self, message: Message, now: float) -> _Sent | None:
        words = comparison_text(message.segments)
        for sent in reversed(self._sent):
            if now - sent.time > self.life:
                break
            kin = message.chat.kind is sent.to.kind
            same = sent.to == message.chat or (kin and (sent.to.kind is ChatKind.FRIEND or not sent.to.id))
            if same and sent.words == words:
                return sent
        return None


def comparison_text(segments: tuple[Segment, ...]) -> str:
    """Text for comparison: upstream may change the number of a face and the blank at the end."""
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


def _plain(segments: tuple[Segment, ...]) -> str:
    return "".join(segment.text for segment in segments if isinstance(segment, Text))


def _service(message: Message, event: Mapping[str, object]) -> Notice:
    return Notice(
        "group",
        text=_plain(message.segments),
        chat=message.chat,
        time=message.time,
        message_id=message.message_id,
        data=event,
        upstream=message.upstream,
        raw=message.raw,
    )
