"""Find permanent QQ numbers: one by one while the server gives them away, then by name (5.9)."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import anyio

from adapter.events import Contact, ListKind
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.contacts import lists
from adapter.networks.smartqq.contacts.list_client import ListClient
from adapter.networks.smartqq.contacts.roster import Roster, match_by_name
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Request
from adapter.networks.smartqq.protocol.parsing import mapping, parse_id
from adapter.networks.smartqq.session.credentials import Credentials

ReadNames = Callable[[Mapping[str, object]], Iterable[tuple[str, str]]]


class NumberLookup:
    """Write the numbers of listed contacts into a roster."""

    def __init__(
        self, client: ListClient, credentials: Credentials, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._limits = limits
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Try both sources again: a new session may be allowed what the last one was not."""
        self._are_numbers_closed = self._is_qun_closed = False

    async def look_up(self, kind: ListKind, listed: tuple[Contact, ...], roster: Roster) -> None:
        """Look up friends or groups, one by one or, where that is closed, by name."""
        is_friends = kind is ListKind.FRIENDS
        todo = deque(c for c in listed if c.id not in roster.numbers and (c.code or is_friends))
        if todo and not self._are_numbers_closed and await self._look_up_next(kind, todo, roster):
            async with anyio.create_task_group() as group:
                for _ in range(self._limits.max_parallel_lookups):
                    group.start_soon(self._look_up_all, kind, todo, roster)
        elif is_friends:
            await self._compare(endpoints.qun_friends(self._credentials), lists.qun_friends, listed, roster)
        else:
            await self._compare(endpoints.qun_groups(self._credentials), lists.qun_groups, listed, roster)

    async def look_up_members(self, group_qq: str, listed: tuple[Contact, ...], roster: Roster) -> None:
        """Look up the members of a group by name."""
        request = endpoints.qun_members(self._credentials, group_qq)
        await self._compare(request, lists.qun_members, listed, roster)

    async def _look_up_all(self, kind: ListKind, todo: deque[Contact], roster: Roster) -> None:
        while todo and not self._are_numbers_closed:
            await self._look_up_next(kind, todo, roster)

    async def _look_up_next(self, kind: ListKind, todo: deque[Contact], roster: Roster) -> bool:
        """Ask for one number. Returns whether the server still gives numbers away."""
        contact = todo.popleft()
        is_group = kind is ListKind.GROUPS
        uin = contact.code if is_group else contact.id
        request = endpoints.qq_number(self._credentials, uin, self._clock(), is_group=is_group)
        reply = await self._client.fetch_once(request, is_vital=False)
        qq = parse_id(mapping((reply or {}).get("result")).get("account"))
        if qq in ("", "0"):
            self._are_numbers_closed = True
            return False
        roster.numbers[contact.id] = qq
        return True

    async def _compare(
        self, request: Request, read: ReadNames, listed: tuple[Contact, ...], roster: Roster
    ) -> None:
        """Match one list of qun.qq.com by name, until that site refuses."""
        if self._is_qun_closed or all(contact.id in roster.numbers for contact in listed):
            return
        reply = await self._client.fetch_once(request, is_vital=False)
        if reply is None:
            self._is_qun_closed = True
            return
        for uin, qq in match_by_name(listed, read(reply)).items():
            roster.numbers.setdefault(uin, qq)
