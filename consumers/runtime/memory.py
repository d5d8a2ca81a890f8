"""A bus in memory: what `Worker.say` and `Worker.feed` try handlers on. It sends nothing.

A handler that waits for the speaker's next message stays until that message is said. Counts and keys of
`once` are kept until the worker ends.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from adapter import DEFAULT_LIMITS, Received, Result
from consumers.runtime.requests import Request

# What a handler under test waits for has no adapter behind it.
_NO_ADAPTER: Final = "nothing is sent here: there is no adapter that could reply"


class _Run:
    """The handlers of one event: they run, or wait for the speaker. `idle` is set while they do not run."""

    def __init__(self) -> None:
        self.idle = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class MemoryBus:
    """Keeps the requests of handlers. `limits` are those of the reference network."""

    limits = DEFAULT_LIMITS

    def __init__(self, application: str) -> None:
        self.application = application
        self.requests: list[Request] = []
        self._seen: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._runs: dict[str, _Run] = {}
        self._questions: dict[tuple[str, str], tuple[_Run, asyncio.Future[Received]]] = {}

    async def feed(self, received: Received, run: Callable[[], Awaitable[None]]) -> list[Request]:
        """Give an event to the handler that waits for it, else to `run`; return the new requests.

        Returns when the handlers are done or wait for a message. Raises what a handler raises.
        """
        start = len(self.requests)
        current = self._answer(received) or self._start(received, run)
        await current.idle.wait()
        if current.task is not None and current.task.done():
            self._runs.pop(received.id, None)
            current.task.result()
        return self.requests[start:]

    def _start(self, received: Received, run: Callable[[], Awaitable[None]]) -> _Run:
        current = self._runs[received.id] = _Run()

        async def handle() -> None:
            await run()

        current.task = asyncio.get_running_loop().create_task(handle())
        current.task.add_done_callback(lambda _: current.idle.set())
        return current

    def _answer(self, received: Received) -> _Run | None:
        if received.own or not received.type.startswith("message."):
            return None
        run, answer = self._questions.pop((received.chat, received.sender), (None, None))
        if run is None or answer is None or answer.done():
            return None
        run.idle.clear()
        answer.set_result(received)
        return run

    async def publish(self, request: Request) -> None:
        """Keep a request."""
        self.requests.append(request)

    async def send(self, request: Request) -> None:
        """Keep a request."""
        self.requests.append(request)

    async def confirm(self, request: Request, seconds: float) -> Result:  # noqa: ARG002 – there is no reply
        """Keep a request. Raises TimeoutError."""
        self.requests.append(request)
        raise TimeoutError(_NO_ADAPTER)

    async def first_time(self, key: str) -> bool:
        """Return whether this key is new."""
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    async def count(self, key: str, seconds: float) -> int:  # noqa: ARG002 – a test is shorter
        """Return how often this key was counted."""
        self._counts[key] += 1
        return self._counts[key]

    async def converse(self, received: Received, request: Request, seconds: float) -> Received:
        """Keep a question and wait until its answer is said. Raises TimeoutError."""
        self.requests.append(request)
        run = self._runs.get(received.id)
        if run is None:
            raise TimeoutError("no speaker is there: let the worker hear the event with say or feed")
        place = (received.chat, received.sender)
        answer: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._questions[place] = run, answer
        run.idle.set()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            run.idle.clear()
            if self._questions.get(place) == (run, answer):
                del self._questions[place]
