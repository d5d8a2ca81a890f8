"""Calls: each action is matched with its answer by an echo, in whatever order answers come."""

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Final

import anyio

from adapter.errors import TransportError
from adapter.networks.onebot.client.errors import CallTimeoutError
from adapter.networks.onebot.protocol.return_codes import Answer, decode_answer
from adapter.networks.onebot.protocol.values import Object
from adapter.networks.websocket import ABNORMAL, Socket, SocketClosedError

# Bytes a second at which NapCat expects QQ to take a message: it waits that much longer for large ones.
_BYTES_PER_SECOND: Final = 256 * 1024


def _always() -> bool:
    return True


def dump(value: object) -> str:
    """Return the JSON of a value, without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Call:
    """A call that waits for its answer, or for the end of the connection."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: Answer | None = None
        self.error: SocketClosedError | None = None


class Calls:
    """The calls of one connection."""

    def __init__(self, socket: Socket, *, max_calls: int) -> None:
        self._socket = socket
        self._pending: dict[str, _Call] = {}
        self._numbers = itertools.count(1)
        self._room = anyio.Semaphore(max_calls)

    async def call(
        self,
        action: str,
        params: str | Mapping[str, object],
        *,
        seconds: float,
        may_send: Callable[[], bool] = _always,
    ) -> Answer | None:
        """Return the answer to an action; `params` is an object or its JSON.

        None: nothing was written, because `may_send` did not allow it. Raises CallTimeoutError after
        `seconds`, later for a large call, and SocketClosedError.
        """
        async with self._room:
            if not self._socket.is_open:
                raise SocketClosedError(ABNORMAL, "the connection is gone")
            if not may_send():
                return None
            echo = str(next(self._numbers))
            call = self._pending[echo] = _Call()
            text = params if isinstance(params, str) else dump(params)
            frame = f'{{"action":{dump(action)},"params":{text},"echo":"{echo}"}}'
            limit = seconds + len(frame) // _BYTES_PER_SECOND
            try:
                with anyio.move_on_after(limit):
                    await self._socket.send(frame)
                    await call.done.wait()
            finally:
                del self._pending[echo]
        if call.error is not None:
            raise call.error
        if call.answer is None:
            raise CallTimeoutError(action, limit)
        return call.answer

    def resolve(self, frame: Object) -> bool:
        """Hand an answer to its call; False if none waits for it.

        NapCat answers some actions with several frames: the first one counts.
        """
        call = self._pending.get(str(frame.get("echo")))
        if call is None or call.done.is_set():
            return False
        call.answer = decode_answer(frame)
        call.done.set()
        return True

    def fail(self, error: TransportError) -> None:
        """End all calls: the connection is gone, and what was written may have been carried out."""
        for call in self._pending.values():
            if not call.done.is_set():
                call.error = SocketClosedError(getattr(error, "code", ABNORMAL), str(error), sent=True)
                call.done.set()
