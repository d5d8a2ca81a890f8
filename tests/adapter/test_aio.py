"""Proof of adapter/aio.py."""

from itertools import islice

import anyio
import pytest

from adapter.aio import AutoResetEvent, backoff, periodic

pytestmark = pytest.mark.anyio


async def test_a_wake_up_before_the_wait_is_not_lost_and_counts_once() -> None:
    event = AutoResetEvent()
    event.set()
    assert await event.wait(60.0)
    assert not await event.wait(0.0)


async def test_a_periodic_step_runs_at_once_at_each_wake_up_and_each_interval_until_stopped() -> None:
    wakeup, stop, steps = AutoResetEvent(), anyio.Event(), [0]
    reached = {count: anyio.Event() for count in (1, 2, 3)}

    async def step() -> None:
        steps[0] += 1
        if steps[0] in reached:
            reached[steps[0]].set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:

            async def run(seconds: float) -> None:
                await periodic(step, seconds=seconds, wakeup=wakeup, stop=stop)

            tasks.start_soon(run, 3600.0)
            await reached[1].wait()
            wakeup.set()
            await reached[2].wait()
            stop.set()
            wakeup.set()
        assert steps == [2]
        stop = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, 0.001)
            await reached[3].wait()
            stop.set()
            wakeup.set()
        await periodic(step, seconds=3600.0, wakeup=wakeup, stop=stop)


def test_delays_grow_to_their_limit_and_are_shortened_at_random() -> None:
    assert list(islice(backoff(lambda: 0.0, first=1.0, most=5.0), 5)) == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert list(islice(backoff(lambda: 1.0, first=1.0, most=5.0), 2)) == [0.5, 1.0]
