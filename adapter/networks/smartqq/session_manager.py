"""Keep one session online: a state machine that the caller drives step by step.

Mechanism. `step` runs the handler of the current state, which does one thing (one poll, one list, one answer
of the login), may enter another state, and returns the events it brought. The caller stores them before it
takes the next step; only then is the server polled again. All handlers run in that one task. `_enter` is the
only place that changes the state.

    STARTING      -> LOGIN
    LOGIN         -> LOAD_LISTS (online) | LOGIN (no answer, after a pause) | LOGGED_OUT (refused)
    LOAD_LISTS    -> LOAD_MEMBERS -> POLL
    POLL          -> POLL | LOOK_UP (contacts are missing) | PROBE (session in doubt)
                     | LOGIN (session lost) | KICKED | LOGGED_OUT (kicked again, request refused)
    LOOK_UP       -> POLL
    PROBE         -> POLL (valid) | LOGIN (lost) | RECONNECT (no answer)
    RECONNECT     -> POLL (valid) | LOGIN (lost) | RECONNECT (no answer, after a pause)
    RELINK        -> LOGIN                       any state with a session -> RELINK on `invalidate`
    KICKED        -> LOGIN (once, after a pause)
    LOGGED_OUT    -> LOGIN on `request_login`    any state -> LOGGED_OUT on `request_logout`

Invariants.
- Messages are sent only in a state of SENDING, and only after the lists of its login have been stored: the
  gate opens with the step after the transition, and closes with the transition.
- What a poll brought is decoded without a pause: the server has forgotten it, nothing may cancel here.
- A kick is reported to the open poll alone. A session in doubt is therefore polled once more before it is
  probed or opened again; otherwise two clients of one account would log each other out for ever.
- Each loss leads to a longer pause or a later stage of the login: no hot loop against the server.

What breaks them: a handler that awaits between `Poller.poll` and its return, a second task that calls `step`,
a state entered before the events that led to it have been returned.
"""

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Final

import anyio

from adapter.aio import backoff
from adapter.errors import LoginRefused, ProtocolError, TransportError
from adapter.events import Batch, SessionChange, SessionState, UpstreamEvent
from adapter.networks.smartqq.components import Components
from adapter.networks.smartqq.login.stages import LoginResult, Stage
from adapter.networks.smartqq.messages.poll_policy import Action, PollDecision
from adapter.networks.smartqq.session_reporter import SessionReporter


class State(Enum):
    """Name what the next step does."""

    STARTING = auto()
    LOGIN = auto()
    LOAD_LISTS = auto()
    LOAD_MEMBERS = auto()
    POLL = auto()
    LOOK_UP = auto()
    PROBE = auto()
    RECONNECT = auto()
    RELINK = auto()
    KICKED = auto()
    LOGGED_OUT = auto()


# There is a session, and messages may be sent.
SENDING: Final = frozenset({State.LOAD_MEMBERS, State.POLL, State.LOOK_UP, State.PROBE})

# A request for a login ends a wait.
WAITING: Final = frozenset({State.STARTING, State.LOGIN, State.RECONNECT, State.KICKED, State.LOGGED_OUT})


class SessionManager:
    """Log in, poll, and repair the session."""

    def __init__(self, components: Components) -> None:
        self._session = components.session
        self._login = components.login
        self._poller = components.poller
        self._receiver = components.receiver
        self._contacts = components.contacts
        self._echo_detector = components.echo_detector
        self._sender = components.sender
        self._requests = components.requests
        self._shutdown = components.shutdown
        self._limits = components.limits
        self._clock = components.clock
        self._reporter = SessionReporter(components.credentials)
        self._state = State.STARTING
        self._pause_seconds = 0.0
        self._gate = anyio.Event()
        self._retry_delays: Iterator[float] | None = None
        self._kicked_at: float | None = None
        self._loss = ""
        self._handlers: Mapping[State, Callable[[], Awaitable[Batch]]] = {
            State.STARTING: self._start,
            State.LOGIN: self._advance_login,
            State.LOAD_LISTS: self._load_lists,
            State.LOAD_MEMBERS: self._load_members,
            State.POLL: self._poll,
            State.LOOK_UP: self._look_up,
            State.PROBE: self._probe,
            State.RECONNECT: self._probe,
            State.RELINK: self._relink,
            State.KICKED: self._relogin_after_kick,
            State.LOGGED_OUT: self._await_login,
        }

    # --- for other tasks ---

    @property
    def is_ready(self) -> bool:
        """Whether messages can be sent."""
        return self._gate.is_set()

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        while not self.is_ready:
            await self._gate.wait()

    async def ensure_session(self) -> bool:
        """Probe the session and wait for its repair. Returns whether it is valid."""
        return await self._shutdown.run(self._ensure_session()) is True

    async def _ensure_session(self) -> bool:
        session = self._session.id
        if self.is_ready and await self._is_valid() and self.is_ready:
            return True
        with anyio.move_on_after(self._limits.session_repair):
            # The open poll may know more: one that stays open is aborted.
            poll = 0
            while self.is_ready and self._session.id == session:
                if poll and poll == self._poller.in_flight:
                    self.invalidate()
                    break
                poll = self._poller.in_flight
                await anyio.sleep(self._limits.short_pause)
            await self.connected()
            return True
        return False

    async def _is_valid(self) -> bool:
        try:
            return await self._session.is_valid()
        except TransportError:
            return False

    def invalidate(self) -> None:
        """Open the session again, even if it looks valid."""
        if self.is_ready:
            self._enter(State.RELINK)
            self._requests.interrupt()
            self._poller.abort()

    def request_login(self) -> None:
        """Log in at once instead of later. Nothing to do while online."""
        if self._state in WAITING:
            self._requests.request_login()

    def request_logout(self) -> None:
        """Log out, and stay so until `request_login`."""
        self._requests.request_logout()
        self._poller.abort()

    # --- steps ---

    async def step(self) -> Batch:
        """Take one step. Returns its events, () for a poll without messages."""
        if self._state in SENDING:
            self._gate.set()
        if refreshed := self._contacts.take_refreshed():
            return refreshed
        if self._pause_seconds:
            pause, self._pause_seconds = self._pause_seconds, 0.0
            await self._requests.sleep(pause)
        if self._requests.take_logout():
            return await self._log_out()
        return await self._handlers[self._state]()

    def _enter(self, state: State, pause_seconds: float = 0.0) -> None:
        """Change the state; its handler runs after the pause."""
        self._state = state
        self._pause_seconds = pause_seconds
        if state not in SENDING and self._gate.is_set():
            self._gate = anyio.Event()

    # --- getting online ---

    async def _start(self) -> Batch:
        self._enter(State.LOGIN)
        return self._reporter.report(SessionChange(SessionState.STARTING))

    async def _advance_login(self) -> Batch:
        """Run the login until it reports a change or ends."""
        try:
            result = await self._login.advance()
        except LoginRefused as exc:
            return self._go_offline("login.refused", str(exc))
        except (TransportError, ProtocolError) as exc:
            return self._retry_later(State.LOGIN, exc)
        match result:
            case SessionChange():
                return self._reporter.report_login(result, self._loss)
            case LoginResult():
                return self._on_online(result)
            case None:
                return ()

    def _on_online(self, result: LoginResult) -> Batch:
        self._login.cancel()
        self._requests.clear()
        self._retry_delays = None
        if result.ids_changed:
            self._echo_detector.forget_ids()
            self._contacts.reset()
            self._sender.forget_ids()
        self._contacts.clear_suspicion()
        self._contacts.update_presence(result.online)
        self._enter(State.LOAD_LISTS)
        reason = result.stage.name.lower()
        gap = self._poller.resume(reason, is_lossy=result.ids_changed)
        change = SessionChange(SessionState.ONLINE, reason, ids_changed=result.ids_changed)
        return (*self._reporter.report(change), *gap)

    async def _load_lists(self) -> Batch:
        self._enter(State.LOAD_MEMBERS)
        return await self._contacts.load()

    async def _load_members(self) -> Batch:
        self._enter(State.POLL)
        return await self._contacts.load_missing(self._limits.members_timeout)

    async def _look_up(self) -> Batch:
        self._enter(State.POLL)
        return await self._contacts.load_missing(self._limits.idle_lookup)

    # --- polling ---

    async def _poll(self) -> Batch:
        is_suspect = self._contacts.session_suspect
        result = await self._poller.poll()
        if result is None:
            return ()
        decision = result.decision
        events = self._apply(decision)
        if self._state is State.POLL:
            is_doubtful = is_suspect or decision.action is Action.PROBE
            following = State.LOOK_UP if self._contacts.has_work else State.POLL
            self._enter(State.PROBE if is_doubtful else following, decision.pause)
        return (*result.gaps, *events)

    def _apply(self, decision: PollDecision) -> Batch:
        """Return the events of a poll, and enter the state that its answer asks for."""
        match decision.action:
            case Action.DELIVER:
                events = self._receiver.decode(decision.items)
                return tuple(e for event in events for e in self._on_event(event))
            case Action.RELINK:
                self._relogin_from(Stage.RELINK, decision.reason, decision.pause)
            case Action.LOGIN:
                # A stage whose session did not last is skipped the next time.
                stage = Stage(min(Stage.REOPEN + max(decision.logins, 1) - 1, Stage.FULL))
                self._relogin_from(stage, decision.reason, decision.pause)
            case Action.STOP:
                return self._go_offline("request.refused", decision.reason)
        return ()

    def _on_event(self, event: UpstreamEvent) -> Batch:
        return self._on_kicked(event) if isinstance(event, SessionChange) else (event,)

    def _on_kicked(self, kick: SessionChange) -> Batch:
        """Log in again once, late: a second kick soon means that two clients compete."""
        now = self._clock()
        is_again = self._kicked_at is not None and now - self._kicked_at < self._limits.kick_window
        self._kicked_at = now
        if is_again:
            self._enter(State.LOGGED_OUT)
            return self._reporter.report(replace(kick, reason="kicked.again"))
        self._enter(State.KICKED, self._limits.kick_pause)
        return self._reporter.report(kick)

    # --- repairing ---

    async def _probe(self) -> Batch:
        state = self._state
        try:
            is_valid = await self._session.is_valid()
        except TransportError as exc:
            return self._retry_later(State.RECONNECT, exc) if self._state is state else ()
        self._contacts.clear_suspicion()
        if self._state is not state:
            return ()  # invalidated during the probe
        if not is_valid:
            self._relogin_from(Stage.RELINK, "the server does not know the session any more")
            return ()
        self._enter(State.POLL)
        if state is State.PROBE:
            self._poller.record_activity()
            return ()
        self._retry_delays = None
        gap = self._poller.resume("network", is_lossy=True)
        return (*self._reporter.report(SessionChange(SessionState.ONLINE, "network")), *gap)

    async def _relink(self) -> Batch:
        self._relogin_from(Stage.RELINK, "a probe failed, or an operator asked for a new link")
        return ()

    async def _relogin_after_kick(self) -> Batch:
        self._relogin_from(Stage.REOPEN)
        return ()

    def _relogin_from(self, stage: Stage, loss: str = "", pause_seconds: float = 0.0) -> None:
        """Log in again from this stage on. `loss`: why the session is given up."""
        self._loss = loss
        self._login.start(stage)
        self._enter(State.LOGIN, pause_seconds)

    def _retry_later(self, state: State, exc: Exception) -> Batch:
        """Enter a state after a pause that grows with each failure."""
        if self._retry_delays is None:
            limits = self._limits
            self._retry_delays = backoff(random.random, first=limits.retry_first, most=limits.retry_max)
        self._login.cancel()
        self._enter(state, next(self._retry_delays))
        return self._reporter.report(SessionChange(SessionState.OFFLINE, "network", str(exc)))

    # --- being offline ---

    def _go_offline(self, reason: str, detail: str = "") -> Batch:
        self._login.cancel()
        self._enter(State.LOGGED_OUT)
        return self._reporter.report(SessionChange(SessionState.OFFLINE, reason, detail))

    async def _log_out(self) -> Batch:
        await self._session.log_out()
        self._contacts.reset()
        return self._go_offline("logout")

    async def _await_login(self) -> Batch:
        if not await self._requests.sleep(None):
            return ()
        self._login.reset_attempts()
        self._enter(State.LOGIN)
        return self._reporter.report(SessionChange(SessionState.STARTING, "login"))
