"""The bots that are connected at present, and what is done for each of their frames."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from aiohttp import ClientError

from consumers.onebot.account import Account, AccountWatcher
from consumers.onebot.actions.registry import MAX_IN_FLIGHT, Actions, is_send
from consumers.onebot.answers import Answer, failed
from consumers.onebot.connection import BotConnection, Role, Socket
from consumers.onebot.errors import BAD_REQUEST, TOO_MANY
from consumers.onebot.hub import Hub, encode_frame

log = logging.getLogger("qqbus.gateway")

# Answers with lists that are made at a time for one connection: each may have megabytes.
MAX_LISTS = 4


class Bots:
    """All connections of one gateway."""

    def __init__(self, hub: Hub, actions: Actions, account: AccountWatcher, confirm_seconds: float) -> None:
        self._confirm_seconds = confirm_seconds
        self._hub = hub
        self._actions = actions
        self.account = account
        self._connections: set[BotConnection] = set()
        self._lists: dict[BotConnection, asyncio.Semaphore] = {}
        # Seconds of a monotonic clock since which no bot hears events.
        self.alone_since = time.monotonic()

    @property
    def hearing(self) -> int:
        """How many connections hear events."""
        return sum(one.role is not Role.API for one in self._connections)

    @property
    def total(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    async def serve(self, socket: Socket, abort: Callable[[], None], role: Role, name: str) -> bool:
        """Serve a connection until it closes; returns whether it ever confirmed anything."""
        connection = BotConnection(
            socket,
            abort,
            role=role,
            name=name,
            hub=self._hub,
            account=self.account,
            act=self._act,
            confirm_seconds=self._confirm_seconds,
        )
        self._connections.add(connection)
        self._lists[connection] = asyncio.Semaphore(MAX_LISTS)
        log.info("%s is connected (%s)", name, role.value)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            del self._lists[connection]
            if not self.hearing:
                self.alone_since = time.monotonic()
            log.info("%s is gone", name)
        return connection.is_proved

    def account_changed(self, before: Account, now: Account) -> None:
        """Say the new state; connections of another account are made anew."""
        if before.number and now.number != before.number:
            log.warning("the account is now %s: all bots connect anew", now.number)
            self.cut_all()
            return
        if before.is_online != now.is_online:
            for connection in self._connections:
                if connection.role is not Role.API:
                    connection.send_heartbeat()

    def cut_all(self) -> None:
        """End all connections."""
        for connection in list(self._connections):
            connection.cut()

    # --- actions -------------------------------------------------------------------------------

    async def _act(self, connection: BotConnection, frame: object) -> None:
        """Start an action; waits while the bot does not read its answers."""
        if not isinstance(frame, dict):
            await self._answer(connection, failed(BAD_REQUEST, f"not a JSON object: {_words(frame)}"), {})
            return
        if connection.role is Role.EVENT:
            await self._answer(connection, failed(BAD_REQUEST, "/event takes no actions"), frame)
            return
        if len(connection.tasks) >= MAX_IN_FLIGHT:
            await self._answer(connection, failed(TOO_MANY, "too many actions are under way"), frame)
            return
        task = asyncio.get_running_loop().create_task(self._run(connection, frame))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)

    async def _run(self, connection: BotConnection, frame: dict[str, Any]) -> None:
        action, params = frame.get("action"), frame.get("params")
        if is_send(action):
            await self._answer(connection, await self._actions.run(connection.order, action, params), frame)
            return
        async with self._lists[connection]:
            await self._answer(connection, await self._actions.run(connection.order, action, params), frame)

    async def _answer(self, connection: BotConnection, answer: Answer, frame: dict[str, Any]) -> None:
        if "echo" in frame:
            answer = answer | {"echo": frame["echo"]}
        try:
            await connection.send(encode_frame(answer))
        except (ConnectionError, RuntimeError, ClientError) as exc:
            log.debug("%s: the answer was not written: %s", connection.name, exc)


def _words(frame: object) -> str:
    return str(frame)[:100] if isinstance(frame, ValueError) else type(frame).__name__
