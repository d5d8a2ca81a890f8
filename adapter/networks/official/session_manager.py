"""Session manager: one connection with the gateway after the other, and the state of the session.

    starting ─► qr ─► scanned ─┐                     no credentials yet: see binding.py
        └──────────────────────┴─► online ─► relinking ─► online …
                                     │           └─► offline      not back within OFFLINE_SECONDS, or refused
                                     └─► kicked                   banned

`online` needs READY or RESUMED. Resume continues the session behind the last event that this process took
from it, or that a former process has stored: the gateway sends the others again.

Invariants:
- Only READY after an earlier session is a gap, published once. RESUMED is none. A new session and its gap are
  kept before the gap is published: the process that follows on a kill resumes that session.
- An expired connection is resumed at once, and the state stays `online`: this happens every half hour.
- Each other retry waits, and only READY or RESUMED begins the delays anew: Identify is counted upstream.
- A session that the gateway refuses twice is given up: keeping it could loop for ever. 4009 is no refusal.
- What a connection has received stands in the inbox before Broken.
"""

import logging
from collections.abc import Callable
from typing import Final

import anyio

from adapter.aio import AutoResetEvent
from adapter.errors import TransportError
from adapter.events import Challenge, Gap, SessionChange, SessionState
from adapter.networks.inbox import Inbox
from adapter.networks.official.client.api import Api
from adapter.networks.official.client.errors import AccessRefusedError, Reason
from adapter.networks.official.client.gateway import End, GatewayConnection
from adapter.networks.official.client.tokens import TokenSource
from adapter.networks.official.gaps import GapTracker
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.close_codes import EXPIRED, NextStep, explain, next_step
from adapter.networks.official.protocol.frames import (
    Frame,
    GatewaySession,
    Op,
    bot_name,
    encode_identify,
    encode_resume,
    session_of,
)
from adapter.networks.official.receiver import Broken, Dispatch, Item, Opened, Unreadable
from adapter.networks.websocket import ABNORMAL, Socket, open_socket

log = logging.getLogger(__name__)

# Close codes of the gateway's own, in answer to Resume, after which the session is given up.
_OWN_CODES: Final = range(4000, 5000)
_MAX_REFUSED: Final = 2
_FOREVER: Final = 1e9


class SessionManager:
    """Keeps a connection. `wall` and `clock` (monotonic) are in seconds.

    `stored`: where the session goes on behind the last event that is stored.
    """

    def __init__(
        self,
        api: Api,
        tokens: TokenSource,
        inbox: Inbox[Item],
        tracker: GapTracker,
        limits: Limits,
        *,
        intents: int,
        wall: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._tokens = tokens
        self._inbox = inbox
        self._tracker = tracker
        self._limits = limits
        self._intents = intents
        self._wall = wall
        self._clock = clock
        self._wakeup = AutoResetEvent()
        self._online = anyio.Event()
        self._state = SessionState.STARTING
        self._reason = ""
        self._nick = ""
        self._account = ""
        self._socket: Socket | None = None
        self._session: GatewaySession | None = None
        self._refused_resumes = 0
        self._opened_at: float | None = None
        self._lost_at: float | None = None
        self._delays = iter(limits.retry_seconds)
        self._quick_drops = 0
        self._is_stopping = self._is_logged_out = self._is_rebinding = False
        self.stored: GatewaySession | None = None

    # --- what others ask for -----------------------------------------------------------------------

    @property
    def is_online(self) -> bool:
        """Whether messages can be sent."""
        return self._online.is_set()

    @property
    def is_stopping(self) -> bool:
        """Whether no more connections are opened."""
        return self._is_stopping

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        while not self._online.is_set():
            await self._online.wait()

    def reconnect(self) -> None:
        """Open a new connection now, whatever the present one looks like."""
        if self._socket is not None:
            self._socket.abort()
        self._wakeup.set()

    def login(self) -> None:
        """Connect again, after a logout or after a refusal; where the credentials are refused, `run` ends."""
        self._is_logged_out = False
        self._is_rebinding = self._reason == Reason.CREDENTIALS
        self._wakeup.set()

    def logout(self) -> None:
        """Leave the network until `login`."""
        self._is_logged_out = True
        self.reconnect()

    def stop(self) -> None:
        """Open no more connections; the present one stays until its end."""
        self._is_stopping = True
        self._wakeup.set()

    # --- connections -------------------------------------------------------------------------------

    async def run(self, account: str, session: GatewaySession | None, gap: Gap | None = None) -> None:
        """Keep a connection until stopped, or until a login is asked for while the credentials are refused.

        `session`: where a former process has stopped; `gap`: one that it may not have published.
        """
        self._account, self._session, self.stored = account, session, session
        self._is_rebinding = False
        self.announce(SessionState.STARTING, "", "")
        if gap is not None:
            self._inbox.put_now(gap)
        while not self._is_stopping and not self._is_rebinding:
            if self._is_logged_out:
                self.announce(SessionState.OFFLINE, "logout", "")
                await self._wakeup.wait(_FOREVER)
                continue
            pause = await self._connect()
            if not self._is_stopping and not self._is_logged_out and pause:
                await self._wakeup.wait(pause)

    async def _connect(self) -> float:
        """Open a connection and keep it to its end; returns the seconds to wait before the next one."""
        try:
            token = await self._tokens.get()
            end = await self._use(await self._api.gateway_url(), token)
        except AccessRefusedError as exc:
            self._on_lost(exc.reason, str(exc), needs_person=True)
            return self._limits.slow_seconds
        except TransportError as exc:
            self._on_lost(Reason.NETWORK, str(exc))
            return next(self._delays, self._limits.retry_seconds[-1])
        return await self._follow(end, token)

    async def _use(self, url: str, token: str) -> End:
        session = self._session
        greeting = encode_identify(token, self._intents) if session is None else encode_resume(token, session)
        limits = self._limits
        async with open_socket(
            url,
            {},
            connect_seconds=limits.connect_seconds,
            close_seconds=limits.close_seconds,
            frame_bytes=limits.frame_bytes,
        ) as socket:
            self._socket = socket
            try:
                return await GatewayConnection(socket, self, greeting, limits, self._clock).run()
            finally:
                self._socket = None
                # Without a close frame: a gateway of this kind may end a session that is closed in order.
                socket.abort()

    async def _follow(self, end: End, token: str) -> float:
        """Do what the end of a connection asks for; returns the seconds to wait."""
        step = _step(end)
        lasted = None if self._opened_at is None else self._clock() - self._opened_at
        is_expected = end.code == EXPIRED or end.op is Op.RECONNECT
        if lasted is None and self._session is not None and end.code in _OWN_CODES and not is_expected:
            self._refused_resumes += 1
            if self._refused_resumes >= _MAX_REFUSED and step in {NextStep.RESUME, NextStep.RENEW}:
                step = NextStep.IDENTIFY
        if step is NextStep.IDENTIFY:
            self._session = None
        if step in {NextStep.STOP, NextStep.KICKED}:
            state = SessionState.KICKED if step is NextStep.KICKED else SessionState.OFFLINE
            reason = Reason.BANNED if step is NextStep.KICKED else Reason.REFUSED
            self._on_lost(reason, explain(end.code, end.detail), needs_person=True, state=state)
            return _FOREVER
        self._on_lost(Reason.CLOSED, end.detail, is_expected=is_expected)
        if step is NextStep.RENEW:
            await self._renew(token)
        return self._pause(step, lasted, is_expected=is_expected)

    async def _renew(self, token: str) -> None:
        try:
            await self._tokens.renew(token)
        except (TransportError, AccessRefusedError) as exc:
            log.debug("%s", exc)  # the next connection meets it, too

    def _pause(self, step: NextStep, lasted: float | None, *, is_expected: bool) -> float:
        limits = self._limits
        if step is NextStep.SLOW:
            return limits.slow_seconds
        if is_expected and lasted is not None and lasted >= limits.stable_seconds:
            return 0.0
        is_quick = lasted is not None and lasted < limits.quick_seconds and not is_expected
        self._quick_drops = self._quick_drops + 1 if is_quick else 0
        if self._quick_drops >= limits.quick_drops:
            return limits.retry_seconds[-1]
        return next(self._delays, limits.retry_seconds[-1])

    def _on_lost(
        self,
        reason: Reason,
        detail: str,
        *,
        needs_person: bool = False,
        is_expected: bool = False,
        state: SessionState = SessionState.OFFLINE,
    ) -> None:
        self._inbox.put_now(Broken(f"the connection was lost: {detail}"))
        self._opened_at = None
        if self._online.is_set():
            self._online = anyio.Event()
        self._lost_at = self._clock() if self._lost_at is None else self._lost_at
        if is_expected or self._is_logged_out:
            return
        is_short = self._clock() - self._lost_at < self._limits.offline_seconds
        was_online = self._state in {SessionState.ONLINE, SessionState.RELINKING}
        if is_short and was_online and not needs_person:
            self.announce(SessionState.RELINKING, reason, detail)
        else:
            self.announce(state, reason, detail)

    # --- state -------------------------------------------------------------------------------------

    def announce(
        self, state: SessionState, reason: str, detail: str, challenge: Challenge | None = None
    ) -> None:
        """Tell a change of the state; what is the same already is not repeated."""
        is_same = state is self._state and (reason == self._reason or state is SessionState.RELINKING)
        if is_same and state not in {SessionState.STARTING, SessionState.QR}:
            return
        self._state, self._reason = state, str(reason)
        self._inbox.put_now(
            SessionChange(
                state, str(reason), detail, account=self._account, nick=self._nick, challenge=challenge
            )
        )

    async def wait_login(self) -> None:
        """Wait until `login` is asked for, or the process stops."""
        await self._wakeup.wait(_FOREVER)

    # --- frames ------------------------------------------------------------------------------------

    def on_open(self, frame: Frame, *, is_resumed: bool) -> None:
        """Take READY or RESUMED: messages can be sent from here on."""
        if is_resumed and self._session is not None:
            # The s of RESUMED itself may be above those of events that come behind it.
            session = self._session
        else:
            session = session_of(frame)
            self._session = session if session.id else None
            self._nick = bot_name(frame) or self._nick
        self._inbox.put_now(Opened(session, self._wall(), is_resumed))
        log.debug("the session is %s", "resumed" if is_resumed else "new")
        self._delays = iter(self._limits.retry_seconds)
        self._refused_resumes = 0
        self._opened_at, self._lost_at = self._clock(), None
        self.announce(SessionState.ONLINE, "", "")
        self._online.set()

    async def on_dispatch(self, content: bytes, frame: Frame) -> None:
        """Take an event; waits while the disk is behind."""
        after = self._session
        if after is not None and frame.s is not None:
            after = GatewaySession(after.id, max(after.seq, frame.s))
        await self._inbox.put(Dispatch(content, after, self._wall()), len(content))
        self._session = after

    async def on_unreadable(self, content: bytes, reason: str) -> None:
        """Take a frame that is none; waits while the disk is behind."""
        await self._inbox.put(Unreadable(content, reason), len(content))

    def on_alive(self) -> None:
        """Take the answer to a heartbeat."""
        if self._inbox.is_idle:
            self._tracker.observe_idle(self._wall())

    def stored_seq(self) -> int | None:
        """Return the s of the last event that is stored."""
        return None if self.stored is None else self.stored.seq


def _step(end: End) -> NextStep:
    if end.op is Op.INVALID_SESSION and not end.is_resumable:
        return NextStep.IDENTIFY
    return NextStep.RESUME if end.op is not None or end.code == ABNORMAL else next_step(end.code)
