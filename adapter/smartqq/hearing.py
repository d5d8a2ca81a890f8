"""What a poll brought, with everybody's name known as far as it can be: events ready to be told."""

from collections.abc import Callable, Sequence

import anyio

from adapter.events import Batch, ContactList, ListKind, Message, Notice, Provisional, UpstreamEvent
from adapter.smartqq.echo import Echoes
from adapter.smartqq.limits import Limits
from adapter.smartqq.roster import Roster
from adapter.smartqq.tokens import Tokens
from adapter.smartqq.values import parse_items


class Hearing:
    """Turns the items of polls into events."""

    def __init__(
        self,
        roster: Roster,
        echoes: Echoes,
        tokens: Tokens,
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

    @property
    def owes(self) -> bool:
        """Whether something was taken and has not been heard yet."""
        return bool(self._taken)

    def take(self, items: Sequence[object], before: Batch) -> Provisional | None:
        """Take what a poll brought, after `before`; what can be told already, if `hear` will take time."""
        now, account = self._clock(), self._tokens.account
        self._taken = [*before, *parse_items(items, account=account, now=now, keep_raw=self._keep_raw)]
        strangers = self._strangers()
        if not strangers or not self._roster.may_learn(strangers):
            return None
        return Provisional(tuple(self._judged(event, now, sure=False) for event in self._taken))

    async def hear(self) -> list[UpstreamEvent]:
        """What was taken, oldest first, after the lists that name its speakers.

        A cancellation waits: upstream has forgotten these items. It waits for `Limits.learn` at most.
        """
        now = self._clock()
        found = list[ContactList]()
        if strangers := self._strangers():
            with anyio.move_on_after(self._limits.learn, shield=True):
                await self._roster.learn(strangers, found)
        taken, self._taken = self._taken, []
        messages = (event for event in taken if isinstance(event, Message))
        found += [told for message in messages if (told := self._roster.note(message))]
        return [*found, *(self._judged(event, now, sure=True) for event in taken)]

    def _strangers(self) -> list[Message]:
        book, taken = self._roster.book, self._taken
        return [event for event in taken if isinstance(event, Message) and self._echoes.suspect(event, book)]

    def _judged(self, event: UpstreamEvent, now: float, *, sure: bool) -> UpstreamEvent:
        match event:
            case Message():
                account = self._tokens.account
                return self._echoes.judge(event, self._roster.book, account, now, sure=sure)
            case Notice(kind="contacts") if sure:
                self._roster.stale(ListKind.FRIENDS)
        return event
