"""Session manager: one connection after the other, and the state of the session.

    starting ─► online ─► relinking ─► online …      a lost connection
                  │           └─► offline            not back within OFFLINE_SECONDS, or refused
                  ├─► offline ─► online              QQ is offline behind a healthy connection
                  └─► kicked  ─► online              QQ was thrown out

`online` needs the proof of a connection (see client/connection.py) and QQ online behind it. Each way back to
`online` puts Proved before it, so that its gap stands before `session.online`.

Invariants:
- The first retry after a connection that lasted is at once; further ones wait, up to 30 s. A connection that
  ends right after its proof does not start the delays afresh: there is no hot loop.
- A refused token or path is tried again once a minute: only a person can help.
- Events that come before the proof wait for it: they stand behind the gap and `session.online`, and bear
  the account. What does not fit into the bound is lost within the gap, which ends with the proof.
- What a connection has received stands in the inbox before Broken.
"""

import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, backoff
from adapter.errors import TransportError
from adapter.events import SessionChange, SessionState
from adapter.networks.inbox import Inbox
from adapter.networks.onebot.client.connection import Connection, Login
from adapter.networks.onebot.client.errors import ConnectionFailedError, Reason
from adapter.networks.onebot.client.socket import open_socket
from adapter.networks.onebot.gaps import GapTracker
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.frames import Heartbeat
from adapter.networks.onebot.receiver import Broken, Frame, Item, Proved
from adapter.networks.websocket import Socket

log = logging.getLogger(__name__)

# Seconds after which a connection that does not come back is an outage that workers hear of.
OFFLINE_SECONDS: Final = 30.0
# Heartbeats that must say online after QQ was thrown out, unless one said offline: some always say online.
_ONLINE_VOTES: Final = 2
_QQ_OFFLINE: Final = "QQ was offline"
_QQ_OFFLINE_NOW: Final = "QQ is offline behind the connection: log in at the implementation's own page"

Work = Callable[[Connection], Coroutine[object, object, None]]


class SessionManager:
    """Keeps a connection. `wall` and `clock` (monotonic) are in seconds; `jitter` returns [0, 1).

    `works` run on each proved connection and end with it.
    """

    def __init__(
        self,
        url: str,
        token: str,
        inbox: Inbox[Item],
        tracker: GapTracker,
        limits: Limits,
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        works: Sequence[Work] = (),
    ) -> None:
        self._url = url
        self._token = token
        self._inbox = inbox
        self._tracker = tracker
        self._limits = limits
        self._wall = wall
        self._clock = clock
        self._jitter = jitter
        self._works = works
        self._wakeup = AutoResetEvent()
        self._online = anyio.Event()
        self._state = SessionState.STARTING
        self._reason = ""
        self._login = Login("", "")
        self._lost_at: float | None = None
        self._online_votes = 0
        self._socket: Socket | None = None
        # Events of a connection that is not proved yet.
        self._early: list[Frame] = []
        self._early_bytes = 0
        self._is_stopping = False
        # The proved connection.
        self.connection: Connection | None = None

    # --- what others ask for -----------------------------------------------------------------------

    @property
    def is_online(self) -> bool:
        """Whether messages can be sent."""
        return self._online.is_set()

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        while not self._online.is_set():
            await self._online.wait()

    def reconnect(self) -> None:
        """Open a new connection now, whatever the present one looks like."""
        if self._socket is not None:
            self._socket.abort()
        self._wakeup.set()

    def stop(self) -> None:
        """Open no more connections; the present one stays until its end."""
        self._is_stopping = True
        self._wakeup.set()

    # --- connections -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a connection until stopped."""
        self._announce(SessionState.STARTING, "")
        delays = self._delays()
        while not self._is_stopping:
            error, lasted = await self._connect()
            self._on_lost(error)
            if lasted is not None and lasted >= self._limits.stable_seconds:
                delays = self._delays()
            elif isinstance(error, ConnectionFailedError) and error.reason.needs_person:
                await self._wakeup.wait(self._limits.refused_seconds)
            else:
                await self._wakeup.wait(next(delays))

    def _delays(self) -> Iterator[float]:
        limits = self._limits
        return backoff(self._jitter, first=limits.retry_first_seconds, most=limits.retry_most_seconds)

    async def _connect(self) -> tuple[TransportError, float | None]:
        """Open a connection and keep it to its end; returns why it ended, and the seconds since its proof.

        None stands for a connection that was not proved.
        """
        try:
            async with open_socket(self._url, self._token, self._limits) as socket:
                self._socket = socket
                try:
                    return await self._use(socket)
                finally:
                    self.connection = self._socket = None
        except ConnectionFailedError as exc:
            return exc, None

    async def _use(self, socket: Socket) -> tuple[TransportError, float | None]:
        connection = Connection(socket, self, self._limits, self._clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            failure = await self._prove(connection)
            proved_at = self._clock()
            if failure is None:
                for work in self._works:
                    tasks.start_soon(work, connection)
            else:
                socket.abort()
            error = await connection.wait_end()
            tasks.cancel_scope.cancel()
        return (error, self._clock() - proved_at) if failure is None else (failure, None)

    async def _prove(self, connection: Connection) -> ConnectionFailedError | None:
        try:
            login = await connection.prove()
        except ConnectionFailedError as exc:
            return exc
        proved = self._wall()
        status = await connection.describe()
        self._login = login
        self.connection = connection
        log.info("connected as %s (%s)", login.account, connection.dialect.name)
        if status.is_online is False:
            self._go_offline(SessionState.OFFLINE, Reason.LOGIN, _QQ_OFFLINE_NOW)
        else:
            self._go_online(proved)
        self._release_early()
        return None

    def _on_lost(self, error: TransportError) -> None:
        if self._login.account:
            self._release_early()
        self._early, self._early_bytes = [], 0
        reason = error.reason if isinstance(error, ConnectionFailedError) else Reason.CLOSED
        self._inbox.put_now(Broken(f"the connection was lost: {error}"))
        self._close_gate()
        self._lost_at = self._clock() if self._lost_at is None else self._lost_at
        is_short = self._clock() - self._lost_at < OFFLINE_SECONDS and not reason.needs_person
        if is_short and self._state in {SessionState.ONLINE, SessionState.RELINKING}:
            self._announce(SessionState.RELINKING, reason, str(error))
        else:
            self._announce(SessionState.OFFLINE, reason, str(error))

    # --- state -------------------------------------------------------------------------------------

    def _go_online(self, since: float) -> None:
        self._lost_at = None
        self._inbox.put_now(Proved(since))
        self._announce(SessionState.ONLINE, "")
        self._online.set()

    def _go_offline(self, state: SessionState, reason: str, detail: str) -> None:
        self._inbox.put_now(Broken(_QQ_OFFLINE))
        self._close_gate()
        self._announce(state, reason, detail)

    def _close_gate(self) -> None:
        if self._online.is_set():
            self._online = anyio.Event()

    def _announce(self, state: SessionState, reason: str, detail: str = "") -> None:
        # Why a lost connection is not back yet changes with each retry.
        is_same = state is self._state and (reason == self._reason or state is SessionState.RELINKING)
        if is_same and state is not SessionState.STARTING:
            return
        self._state, self._reason = state, reason
        change = SessionChange(state, str(reason), detail, account=self._login.account, nick=self._login.nick)
        self._inbox.put_now(change)

    # --- frames ------------------------------------------------------------------------------------

    def on_event(self, frame: bytes) -> bool:
        """Take an event; returns whether there is room for another one."""
        item = Frame(frame, self._wall())
        if self.connection is not None:
            self._inbox.put_now(item, len(frame))
            return self._inbox.has_room
        if self._early_bytes + len(frame) <= self._limits.inbox_bytes:
            self._early.append(item)
            self._early_bytes += len(frame)
        return True

    async def wait_room(self) -> None:
        """Wait while the disk is behind."""
        await self._inbox.wait_room()

    def _release_early(self) -> None:
        for item in self._early:
            self._inbox.put_now(item, len(item.data))
        self._early, self._early_bytes = [], 0

    def on_status(self, status: Heartbeat, age: float) -> None:
        """Take the word of QQ itself, said at a time of its own or at the latest `age` seconds ago.

        Only this and events prove that no event was missed: while QQ is offline calls are answered, too.
        A heartbeat may have waited in the socket while this process was paused, with events behind it.
        """
        now, is_online = self._wall(), status.is_online
        if is_online and self._inbox.is_idle:
            if status.time is None:
                self._tracker.observe_idle(now - age)
            else:
                self._tracker.observe(now, status.time)
        if self.connection is None or is_online is None:
            return
        if not is_online:
            self._online_votes = _ONLINE_VOTES
            if self._state is SessionState.ONLINE:
                self._go_offline(SessionState.OFFLINE, Reason.LOGIN, _QQ_OFFLINE_NOW)
        elif self._state is not SessionState.ONLINE:
            self._online_votes += 1
            if self._online_votes >= _ONLINE_VOTES:
                self._go_online(now)

    def on_heartbeat(self) -> None:
        """Take a heartbeat: it is a sign of life like others."""

    def on_kicked(self, change: SessionChange) -> None:
        """Take the end of QQ's session."""
        self._online_votes = 0
        if self.connection is not None:
            self._go_offline(SessionState.KICKED, change.reason, change.detail)
