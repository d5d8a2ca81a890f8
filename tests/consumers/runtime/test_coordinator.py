"""What lanes do when an answer is lost or late, and while a lane moves: members led through it step by step."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from redis.exceptions import RedisError

from consumers.runtime.client import BusClient
from consumers.runtime.connection import Settings, consumer_name, is_transient
from consumers.runtime.consumer_group import ConsumerGroup
from consumers.runtime.coordinator import (
    CHECK_INTERVAL,
    MAX_IN_FLIGHT,
    MOVE_CHECK_INTERVAL,
    PARTITIONS,
    partition_of,
)
from consumers.runtime.dispatcher import KeyedDispatcher, WorkItem
from consumers.runtime.partitioned import PartitionedSource
from tests.support.bus_events import Cutter, Desk, desk_at, message
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@dataclass
class Member:
    """One process of an application, which does what the test says and nothing else."""

    group: ConsumerGroup
    chats: KeyedDispatcher
    lanes: PartitionedSource

    async def step(self) -> None:
        """One round, and what the runtime does when Redis did not serve."""
        try:
            await self.lanes.poll()
        except (RedisError, OSError) as exc:
            if not is_transient(exc):
                raise
            await self.lanes.recover()

    async def until(self, predicate: Callable[[], Awaitable[Any] | Any], what: str) -> None:
        """Run rounds until that is so."""

        async def one_more() -> Any:
            await self.step()
            value = predicate()
            return await value if isinstance(value, Awaitable) else value

        await wait_until(one_more, what, 20)


async def _done(_: WorkItem) -> float | None:
    return None


@asynccontextmanager
async def member(url: str, prefix: str, lease: float = 60.0) -> AsyncIterator[Member]:
    """Join as a member."""
    async with BusClient.open("lanes", consumer_name(), Settings(url, prefix)) as office:
        group, chats = ConsumerGroup(office, "0"), KeyedDispatcher(_done, 8)
        lanes = PartitionedSource(office, group, chats, lease)
        await lanes.recover()
        yield Member(group, chats, lanes)


class Team:
    """A member that leads, others, and what the server knows about them."""

    def __init__(self, desk: Desk, stack: AsyncExitStack) -> None:
        self.desk = desk
        self._stack = stack
        self.leader: Member

    async def hire(self, url: str = "", lease: float = 60.0) -> Member:
        """One more."""
        return await self._stack.enter_async_context(member(url or self.desk.url, self.desk.prefix, lease))

    async def chats_of(self, one: Member) -> list[str]:
        """Return a chat of each partition of this member; those that move first come last."""
        owners: Any = await self.desk.client.hgetall(self.desk.key("lanes:lanes:owners"))
        mine = {int(lane) for lane, owner in owners.items() if owner.decode() == one.group.consumer}
        chats = {
            partition_of([b"chat", f"group:{n}".encode()]): f"group:{n}" for n in range(1, 40 * PARTITIONS)
        }
        return [chats[lane] for lane in sorted(mine)]

    async def shared(self, one: Member) -> bool:
        """Whether it has lanes."""
        return bool(await self.chats_of(one))

    async def pending(self, one: Member) -> list[str]:
        """Return what the group knows to be pending with this member."""
        return [row.entry for row in await self.leader.group.pending(consumer=one.group.consumer)]

    async def tended_soon(self) -> None:
        """Until the leader will look at its peers."""
        moment = time.monotonic()
        await wait_until(
            lambda: time.monotonic() > moment + CHECK_INTERVAL, "it is time to look at the peers"
        )


@asynccontextmanager
async def team(redis_url: str, prefix: str, leader_url: str = "") -> AsyncIterator[Team]:
    """One that leads."""
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:
        made = Team(desk, stack)
        made.leader = await made.hire(leader_url)
        await made.leader.until(lambda: made.shared(made.leader), "somebody leads")
        yield made


async def test_what_the_leader_read_is_handled_though_the_answer_was_lost(
    redis_url: str, prefix: str
) -> None:
    async with Cutter.before(redis_url) as cutter, team(redis_url, prefix, cutter.url) as crew:
        cutter.cut_at = b"message.group"
        (entry,) = await crew.desk.publish(message())
        await crew.leader.until(lambda: entry in crew.leader.chats.in_flight, "it is in hand")
        assert cutter.cuts == 1


async def test_a_leader_that_is_cut_off_while_it_asks_whether_it_leads_goes_on(
    redis_url: str, prefix: str
) -> None:
    async with Cutter.before(redis_url) as cutter, team(redis_url, prefix, cutter.url) as crew:
        cutter.cut_at = crew.leader.group.consumer.encode()
        await crew.leader.until(lambda: cutter.cuts, "it was cut")
        (entry,) = await crew.desk.publish(message())
        await crew.leader.until(lambda: entry in crew.leader.chats.in_flight, "it is in hand")


async def test_a_leader_that_recovers_leaves_to_the_others_what_is_theirs(
    redis_url: str, prefix: str
) -> None:
    async with team(redis_url, prefix) as crew:
        other = await crew.hire()
        await crew.leader.until(lambda: crew.shared(other), "the other has lanes")
        chat = (await crew.chats_of(other))[0]
        (entry,) = await crew.desk.publish(message("one", chat))
        await crew.leader.until(lambda: crew.pending(crew.leader), "it is read, and not yet dealt")
        await crew.leader.lanes.recover()
        await crew.leader.until(lambda: crew.pending(other), "it is dealt")
        assert crew.leader.chats.in_flight == {}
        await other.until(lambda: entry in other.chats.in_flight, "its owner has it")


async def test_a_lane_does_not_move_before_its_owner_has_been_given_what_is_his(
    redis_url: str, prefix: str
) -> None:
    async with team(redis_url, prefix) as crew:
        old = await crew.hire()
        await crew.leader.until(lambda: crew.shared(old), "the first has lanes")
        chat = (await crew.chats_of(old))[-1]
        (first,) = await crew.desk.publish(message("one", chat))
        await crew.leader.until(lambda: crew.pending(crew.leader), "it is read, and not yet dealt")
        new = await crew.hire()
        await crew.tended_soon()
        (second,) = await crew.desk.publish(message("two", chat))
        await crew.leader.until(lambda: crew.pending(old), "it is dealt")
        await crew.leader.step()
        assert await crew.pending(old) == [first]
        assert await crew.pending(new) == []
        await crew.desk.client.xack(crew.desk.key("inbound"), "lanes", first)
        await crew.leader.until(lambda: crew.pending(new), "the lane has moved")
        assert await crew.pending(new) == [second]


async def test_a_member_whose_joining_was_not_answered_joins_anew(redis_url: str, prefix: str) -> None:
    async with Cutter.before(redis_url) as cutter, team(redis_url, prefix) as crew:
        other = await crew.hire(cutter.url)
        await crew.desk.client.delete(crew.desk.key(f"lanes:lanes:live:{other.group.consumer}"))
        cutter.cut_at = b"QUEUED"
        await other.until(lambda: cutter.cuts, "it was cut")
        assert await crew.desk.client.exists(crew.desk.key(f"lanes:lanes:live:{other.group.consumer}"))


class Holder(Cutter):
    """A proxy that can keep answers back."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.open = asyncio.Event()
        self.open.set()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watch: bool) -> None:
        while data := await reader.read(65536):
            if watch:
                await self.open.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


async def test_a_renewal_that_is_answered_after_the_lease_ended_does_not_bring_it_back(
    redis_url: str, prefix: str
) -> None:
    lease = 3.0
    async with Holder.before(redis_url) as holder, team(redis_url, prefix) as crew:
        assert isinstance(holder, Holder)
        other = await crew.hire(holder.url, lease)
        moment = time.monotonic()
        await other.step()
        async with asyncio.TaskGroup() as tasks:
            slot = tasks.create_task(other.chats.run_slot())
            await wait_until(lambda: time.monotonic() > moment + lease / 2, "a renewal is due")
            holder.open.clear()
            renewal = tasks.create_task(other.step())
            await wait_until(lambda: not other.chats.lease_valid(), "the lease has ended")
            other.chats.submit([WorkItem("1-0", [b"chat", b"group:1"])])
            holder.open.set()
            await renewal
            # Dropped when its turn came: somebody has to have said that it is for the others.
            await wait_until(lambda: not other.chats.in_flight, "nothing waits for ever")
            other.chats.close()
            await slot


async def test_a_leader_waits_a_moment_where_a_crowded_member_has_to_finish_first(
    redis_url: str, prefix: str
) -> None:
    async with team(redis_url, prefix) as crew:
        other = await crew.hire()
        await crew.leader.until(lambda: crew.shared(other), "the other has lanes")
        chat = (await crew.chats_of(other))[0]
        entries = await crew.desk.publish(*[message(str(n), chat) for n in range(MAX_IN_FLIGHT + 1)])

        async def all_given() -> bool:
            return len(await crew.pending(other)) == len(entries)

        await crew.leader.until(all_given, "it has too much")
        moment = time.monotonic()
        for _ in range(20):
            await crew.leader.step()
        # Not how fast it is, but that it is not faster.
        assert time.monotonic() - moment > 20 * MOVE_CHECK_INTERVAL * 0.9


async def test_one_event_that_takes_long_holds_back_its_own_lane_and_that_not_for_ever(
    redis_url: str, prefix: str
) -> None:
    async with team(redis_url, prefix) as crew:
        old = await crew.hire()
        await crew.leader.until(lambda: crew.shared(old), "the first has lanes")
        *_, near, last = await crew.chats_of(old)
        (slow,) = await crew.desk.publish(message("one", last))
        await crew.leader.until(lambda: crew.pending(old), "the first has it")
        new = await crew.hire()
        await crew.leader.until(lambda: crew.shared(new), "lanes have moved to the second")
        behind, other = await crew.desk.publish(message("two", last), message("three", near))
        await crew.leader.until(lambda: crew.pending(new), "what has nothing to do with it goes on")
        assert await crew.pending(new) == [other]

        async def given() -> bool:
            return await crew.pending(old) == [slow, behind]

        await crew.leader.until(given, "the lane stays where it is")
