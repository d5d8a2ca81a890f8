"""The state of the service, shared by all handlers: one bot and its surroundings."""

import random
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .clock import Clock
from .composing import Composer, Head, SayError, Utterance
from .faults import Faults
from .files import Files
from .ids import Mint
from .notices import GROUP_AND_C2C, Notices
from .options import Options
from .quotas import Quotas
from .record import Event, Record
from .sessions import Sessions
from .tokens import Tokens
from .world import Chat, Group, Person, World

# Anchors kept; the API forgets them after an hour at most.
_ANCHORS_KEPT = 100_000


@dataclass
class Anchor:
    """A message or event that can be answered; `seqs` are the msg_seq that were used."""

    chat: str
    since: float
    is_event: bool = False
    replies: int = 0
    seqs: set[int] = field(default_factory=set)


class Service:
    """Everything the server knows."""

    def __init__(self, appid: str, secret: str, options: Options, seed: int | None) -> None:
        self.options = options
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.mint = Mint(self.rng)
        self.world = World(appid, proactive_groups=options.proactive_groups)
        self.tokens = Tokens(appid, secret, self.mint, self.clock)
        self.sessions = Sessions()
        self.record = Record()
        self.faults = Faults(self.rng)
        self.files = Files(self.mint, self.clock)
        self.composer = Composer(self.world, self.files)
        self.notices = Notices(self.world, self.mint, self.clock)
        self.quotas = Quotas(self.clock)
        self.anchors: OrderedDict[str, Anchor] = OrderedDict()
        self.references: dict[str, str] = {}
        self.last_expiry = float("-inf")
        self.bot_id = self.mint.decimal(19)

    # Events

    def say(self, address: str, said: Utterance, message_id: str = "") -> list[Event]:
        """Let a user speak; return the events, none if the bot does not hear it."""
        chat = self.world.chat(address)
        head = Head(
            message_id or self.mint.message(),
            self.mint.reference(),
            self.mint.reference(),
            self.clock.stamp(),
        )
        attached = self.composer.attachments(said.attachments)
        bodies = self._bodies(chat, said, head, attached)
        if bodies:
            self.anchor(head.message_id, Anchor(chat.chat, self.clock()))
        if isinstance(chat, Person):
            chat.last_word, chat.wakeups = self.clock(), set()
        text = said.text or said.wire
        return [
            self.emit(kind, GROUP_AND_C2C, body, chat.chat, head.message_id, text) for kind, body in bodies
        ]

    def _bodies(
        self, chat: Chat, said: Utterance, head: Head, attached: list[Any]
    ) -> list[tuple[str, dict[str, Any]]]:
        if isinstance(chat, Person):
            if not chat.is_friend:
                raise SayError(f"{chat.chat} is no friend of the bot")
            return [
                ("C2C_MESSAGE_CREATE", self.composer.private(chat, said, head, attached, self.options)),
            ]
        if not said.sender:
            raise SayError("a message in a group has a sender")
        if not chat.has_bot:
            raise SayError(f"the bot is not in {chat.chat}")
        return [
            (
                "GROUP_MESSAGE_CREATE" if full else "GROUP_AT_MESSAGE_CREATE",
                self.composer.group(chat, said, head, attached, self.options, full=full),
            )
            for full in self._forms(chat, said)
        ]

    def _forms(self, group: Group, said: Utterance) -> tuple[bool, ...]:
        if group.receives != "all":
            return (False,) if said.at else ()
        if not said.at:
            return (True,)
        return {"at": (False,), "full": (True,), "both": (False, True)}[self.options.full_at]

    def notify(self, kind: str, address: str, sender: str = "", **extra: Any) -> Event:
        """Emit an event that is no message."""
        notice = self.notices.make(kind, address, sender, **extra)
        chat = self.world.chat(address).chat
        event = self.emit(notice.type, notice.intent, notice.body, chat, "", "")
        if notice.is_anchor:
            self.anchor(event.event_id, Anchor(chat, self.clock(), is_event=True))
        return event

    def emit(
        self, kind: str, intent: int, body: Mapping[str, Any], chat: str, message_id: str, text: str
    ) -> Event:
        """Append an event to the streams of the sessions that want it."""
        self.sessions.expire(self.clock(), self.options.resume_seconds)
        event = Event(
            self.record.number("events"),
            self.clock(),
            kind,
            f"{kind}:{self.mint.hexadecimal()}",
            chat,
            message_id,
            text,
            body,
        )
        self.dispatch(event, intent)
        self.record.add(self.record.events, event)
        return event

    def dispatch(self, event: Event, intent: int) -> None:
        """Give an event to the sessions; a repeated one once more."""
        wanting = [one for one in self.sessions.alive() if one.intents & intent]
        if self.options.second_session == "one" and len(wanting) > 1:
            connected = [one for one in wanting if one.detached is None]
            wanting = [self.rng.choice(connected or wanting)]
        for session in wanting:
            session.append(event)

    def anchor(self, name: str, anchor: Anchor) -> None:
        """Keep what can be answered."""
        self.anchors[name] = anchor
        if len(self.anchors) > _ANCHORS_KEPT:
            self.anchors.popitem(last=False)
