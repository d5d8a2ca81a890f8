"""What a client's frame leads to: the action, its fault, its record, its answer."""

import asyncio
import json
from typing import Any

from .actions import failed, perform, succeeded, with_echo
from .call import Call
from .connection import Connection
from .errors import ActionError, Failure
from .faults import Fault, Faults
from .hub import Hub, dumps
from .record import Action, shortened
from .sending import TIMEOUT_WORDING
from .state import State

# Actions of a connection that are under way; beyond it no frame is read.
MAX_IN_FLIGHT = 1_000
_NO_FAULT = Fault()


class ActionServer:
    """Answers the frames of all connections, each in a task of its own."""

    def __init__(self, state: State, hub: Hub, faults: Faults) -> None:
        self._state = state
        self._hub = hub
        self._faults = faults
        self._tasks: dict[int, set[asyncio.Task[None]]] = {}

    async def take(self, connection: Connection, text: str) -> None:
        """Begin to answer a frame; wait while too many are under way."""
        if not connection.takes_actions:
            return
        tasks = self._tasks.setdefault(connection.number, set())
        while len(tasks) >= MAX_IN_FLIGHT:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.ensure_future(self._answer(connection, text))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def drop(self, connection: Connection) -> None:
        """Cancel what is under way for a connection that has ended; it has been carried out already."""
        tasks = self._tasks.pop(connection.number, set())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _answer(self, connection: Connection, text: str) -> None:
        traits = self._state.traits
        frame = _parsed(text)
        if frame is None:
            if traits.are_malformed_frames_answered:
                answer = failed(ActionError(Failure.BAD_PARAMS, "json解析失败,请检查数据格式"), traits)
                self._hub.send_text(connection, dumps({**answer, "echo": None}))
            return
        name = str(frame.get("action", ""))
        given = frame.get("params")
        params = given if isinstance(given, dict) else {}
        fault = self._faults.next(name) or _NO_FAULT
        entry = self._record(connection, name, frame, fault, len(text))
        answer = await self._performed(connection, entry, frame, params, fault)
        await asyncio.sleep(fault.delay or self._state.options.answer_seconds)
        entry.status, entry.retcode = str(answer["status"]), answer["retcode"]
        await self._reply(connection, entry, dumps(with_echo(answer, frame, traits)), fault)

    def _record(
        self, connection: Connection, name: str, frame: dict[str, Any], fault: Fault, size: int
    ) -> Action:
        params, echo = shortened(frame.get("params")), shortened(frame.get("echo"))
        return self._state.record.actions.add(
            lambda n: Action(n, self._state.clock(), connection.number, name, params, echo, fault=str(fault)),
            min(size, 100_000),
        )

    async def _performed(
        self,
        connection: Connection,
        entry: Action,
        frame: dict[str, Any],
        params: dict[str, Any],
        fault: Fault,
    ) -> dict[str, Any]:
        traits = self._state.traits

        def send_part(data: Any) -> None:
            part = {**succeeded(data, traits), "stream": "stream-action"}
            self._hub.send_text(connection, dumps(with_echo(part, frame, traits)))

        call = Call(self._state, entry.action, params, connection.number, entry.n, self._hub.emit, send_part)
        answer = await perform(call) if fault.performs else succeeded(None, traits)
        if fault.reply == "timeout":
            answer = failed(ActionError(Failure.TIMEOUT, TIMEOUT_WORDING), traits)
        return {**answer, **(fault.answer or {})}

    async def _reply(self, connection: Connection, entry: Action, text: str, fault: Fault) -> None:
        if fault.reply == "never":
            return
        if fault.reply == "half":
            await connection.cut(text)
        elif fault.reply == "reset":
            connection.reset("answer")
        elif fault.reply == "close":
            await connection.close(1001, "", "answer")
        else:
            for _ in range(fault.frames):
                self._hub.send_text(connection, text)
            entry.answered = self._state.clock()
            self._state.record.changed()


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
