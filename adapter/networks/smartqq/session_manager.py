"""Takes one step after the other: gets online, polls, heals the session; what each step brought is told.

Nothing runs beside it. Wishes come from other tasks and wake the step that is waiting.
"""

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

import anyio

from adapter.aio import backoff
from adapter.errors import LoginRefused, ProtocolError, TransportError
from adapter.events import (
    Batch,
    Gap,
    SessionChange,
    SessionState,
    UpstreamEvent,
)
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.components import Components
from adapter.networks.smartqq.login.stages import LoginResult, Stage
from adapter.networks.smartqq.messages.poll_policy import Action, PollDecision, PollHistory, evaluate
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.protocol.parsing import OK, parse_json, return_code

KEEP_EVERY: Final = 60.0
"""Seconds between two notes on disk of when upstream last answered."""


class State(Enum):
    """What the next step does."""

    LOGIN = auto()
    LOAD_LISTS = auto()
    LOAD_MEMBERS = auto()
    POLL = auto()
    PROBE = auto()
    KICKED = auto()
    LOGGED_OUT = auto()


SETTLED: Final = (State.LOAD_MEMBERS, State.POLL, State.PROBE)
"""Phases in which there is a session that may have to be mended."""


class SessionManager:
    """The life of one session. `phase` is what the next step will do."""

    def __init__(self, works: Components) -> None:
        self.phase = State.LOGIN
        self._works = works
        self._ready = anyio.Event()
        self._said: SessionChange | None = None
        self._health = PollHistory()
        self._pause = 0.0
        self._delays: Iterator[float] | None = None
        self._kicked_at: float | None = None
        self._kept_at = 0.0
        self._heard_at: float | None = None
        self._online = works.tokens.has_session  # or was, when the process before this one ended
        self._why = ""
        self._spared = False
        self._doubted = False
        self._polls = self._out = 0

    # --- for other tasks ---

    async def connected(self) -> None:
        """Wait until messages can be sent: online, and the contacts told."""
        while not self._ready.is_set():
            await self._ready.wait()

    @property
    def ready(self) -> bool:
        """Whether messages can be sent."""
        return self._ready.is_set()

    @property
    def accepts_login(self) -> bool:
        """Whether a wish to log in changes anything."""
        return self.phase in (State.LOGIN, State.KICKED, State.LOGGED_OUT) or self._delays is not None

    async def ensure_session(self) -> bool:
        """Whether the session works, if need be after it has been opened again."""
        return await self._works.patience.run(self._mended()) is True

    async def _mended(self) -> bool:
        session = self._works.tokens.psessionid
        if self.ready and await self._answers() is True and self.ready:
            return True
        with anyio.move_on_after(self._works.limits.session_repair):
            # The poll goes first: if this was a kick, only the poll is told so.
            before = 0
            while self.ready and self._works.tokens.psessionid == session:
                if before and before == self._out:
                    self.invalidate()
                    break
                before = self._out
                await anyio.sleep(self._works.limits.short_pause)
            await self.connected()
            return True
        return False

    def invalidate(self) -> None:
        """Open the session again, whatever it looks like."""
        if self.ready:
            self._offline()
            self._works.wishes.report_invalid()
            self._works.client.abort_poll()

    # --- steps ---

    async def step(self) -> Batch:
        """The next thing that happens; an empty batch for a poll that brought nothing."""
        if refreshed := self._works.roster.take_refreshed():
            return refreshed
        if self._pause:
            pause, self._pause = self._pause, 0.0
            await self._works.wishes.sleep(pause)
        if self._works.wishes.leaving:
            return await self._leave()
        doubt, self._works.wishes.session_suspect = self._works.wishes.session_suspect, False
        if doubt and self.phase in SETTLED:
            self._heal(Stage.RELINK, "upstream refuses what is asked")
        return await {
            State.LOGIN: self._converse,
            State.LOAD_LISTS: self._lists,
            State.LOAD_MEMBERS: self._details,
            State.POLL: self._poll,
            State.PROBE: self._probe,
            State.KICKED: self._wait_out,
            State.LOGGED_OUT: self._stay_away,
        }[self.phase]()

    def _change(self, change: SessionChange) -> Batch:
        """The change as a batch; nothing if it has been told."""
        said = self._said
        change = replace(change, account=self._works.tokens.account, nick=self._works.tokens.nick)
        if said and (said.state, said.reason) == (change.state, change.reason) and not change.challenge:
            return ()
        if change.state is SessionState.RELINKING and self._delays is not None:
            return ()  # `offline, network` has been said, and is still so
        self._tell(change)
        return (change,)

    def _tell(self, change: SessionChange) -> None:
        self._said = change
        trying = change.state in (SessionState.STARTING, SessionState.RELINKING)
        self._online = change.state is SessionState.ONLINE or (self._online and trying)

    def _offline(self) -> None:
        if self._ready.is_set():
            self._ready = anyio.Event()

    # --- getting online ---

    async def _converse(self) -> Batch:
        """Go on with the login until it has something to tell."""
        if self._said is None:
            return self._change(SessionChange(SessionState.STARTING))
        try:
            match await self._works.usher.advance():
                case SessionChange() as change:
                    return (*self._lost(change), *self._change(change))
                case LoginResult() as arrival:
                    return self._arrive(arrival)
        except LoginRefused as exc:
            return self._give_up("login.refused", str(exc))
        except (TransportError, ProtocolError) as exc:
            return self._unreachable(State.LOGIN, exc)
        return ()

    def _lost(self, following: SessionChange) -> Batch:
        """That the session is lost, if it is and the next step no longer tries to save it."""
        saving = (following.state, following.reason) == (SessionState.RELINKING, Stage.RELINK.name.lower())
        if saving or not self._online:
            return ()
        return self._change(SessionChange(SessionState.OFFLINE, "session.lost", self._why))

    def _arrive(self, arrival: LoginResult) -> Batch:
        self._works.usher.cancel()
        self.phase = State.LOAD_LISTS
        self._delays = None
        self._works.wishes.clear()
        if arrival.ids_changed:
            self._works.echoes.forget_ids()
            self._works.roster.reset()
            self._works.post.clear()
        self._works.roster.clear_suspicion()
        self._works.roster.update_presence(arrival.online)
        away = self._works.clock() - (self._works.tokens.last_poll or self._works.clock())
        lossy = arrival.ids_changed or away > self._works.limits.server_buffer
        gap = self._gap(arrival.stage.name.lower()) if lossy else ()
        self._heard_at = self._works.tokens.last_poll = self._works.clock()
        self._works.file.save(self._works.tokens)
        state = SessionChange(
            SessionState.ONLINE, arrival.stage.name.lower(), ids_changed=arrival.ids_changed
        )
        return (*self._change(state), *gap)

    def _gap(self, reason: str, since: float | None = None) -> Batch:
        since = self._works.tokens.last_poll if since is None else since
        return () if since is None else (Gap(since, self._works.clock(), reason),)

    async def _lists(self) -> Batch:
        self.phase = State.LOAD_MEMBERS
        return tuple(await self._works.roster.load())

    async def _details(self) -> Batch:
        # The lists have been told: whoever is addressed now can be found.
        self.phase = State.POLL
        self._ready.set()
        return tuple(await self._works.roster.load_missing(self._works.limits.details))

    def _heal(self, begin: Stage, why: str = "") -> None:
        """Log in again from this stage on."""
        self._offline()
        self._why = why
        self.phase = State.LOGIN
        self._works.usher.start(begin)

    def _give_up(self, reason: str, detail: str = "") -> Batch:
        """Nothing more can be done here: wait for `login`."""
        self._offline()
        self._works.usher.cancel()
        self.phase = State.LOGGED_OUT
        return self._change(SessionChange(SessionState.OFFLINE, reason, detail))

    def _unreachable(self, again: State, exc: Exception) -> Batch:
        """Upstream does not answer: say so once, wait longer each time, then try this phase again."""
        self._offline()
        self._works.usher.cancel()
        self.phase = again
        limits = self._works.limits
        if self._delays is None:
            self._delays = backoff(random.random, first=limits.retry_first, most=limits.retry_most)
        self._pause = next(self._delays)
        return self._change(SessionChange(SessionState.OFFLINE, "network", str(exc)))

    async def _wait_out(self) -> Batch:
        """After a kick: one new try, late; whoever kicked us wants to be there now."""
        await self._works.wishes.sleep(self._works.limits.kick_pause)
        if not self._works.wishes.leaving:
            self._heal(Stage.REOPEN)
        return ()

    async def _stay_away(self) -> Batch:
        if not await self._works.wishes.sleep(None):
            return ()
        self.phase = State.LOGIN
        self._works.usher.context.qr_shown = 0
        return self._change(SessionChange(SessionState.STARTING, "login"))

    async def _leave(self) -> Batch:
        works = self._works
        works.wishes.leaving = False
        if works.tokens.psessionid:
            with anyio.move_on_after(works.limits.logout_timeout), suppress(TransportError):
                await works.client.request(endpoints.logout(works.tokens, works.clock()))
        works.tokens.clear()
        works.roster.reset()
        works.file.save(works.tokens)
        return self._give_up("logout")

    # --- polling ---

    async def _poll(self) -> Batch:
        if self._works.roster.session_suspect and self._doubted:
            self.phase = State.PROBE
            return ()
        # The poll goes first: if this was a kick, the poll is told so and the probe is not.
        self._doubted = self._works.roster.session_suspect
        if self._works.roster.has_work and not self._spared:
            self._spared = True  # once between two polls
            if lists := await self._works.roster.load_missing(self._works.limits.idle_lookup):
                return tuple(lists)
        self._spared = False
        started, moment = self._works.clock(), anyio.current_time()
        answer: Response | TransportError | None
        self._polls = self._out = self._polls + 1
        try:
            answer = await self._works.client.long_poll(endpoints.poll(self._works.tokens))
        except TransportError as exc:
            answer = exc
        self._out = 0
        if answer is None:
            return ()
        took = anyio.current_time() - moment
        silence = self._silence(started) if isinstance(answer, Response) else ()
        verdict = evaluate(answer, took, self._health, self._works.limits)
        if verdict.action is Action.DELIVER:
            return (*silence, *self._deliver(verdict))
        return (*silence, *self._follow(verdict, started))

    def _silence(self, started: float) -> Batch:
        """The gap, if nobody had polled for longer than upstream keeps what is not polled."""
        heard, self._heard_at = self._heard_at, self._works.clock()
        if heard is None or started - heard <= self._works.limits.server_buffer:
            return ()
        return (Gap(heard, started, "silence"),)

    def _deliver(self, verdict: PollDecision) -> Batch:
        """What a poll brought is in hand: nothing here may be cut."""
        self._pause = verdict.pause
        self._works.tokens.last_poll = self._works.clock()
        return tuple(self._seen(event) for event in self._works.hearing.decode(verdict.items))

    def _follow(self, verdict: PollDecision, started: float) -> Batch:
        """Do what the answer to a poll asks for."""
        self._pause = verdict.pause
        match verdict.action:
            case Action.REPOLL:
                self._note_life()
            case Action.RENEW:
                self._works.tokens.renew(verdict.ptwebqq, self._works.clock())
                self._works.file.save(self._works.tokens)
            case Action.PROBE:
                self.phase = State.PROBE
            case Action.RELINK:
                self._heal(Stage.RELINK, verdict.reason)
            case Action.LOGIN:
                # What did not last the last time is left out this time.
                later = min(Stage.REOPEN + max(self._health.logins, 1) - 1, Stage.FULL)
                self._heal(Stage(later), verdict.reason)
            case Action.STOP:
                return self._give_up("request.refused", verdict.reason)
        return self._gap("poll", started) if verdict.lost else ()

    def _note_life(self) -> None:
        now = self._works.tokens.last_poll = self._works.clock()
        if now - self._kept_at > KEEP_EVERY:
            self._kept_at = now
            self._works.file.save(self._works.tokens)

    def _seen(self, event: UpstreamEvent) -> UpstreamEvent:
        """The event; a kick among them has its consequences."""
        return self._kick(event) if isinstance(event, SessionChange) else event

    def _kick(self, change: SessionChange) -> SessionChange:
        """Another client took our place: one try after a while, none if that happens twice."""
        now = self._works.clock()
        fight = self._kicked_at is not None and now - self._kicked_at < self._works.limits.kick_window
        self._kicked_at = now
        self._offline()
        self.phase = State.LOGGED_OUT if fight else State.KICKED
        change = replace(change, account=self._works.tokens.account, nick=self._works.tokens.nick)
        change = replace(change, reason="kicked.again") if fight else change
        self._tell(change)
        return change

    async def _answers(self) -> bool | TransportError:
        """Whether upstream knows this session, or why that cannot be told."""
        try:
            answer = await self._works.client.request(
                endpoints.online_friends(self._works.tokens, self._works.clock())
            )
            if answer.status != HTTPStatus.OK:
                return TransportError(f"get_online_buddies2: status {answer.status}", sent=True)
            return return_code(parse_json(answer)) == OK
        except TransportError as exc:
            return exc
        except ProtocolError as exc:
            return TransportError(str(exc), sent=True)

    async def _probe(self) -> Batch:
        answers = await self._answers()
        if isinstance(answers, TransportError):
            return self._unreachable(State.PROBE, answers)
        self._works.roster.clear_suspicion()
        if not answers:
            self._heal(Stage.RELINK, "upstream does not know the session any more")
            return ()
        self.phase = State.POLL
        if self._delays is None:
            self._note_life()
            return ()
        self._delays = None
        self._ready.set()
        gap = self._gap("network")
        self._note_life()
        self._heard_at = self._works.tokens.last_poll
        return (*self._change(SessionChange(SessionState.ONLINE, "network")), *gap)
