"""Proof of adapter/bus/bus.py and its scripts."""

import anyio
import pytest

from adapter.bus.bus import Bus, Counts, Fence, pack_batch
from adapter.codec.inbound import EventRecord
from adapter.errors import BusUnavailable, Fenced, SequenceLost, UnsupportedServer

pytestmark = pytest.mark.anyio
A = Fence(1, "a")


def draft(number: int, text: str = "hello") -> EventRecord:
    return EventRecord(f"1.g5.2.{number}.3.ab", "message.group", "t", "group:5", "2", "0", text, b"\x80")


async def entries(bus: Bus) -> list[dict[bytes, bytes]]:
    return [dict(fields) for _, fields in await bus.client.xrange(bus.keys("inbound"))]


async def test_a_batch_is_added_in_order_with_contiguous_numbers(bus: Bus) -> None:
    done = await bus.append(A, "305419896", pack_batch([draft(1), draft(2)]), 0)
    assert done == (2, 2, (2, 2))
    assert await bus.append(A, "305419896", pack_batch([draft(3)]), 2) == (1, 3, (3, 3))
    rows = await entries(bus)
    assert [row[b"seq"] for row in rows] == [b"1", b"2", b"3"]
    assert rows[0] == {
        b"v": b"1",
        b"id": b"1.g5.2.1.3.ab",
        b"type": b"message.group",
        b"time": b"t",
        b"account": b"305419896",
        b"epoch": b"1",
        b"seq": b"1",
        b"chat": b"group:5",
        b"sender": b"2",
        b"self": b"0",
        b"text": b"hello",
        b"body": b"\x80",
    }
    assert list(rows[0]) == [name.encode() for name in CONTRACT_ORDER]


CONTRACT_ORDER = [
    "v",
    "id",
    "type",
    "time",
    "account",
    "epoch",
    "seq",
    "chat",
    "sender",
    "self",
    "text",
    "body",
]


async def test_copies_are_dropped_within_a_batch_and_between_batches(bus: Bus) -> None:
    await bus.append(A, "1", pack_batch([draft(1), draft(1), draft(2)]), 0)
    assert await bus.append(A, "1", pack_batch([draft(2), draft(3)]), 2) == (1, 3, (3, 3))
    assert len(await entries(bus)) == 3


async def test_a_large_batch_is_one_step(bus: Bus) -> None:
    done = await bus.append(A, "1", pack_batch([draft(n) for n in range(500)]), 0)
    assert done == (500, 500, (500, 500))


async def test_ids_are_remembered_for_two_windows_and_then_forgotten(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.bus.bus.SEEN_WINDOW", 3)
    for number in range(6):
        await bus.append(A, "1", pack_batch([draft(number)]), 0)
    for number in (3, 4, 5):
        assert (await bus.append(A, "1", pack_batch([draft(number)]), 0)).added == 0
    assert (await bus.append(A, "1", pack_batch([draft(0)]), 0)).added == 1


async def test_an_older_epoch_is_refused_and_leaves_no_trace(bus: Bus) -> None:
    await bus.append(Fence(2, "b"), "1", pack_batch([draft(1)]), 0)
    for fence in (A, Fence(2, "other")):
        with pytest.raises(Fenced):
            await bus.append(fence, "1", pack_batch([draft(2)]), 0)
    assert len(await entries(bus)) == 1


async def test_a_server_without_its_tail_says_so_and_adds_nothing(bus: Bus) -> None:
    await bus.append(A, "1", pack_batch([draft(1)]), 0)
    with pytest.raises(SequenceLost) as lost:
        await bus.append(A, "1", pack_batch([draft(9)]), 7)
    assert lost.value.live == 1
    assert len(await entries(bus)) == 1
    assert await bus.raise_sequence(A, "1", Counts(7, 7)) == (6, (7, 7))
    assert await bus.append(A, "1", pack_batch([draft(9)]), 7) == (1, 8, (8, 8))


async def test_a_late_append_takes_the_current_epoch_and_is_counted_apart(bus: Bus) -> None:
    await bus.append(Fence(2, "b"), "1", pack_batch([draft(1)]))
    late = pack_batch([draft(1), draft(2), draft(3)])
    for added in (2, 0):
        assert await bus.append(None, "1", late) == (added, 3, (3, 1))
    assert [row[b"epoch"] for row in await entries(bus)] == [b"2"] * 3
    assert await bus.append(Fence(2, "b"), "1", pack_batch([draft(4)]), 1) == (1, 4, (4, 2))
    with pytest.raises(SequenceLost):
        await bus.append(Fence(2, "b"), "1", pack_batch([]), 3)
    for confirmed in (Counts(4, 9), Counts(9, 2)):  # come again late, and late ones lost
        assert await bus.raise_sequence(Fence(2, "b"), "1", confirmed) == (0, (4, 2))
    assert await bus.raise_sequence(Fence(2, "b"), "1", Counts(9, 3)) == (1, (5, 3))
    assert await bus.append(Fence(2, "b"), "1", pack_batch([]), 3) == (0, 5, (5, 3))
    with pytest.raises(Fenced):
        await bus.append(A, "1", pack_batch([draft(5)]))


async def test_a_batch_that_came_before_is_dropped_once_its_ids_may_be_forgotten(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.bus.bus.SEEN_WINDOW", 3)
    monkeypatch.setattr("adapter.bus.bus.MAX_BATCH", 1)
    for number in range(7):
        await bus.append(A, "1", pack_batch([draft(number)]))
    assert (await bus.append(A, "1", pack_batch([draft(0)]), published_total=1)).added == 0
    assert (await bus.append(A, "1", pack_batch([draft(0)]), published_total=6)).added == 1


async def test_entries_are_read_once_and_again_until_acknowledged(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    first = await bus.client.xadd(bus.keys("outbound"), {"to": "group:5"})
    assert await bus.read_new("outbound", 10) == [(first.decode(), {b"to": b"group:5"})]
    assert await bus.read_new("outbound", 10) == []
    assert [entry for entry, _ in await bus.read_pending("outbound", "0", 10)] == [first.decode()]
    await bus.xack("outbound", first.decode())
    assert await bus.read_pending("outbound", "0", 10) == []


async def test_a_group_starts_at_the_beginning_and_heals(bus: Bus) -> None:
    early = await bus.client.xadd(bus.keys("outbound"), {"to": "a"})
    assert [entry for entry, _ in await _until_read(bus)] == [early.decode()]
    await bus.client.delete(bus.keys("outbound"))
    again = await bus.client.xadd(bus.keys("outbound"), {"to": "b"})
    assert [entry for entry, _ in await _until_read(bus)] == [again.decode()]


async def _until_read(bus: Bus) -> list[tuple[str, dict[bytes, bytes]]]:
    # The first reading may find no group and make it.
    return await bus.read_new("outbound", 10) or await bus.read_new("outbound", 10)


async def test_an_entry_deleted_while_pending_comes_back_empty(bus: Bus) -> None:
    await bus.ensure_group("outbound")
    entry = await bus.client.xadd(bus.keys("outbound"), {"to": "a"})
    await bus.read_new("outbound", 10)
    await bus.client.xdel(bus.keys("outbound"), entry)
    assert await bus.read_pending("outbound", "0", 10) == [(entry.decode(), {})]


async def test_a_hash_is_replaced_as_a_whole(bus: Bus) -> None:
    key = bus.keys("friends")
    await bus.replace_hash(A, key, [(str(n), b"old") for n in range(9000)])
    await bus.replace_hash(A, key, [("7", b"new")])
    assert await bus.hgetall(key) == {"7": b"new"}


async def test_waiting_requests_are_counted(bus: Bus) -> None:
    assert await bus.outbound_pending() == 0
    await bus.ensure_group("outbound")
    for _ in range(3):
        await bus.client.xadd(bus.keys("outbound"), {"to": "a"})
    (group,) = await bus.client.xinfo_groups(bus.keys("outbound"))
    # Redis before 7 does not count what a group has not read: that counts as one.
    assert await bus.outbound_pending() == (1 if group.get("lag") is None else 3)
    await bus.read_new("outbound", 2)
    assert await bus.outbound_pending() == 3


async def test_the_session_stream_and_the_status_are_written_together(bus: Bus) -> None:
    await bus.write_status(A, {"state": "qr"}, {"v": "1", "state": "qr", "png": b"\x89PNG"})
    assert await bus.hgetall(bus.keys("status")) == {"state": b"qr"}
    assert (await bus.client.xrange(bus.keys("session")))[0][1][b"png"] == b"\x89PNG"
    with pytest.raises(Fenced):
        await bus.write_status(Fence(0, "old"), {"state": "online"})


async def test_a_server_that_may_evict_streams_is_refused_in_words(bus: Bus) -> None:
    assert (await bus.check_server()).startswith(("Valkey ", "Redis "))
    await bus.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(UnsupportedServer, match="maxmemory-policy"):
            await bus.check_server()
    finally:
        await bus.client.config_set("maxmemory-policy", "noeviction")


async def test_no_server_is_told_as_such() -> None:
    async with Bus.open("redis://127.0.0.1:1", "x") as nowhere:
        with pytest.raises(BusUnavailable):
            await nowhere.check_server()


async def test_a_cancelled_task_closes_its_connections(redis_url: str, prefix: str) -> None:
    with anyio.CancelScope() as scope:
        async with Bus.open(redis_url, prefix) as bus:
            await bus.client.ping()
            pool = bus.client.connection_pool
            scope.cancel()
            await anyio.sleep_forever()
    assert [connection.is_connected for connection in pool._available_connections] == [False]  # noqa: SLF001 – redis-py has no public list
