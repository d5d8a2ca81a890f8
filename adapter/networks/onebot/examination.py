"""Examination for `qqbus doctor`: who answers behind the address, and how well it is set up.

It asks what the adapter asks when it connects, listens for a heartbeat, and sends nothing.
"""

import time
from typing import Final
from urllib.parse import urlsplit

import anyio

from adapter.events import SessionChange
from adapter.i18n import N_
from adapter.networks.onebot.client.connection import Connection
from adapter.networks.onebot.client.errors import ConnectionFailedError, Reason
from adapter.networks.onebot.client.socket import open_socket
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.frames import Heartbeat
from adapter.networks.upstream import Finding

# Seconds for the handshake, and for the answer that proves the connection.
_WAIT: Final = 5.0
# Seconds in which a heartbeat is expected. A rarer one is worth a word: three that are missing are noticed.
_HEARTBEAT_WAIT: Final = 20.0
_CHANGES: Final = {
    Reason.TOKEN: N_("set QQBUS_ONEBOT_TOKEN to the token of the implementation"),
    Reason.PATH: N_("correct the path of QQBUS_ONEBOT_URL: it is / for most of them"),
    Reason.LOGIN: N_("log in with QQ at the implementation's own page"),
    Reason.UNREACHABLE: N_("start it with its forward WebSocket server, or correct QQBUS_ONEBOT_URL"),
}
_CLOSED: Final = N_("look into the log of the implementation")


class _Listener:
    """Takes the frames of the connection; only heartbeats matter."""

    def __init__(self) -> None:
        self.heartbeat = anyio.Event()

    def on_heartbeat(self) -> None:
        """Note a heartbeat."""
        self.heartbeat.set()

    def on_event(self, frame: bytes) -> bool:  # noqa: ARG002 – one of many handlers
        """Drop an event: the adapter hears it on its own connection."""
        return True

    async def wait_room(self) -> None:
        """There is always room."""

    def on_status(self, status: Heartbeat, age: float) -> None:
        """Drop the word of QQ: `get_status` says it."""

    def on_kicked(self, change: SessionChange) -> None:
        """Drop the end of QQ's session: `get_status` says it."""


async def examine(url: str, token: str, *, heartbeat_seconds: float = _HEARTBEAT_WAIT) -> tuple[Finding, ...]:
    """Return the findings, the worst first. `heartbeat_seconds`: how long a heartbeat is waited for."""
    limits, place = Limits(connect_seconds=_WAIT, proof_seconds=_WAIT), _place(url)
    found: tuple[Finding, ...] = ()
    try:
        async with open_socket(url, token, limits) as socket:
            listener = _Listener()
            connection = Connection(socket, listener, limits, time.monotonic)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connection.run)
                try:
                    found = await _look(connection, listener, place, heartbeat_seconds)
                except ConnectionFailedError as exc:
                    found = (_failed(exc, place),)
                tasks.cancel_scope.cancel()
    except ConnectionFailedError as exc:
        found = (_failed(exc, place),)
    return found


async def _look(
    connection: Connection, listener: _Listener, place: str, seconds: float
) -> tuple[Finding, ...]:
    """Return the findings about a connection that is open. Raises ConnectionFailedError."""
    values: dict[str, object] = {"place": place}
    login = await connection.prove()
    status = await connection.describe()
    found = []
    if status.is_online is False:
        change = _CHANGES[Reason.LOGIN]
        found.append(Finding("bad", N_("{place} answers, but QQ is offline behind it"), change, values))
    with anyio.move_on_after(seconds):
        await listener.heartbeat.wait()
    if not listener.heartbeat.is_set():
        found.append(
            Finding(
                "warn",
                N_("no heartbeat came from {place} in {seconds:g} s: it is off, or rarer than that"),
                N_("switch it on there, every 15 s: a connection is dead when three are missing"),
                values | {"seconds": seconds},
            )
        )
    return (
        *found,
        Finding(
            "",
            N_("{place}: {implementation} answers as {account}"),
            values={
                "place": place,
                "implementation": connection.dialect.value or N_("an implementation"),
                "account": login.account,
            },
        ),
    )


def _failed(error: ConnectionFailedError, place: str) -> Finding:
    change, values = _CHANGES.get(error.reason, _CLOSED), {"place": place, "error": error}
    if error.reason is Reason.TOKEN:
        return Finding("bad", N_("{place} refuses the token"), change, values)
    if error.reason is Reason.PATH:
        return Finding("bad", N_("{place} answers nothing at this path"), change, values)
    if error.reason is Reason.LOGIN:
        return Finding("bad", N_("{place} answers, but no QQ account is logged in there"), change, values)
    if error.reason is Reason.UNREACHABLE:
        return Finding("bad", N_("{place} cannot be reached: {error}"), change, values)
    return Finding("bad", N_("{place} closes the connection: {error}"), change, values)


def _place(url: str) -> str:
    """Return the address without its query, which may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
