"""Run loops side by side and end them for certain.

asyncio.TaskGroup cancels a task once. redis-py loses a cancellation that arrives just before a command,
because it reads with a time limit of 0 and takes the cancellation for that limit. The task then goes on,
and the group waits for it without end. TaskSupervisor cancels again until the task has ended.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

# Seconds between two cancellations of one task: a handler may clean up after the first one.
_CANCEL_INTERVAL: Final = 0.5
# Seconds after which a task that ignores its cancellation is left behind.
CANCEL_TIMEOUT: Final = 2.0


def is_being_cancelled() -> bool:
    """Return whether this task is cancelled itself, and not only what it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def let_others_go_first() -> None:
    """Let what was just read be handled, and its first answer be written, before the next read is written.

    A read costs 0.2 ms of the event loop. A handler has the first of two steps, and a writer the second.
    """
    for _ in range(2):
        await asyncio.sleep(0)


class TaskSupervisor:
    """Starts tasks, reports the first error of one, and cancels them."""

    def __init__(self, on_failure: Callable[[], object]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()
        self.error: BaseException | None = None

    def start(self, loop: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run this beside the caller."""
        task = asyncio.get_running_loop().create_task(loop)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel(self, tasks: Iterable["asyncio.Task[None]"] | None = None) -> None:
        """Cancel these tasks, or all, again and again; give up after CANCEL_TIMEOUT."""
        running = {task for task in (self._tasks if tasks is None else tasks) if not task.done()}
        end = time.monotonic() + CANCEL_TIMEOUT
        while running and time.monotonic() < end:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=_CANCEL_INTERVAL)

    async def close(self) -> None:
        """Cancel what still runs, and raise the first error of a task."""
        await self.cancel()
        if self.error is not None:
            raise self.error

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None or self.error is not None:
            return
        self.error = error
        self._on_failure()
