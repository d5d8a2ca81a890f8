"""What a poll brought, with everybody's name known as far as it can be: events ready to be told."""

from collections.abc import Callable, Sequence

import anyio

from adapter.events import Batch, ContactList, ListKind, Message, Notice, UnresolvedBatch, UpstreamEvent
from adapter.failpoints import Failpoint, hit
from adapter.networks.smartqq.contacts.loader import ContactLoader
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.messages.echo import EchoDetector
from adapter.networks.smartqq.protocol.poll_items import parse_items
from adapter.networks.smartqq.session.credentials import Credentials


class MessageReceiver:
    """Turns the items of polls into events."""

    def __init__(
        self,
        roster: ContactLoader,
        echoes: EchoDetector,
        tokens: Credentials,
        limits: Limits,
        *,
        clock: Callable[[], float],
        keep_raw: bool,
    ) -> None:
        self._roster = roster
        self._echoes = echoes
        self._tokens = tokens
        self._limits = limits
        self._clock = clock
        self._keep_raw = keep_raw
        self._taken: list[UpstreamEvent] = []
        self._asks = False

    @property
    def has_pending(self) -> bool:
        """Whether something was taken and has not been heard yet."""
        return bool(self._taken)

    def decode(self, items: Sequence[object], before: Batch) -> UnresolvedBatch | None:
        """Take what a poll brought, after `before`; what can be told already, if `hear` will take time."""
        hit(Failpoint.BROUGHT)
        now, account = self._clock(), self._tokens.account
        self._taken = [*before, *parse_items(items, account=account, now=now, keep_raw=self._keep_raw)]
        strangers = self._strangers()
        self._asks = bool(strangers) and self._roster.can_look_up(strangers)
        return UnresolvedBatch(tuple(self._judged(self._echoes.copy()))) if self._asks else None

    async def resolve(self) -> list[UpstreamEvent]:
        """What was taken, oldest first, after the lists that name its speakers.

        A cancellation waits: upstream has forgotten these items. It waits for `Limits.learn` at most.
        """
        found = list[ContactList]()
        if self._asks:
            with anyio.move_on_after(self._limits.sender_lookup, shield=True):
                await self._roster.look_up_senders(self._strangers(), found)
        for event in self._taken:
            match event:
                case Message():
                    found += [told] if (told := self._roster.note_group_number(event)) else []
                case Notice(kind="contacts"):
                    self._roster.invalidate(ListKind.FRIENDS)
        events = [*found, *self._judged(self._echoes)]
        self._taken = []
        return events

    def _judged(self, echoes: EchoDetector) -> list[UpstreamEvent]:
        book, account, now = self._roster.book, self._tokens.account, self._clock()
        return [
            echoes.classify(event, book, account, now) if isinstance(event, Message) else event
            for event in self._taken
        ]

    def _strangers(self) -> list[Message]:
        book, taken = self._roster.book, self._taken
        return [
            event for event in taken if isinstance(event, Message) and self._echoes.needs_lookup(event, book)
        ]
