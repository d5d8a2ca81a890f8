"""Questions of handlers, and the messages that answer them, over all processes of an application.

A question is a field of the hash `worker:<application>:asks`: the chat and the speaker, its end, the entry
of the event that led to it, and its request id. Any process that reads a message of that speaker in that chat
writes the message's entry to `worker:<application>:answer:<request id>` and gives it to no handler. The
process that asked finds it there. If that process was killed, its event is handled again elsewhere: the
question has the same request id, so it is not sent twice, and its answer is found or awaited as before.

Invariants: the field is in Redis before the question is, so no answer is older than its field. The first
message wins, because SET NX writes its entry; a message that is read twice finds its own entry there. What
breaks them: a Redis that loses its last second may lose a field; the question then times out.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from adapter import Received, read_event
from consumers.runtime.replies import entry_key
from consumers.runtime.state import SharedState

# Seconds between two looks for answers that other processes have read; only while a question is open.
_POLL_SECONDS: Final = 0.2
# Seconds that an answer is kept: as long as the event of its question may be handled again.
ANSWER_TTL: Final = 7 * 86_400
# Seconds that a question may wait: the hash of questions lives longer than each of them.
MAX_ASK_SECONDS: Final = 86_400.0
_ASKS_TTL: Final = 2 * 86_400


class NoAnswerError(TimeoutError):
    """The speaker said nothing in time. A handler that does not catch it is done, not failed."""


class Conversations:
    """The questions of one process. `hint`: Redis holds questions of some process."""

    def __init__(self, state: SharedState, inbound: str) -> None:
        self._state = state
        self._inbound = inbound
        self.asks_key = state.key("asks")
        self.hint = False
        self._closed = False
        self._open: dict[str, asyncio.Future[Received]] = {}
        self._wakeup = asyncio.Event()

    async def ask(
        self, received: Received, question: str, seconds: float, publish: Callable[[], Awaitable[None]]
    ) -> Received:
        """Publish a question and wait for its answer; returns the answer. Raises NoAnswerError.

        `question`: the request id. `received`: the event whose speaker is asked.
        """
        if not 0 < seconds <= MAX_ASK_SECONDS:
            raise ValueError(f"seconds is a number above 0 and at most {MAX_ASK_SECONDS:g}")
        place = _place(received)
        if (known := await self._find(question)) is not None:
            await self._forget(place, question)
            return known
        end = await self._register(place, f"{received.entry} {question}", seconds)
        answer: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
        self._open[question] = answer
        self._wakeup.set()
        if self._closed:
            answer.cancel()
        try:
            await publish()
            async with asyncio.timeout(max(0.0, end - time.time())):
                found = await answer
        except TimeoutError:
            await self._forget(place, question)
            raise NoAnswerError(
                f"{received.sender} said nothing in {received.chat} for {seconds:g} s"
            ) from None
        finally:
            del self._open[question]
        await self._forget(place, question)
        return found

    async def take(self, received: Received) -> bool:
        """Return whether this message answers a question; then no handler gets it."""
        if not (self.hint or self._open) or received.own or not received.type.startswith("message."):
            return False
        packed: bytes | None = await self._state.do("HGET", self.asks_key, _place(received))
        if packed is None:
            return False
        end, entry, question = packed.decode().split(" ", 2)
        if float(end) < time.time() or entry_key(entry) >= entry_key(received.entry):
            return False
        key = self._answer_key(question)
        if not await self._state.do("SET", key, received.entry, "NX", "EX", ANSWER_TTL):
            first: bytes | None = await self._state.do("GET", key)
            if first is None or first.decode() != received.entry:
                return False
        self._resolve(question, received)
        return True

    async def run(self) -> None:
        """Look for answers that other processes have read, until cancelled."""
        while True:
            if not self._open:
                self._wakeup.clear()
                await self._wakeup.wait()
            await asyncio.sleep(_POLL_SECONDS)
            for question in list(self._open):
                if (found := await self._find(question)) is not None:
                    self._resolve(question, found)

    def close(self) -> None:
        """End the waiting of all handlers, whose events another process then handles."""
        self._closed = True
        for answer in self._open.values():
            answer.cancel()

    def _resolve(self, question: str, received: Received) -> None:
        answer = self._open.get(question)
        if answer is not None and not answer.done():
            answer.set_result(received)

    async def _register(self, place: str, ask: str, seconds: float) -> float:
        """Write the question; returns its end in seconds since 1970, the first one if it is known."""
        packed: bytes | None = await self._state.do("HGET", self.asks_key, place)
        if packed is not None:
            end, _, known = packed.decode().partition(" ")
            if known == ask and float(end) > time.time():
                return float(end)
        until = time.time() + seconds
        await self._state.do("HSET", self.asks_key, place, f"{until:.3f} {ask}")
        await self._state.do("EXPIRE", self.asks_key, _ASKS_TTL)
        return until

    async def _forget(self, place: str, question: str) -> None:
        """Delete the question, unless the speaker is asked something else by now."""
        packed: bytes | None = await self._state.do("HGET", self.asks_key, place)
        if packed is not None and packed.decode().endswith(f" {question}"):
            await self._state.do("HDEL", self.asks_key, place)

    async def _find(self, question: str) -> Received | None:
        entry: bytes | None = await self._state.do("GET", self._answer_key(question))
        if entry is None:
            return None
        rows = await self._state.do("XRANGE", self._inbound, entry, entry)
        return read_event(rows[0][0].decode(), rows[0][1]) if rows else None

    def _answer_key(self, question: str) -> str:
        return self._state.key(f"answer:{question}")


def _place(received: Received) -> str:
    return f"{received.chat} {received.sender}"
