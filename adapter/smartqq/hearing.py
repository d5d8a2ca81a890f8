"""What a poll brought, with everybody's name known as far as it can be: events ready to be told."""

from collections.abc import Callable, Sequence

import anyio

from adapter.events import ContactList, ListKind, Message, Notice, UpstreamEvent
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

    async def hear(self, items: Sequence[object]) -> list[UpstreamEvent]:
        """The events of one poll, oldest first, after the lists that name their speakers.

        A cancellation waits: upstream has forgotten these items. It waits for `Limits.learn` at most.
        """
        now = self._clock()
        events = parse_items(items, account=self._tokens.account, now=now, keep_raw=self._keep_raw)
        messages = [event for event in events if isinstance(event, Message)]
        found = list[ContactList]()
        if strangers := [m for m in messages if self._echoes.suspect(m, self._roster.book)]:
            with anyio.move_on_after(self._limits.learn, shield=True):
                await self._roster.learn(strangers, found)
        found += [told for message in messages if (told := self._roster.note(message))]
        return [*found, *(self._judged(event, now) for event in events)]

    def _judged(self, event: UpstreamEvent, now: float) -> UpstreamEvent:
        match event:
            case Message():
                return self._echoes.judge(event, self._roster.book, self._tokens.account, now)
            case Notice(kind="contacts"):
                self._roster.stale(ListKind.FRIENDS)
        return event
