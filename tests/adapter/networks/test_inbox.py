"""The inbox: order, batches, and the bound in bytes."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from adapter.networks.inbox import OVERHEAD, Inbox

pytestmark = pytest.mark.anyio


async def test_what_is_there_together_is_one_batch() -> None:
    inbox: Inbox[int] = Inbox(max_bytes=1_000_000, batch=3)
    for number in range(5):
        await inbox.put(number, 10)
    assert await inbox.take(1.0) == [0, 1, 2]
    assert await inbox.take(1.0) == [3, 4]
    assert await inbox.take(0.0) == []


async def test_bytes_count_until_they_are_on_disk_and_writers_wait_for_room() -> None:
    inbox: Inbox[str] = Inbox(max_bytes=1_000, batch=10)
    await inbox.put("a", 1_000)
    written: list[str] = []

    async def write() -> None:
        for item in ("b", "c"):
            await inbox.put(item, 10)
            written.append(item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        assert await inbox.take(1.0) == ["a"]
        assert (inbox.held_bytes, inbox.is_idle) == (1_000 + OVERHEAD, False)
        await checkpoint()
        assert written == []
        inbox.release()
    assert written == ["b", "c"]
    assert await inbox.take(1.0) == ["b", "c"]
    inbox.release()
    assert inbox.is_idle


async def test_a_frame_larger_than_the_bound_passes_alone() -> None:
    inbox: Inbox[str] = Inbox(max_bytes=10, batch=10)
    await inbox.put("large", 1_000_000)
    assert await inbox.take(1.0) == ["large"]


async def test_a_change_of_the_session_does_not_wait() -> None:
    inbox: Inbox[str] = Inbox(max_bytes=10, batch=10)
    await inbox.put("large", 1_000)
    inbox.put_now("offline")
    assert await inbox.take(1.0) == ["large", "offline"]


async def test_the_end_wakes_everybody_and_loses_nothing_that_was_put() -> None:
    inbox: Inbox[str] = Inbox(max_bytes=10, batch=10)
    await inbox.put("a", 1_000)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inbox.put, "late", 10)
        await checkpoint()
        inbox.close()
    assert await inbox.take(10.0) == ["a"]
    assert await inbox.take(10.0) == []
    assert inbox.is_closed


async def test_a_reader_wakes_for_the_first_item() -> None:
    inbox: Inbox[str] = Inbox(max_bytes=1_000, batch=10)
    found: list[str] = []

    async def read() -> None:
        found.extend(await inbox.take(10.0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await checkpoint()
        await inbox.put("a", 1)
    assert found == ["a"]


async def test_a_closed_inbox_is_never_idle_because_it_ignores_what_comes() -> None:
    inbox: Inbox[str] = Inbox(max_bytes=1_000, batch=10)
    assert inbox.is_idle
    inbox.close()
    await inbox.put("ignored", 10)
    assert not inbox.is_idle
