"""Proof of consumers/runtime/tasks.py: tasks that lose a cancellation end all the same."""

import asyncio
import contextlib

import pytest

from consumers.runtime.tasks import TaskSupervisor

pytestmark = pytest.mark.anyio


async def _wait_for_ever(lost: int = 0) -> None:
    """Lose so many cancellations, as redis-py does."""
    for _ in range(lost):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_the_first_error_is_reported_and_raised() -> None:
    failed = asyncio.Event()
    tasks = TaskSupervisor(failed.set)

    async def fail(words: str) -> None:
        raise LookupError(words)

    waiting = tasks.start(_wait_for_ever())
    tasks.start(fail("first"))
    tasks.start(fail("second"))
    await failed.wait()
    with pytest.raises(LookupError, match="first"):
        await tasks.close()
    assert waiting.cancelled()


async def test_a_lost_cancellation_is_repeated() -> None:
    tasks = TaskSupervisor(lambda: None)
    task = tasks.start(_wait_for_ever(lost=2))
    await asyncio.wait([task], timeout=0)
    await tasks.close()
    assert task.cancelled()


async def test_a_task_that_ignores_every_cancellation_is_left_behind() -> None:
    tasks = TaskSupervisor(lambda: None)
    task = tasks.start(_wait_for_ever(lost=6))
    await asyncio.wait([task], timeout=0)
    async with asyncio.timeout(20):
        await tasks.close()
    assert not task.done()
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
