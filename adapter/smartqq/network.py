"""SmartQQ as an Upstream: gets online, polls, heals the session, sends (house: door 1).

`events()` takes one step after the other and yields what each brought; nothing runs beside it.
Commands come from other tasks: they leave a wish and wake the step that is waiting.
"""

import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from enum import Enum, auto
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import anyio

from adapter.config import Config
from adapter.errors import LoginRefused, ProtocolError, TransportError
from adapter.events import (
    Address,
    Batch,
    ContactList,
    Font,
    Gap,
    Outcome,
    Part,
    Segment,
    SessionChange,
    SessionState,
    UpstreamEvent,
)
from adapter.smartqq import calls
from adapter.smartqq.client import Client
from adapter.smartqq.content import encode
from adapter.smartqq.echo import Echoes
from adapter.smartqq.hearing import Hearing
from adapter.smartqq.limits import Limits
from adapter.smartqq.login import Arrival, Stage
from adapter.smartqq.poll import Action, Health, Verdict, judge
from adapter.smartqq.post import Post
from adapter.smartqq.protocol import OK, Answer, code_of, load
from adapter.smartqq.roster import Roster
from adapter.smartqq.sending import message_ids
from adapter.smartqq.session import SessionFile
from adapter.smartqq.talk import Desk
from adapter.smartqq.tokens import Tokens
from adapter.smartqq.usher import Usher
from adapter.smartqq.wishes import Wishes
from adapter.upstream import backoff

log = logging.getLogger(__name__)

KEEP_EVERY: Final = 60.0
"""Seconds between two notes on disk of when upstream last answered."""


class Phase(Enum):
    """What the next step does."""

    TALK = auto()
    ARRIVED = auto()
    DETAILS = auto()
    POLL = auto()
    PROBE = auto()
    KICKED = auto()
    AWAY = auto()


SETTLED: Final = (Phase.DETAILS, Phase.POLL, Phase.PROBE)
"""Phases in which there is a session that may have to be mended."""


class SmartQQ:
    """One account on SmartQQ. Use it as `async with SmartQQ(config) as upstream`."""

    network = "smartqq"

    def __init__(
        self, config: Config, *, limits: Limits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.limits = limits or Limits()
        self._config = config
        self._clock = clock
        self._file = SessionFile(config.state_dir)
        self._wishes = Wishes()
        self._ready = anyio.Event()
        self._phase = Phase.TALK
        self._stack = AsyncExitStack()
        self._said: SessionChange | None = None
        self._pending: list[UpstreamEvent] = []
        self._health = Health()
        self._pause = 0.0
        self._delays: Iterator[float] | None = None
        self._kicked_at: float | None = None
        self._kept_at = 0.0
        self._echoes = Echoes(self.limits.echo)
        self._numbers = message_ids(clock())
        self._use(Tokens())

    def _use(self, tokens: Tokens) -> None:
        """Work with this login from now on."""
        config = self._config
        self._tokens = tokens
        self._client = Client(tokens.jar, self.limits, self._clock, config.smartqq_url)
        self._roster = Roster(self._client.perform, tokens, self.limits, self._clock)
        self._post = Post(self._client.perform, tokens, self._echoes, self.limits, self._clock)
        self._hearing = Hearing(
            self._roster, self._echoes, tokens, self.limits, clock=self._clock, keep_raw=config.raw
        )
        desk = Desk(
            tokens,
            self.limits,
            self._clock,
            random.random,
            secrets.token_bytes,
            by_password=config.login == "password",
            account=config.account,
            password=config.password,
        )
        self._usher = Usher(desk, self._client, self._wishes)

    async def __aenter__(self) -> Self:
        self._use(self._file.load(self._clock()))
        await self._stack.enter_async_context(self._client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.save(self._tokens)
        await self._stack.aclose()

    # --- commands, from other tasks ---

    async def connected(self) -> None:
        """Wait until messages can be sent: online, and the contacts told."""
        while not self._ready.is_set():
            await self._ready.wait()

    async def login(self) -> None:
        """Ask for a fresh QR code, or try the password again. Nothing to do while online."""
        if self._phase in (Phase.TALK, Phase.KICKED, Phase.AWAY) or self._delays is not None:
            self._wishes.enter()

    async def logout(self) -> None:
        """Leave, and stay away until `login`."""
        self._wishes.leave()
        self._client.cut()

    async def answer(self, text: str) -> None:
        """What a person read in the picture of a `captcha`."""
        self._wishes.type(text)

    async def refresh(self) -> None:
        """Load all contacts again; they arrive after the poll that is out."""
        if self._ready.is_set():
            await self._refresh_online()
            self._queue(await self._roster.load())

    async def _refresh_online(self) -> None:
        try:
            self._roster.see(await self._client.perform(calls.online_friends(self._tokens, self._clock())))
        except TransportError as exc:
            log.warning("cannot ask who is online: %s", exc)

    def _queue(self, lists: Iterable[ContactList]) -> None:
        """Keep lists for the next batch; a newer list takes the place of an older one."""
        for new in lists:
            self._pending = [
                old
                for old in self._pending
                if not isinstance(old, ContactList) or (old.kind, old.of) != (new.kind, new.of)
            ]
            self._pending.append(new)

    # --- sending ---

    def prepare(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages, each with its number. Raises SchemaError."""
        return tuple(Part(content, str(next(self._numbers))) for content in encode(segments, font))

    async def send(self, to: Address, part: Part) -> Outcome:
        """Send one message to momentary ids; a doubted session is mended and the message sent again."""
        before = self._roster.book.find(to)
        outcome = await self._post.send(to, part)
        if outcome is not None:
            return outcome
        if await self._mended():
            after = self._roster.book.find(to)
            # Ids may be new: only where the same one still has the same name is it the same person.
            if before is None or (after is not None and after.name == before.name):
                outcome = await self._post.send(to, part)
        return outcome or self._post.rejected()

    async def _mended(self) -> bool:
        """Whether the session works, if need be after the generator has opened it again."""
        if await self._answers() is True:
            return True
        if self._phase in SETTLED:
            self._offline()
            self._wishes.suspect()
            self._client.cut()
        with anyio.move_on_after(self.limits.heal):
            await self.connected()
            return True
        return False

    # --- events ---

    async def events(self) -> AsyncGenerator[Batch, None]:
        """Everything that happens, batch by batch; an empty one for a poll that brought nothing.

        Does not raise LoginRefused: it says so in a SessionChange and waits for `login`.
        """
        while True:
            yield await self._step()

    async def _step(self) -> Batch:
        if self._pending:
            taken, self._pending = tuple(self._pending), []
            return taken
        if self._pause:
            pause, self._pause = self._pause, 0.0
            await self._wishes.rest(pause)
        if self._wishes.leaving:
            return await self._leave()
        if self._wishes.doubt and self._phase in SETTLED:
            self._heal(Stage.RELINK)
        return await {
            Phase.TALK: self._converse,
            Phase.ARRIVED: self._lists,
            Phase.DETAILS: self._details,
            Phase.POLL: self._poll,
            Phase.PROBE: self._probe,
            Phase.KICKED: self._wait_out,
            Phase.AWAY: self._stay_away,
        }[self._phase]()

    def _change(self, change: SessionChange) -> Batch:
        """The change as a batch; nothing if it has been told."""
        said = self._said
        change = replace(change, account=self._tokens.account, nick=self._tokens.nick)
        if said and (said.state, said.reason) == (change.state, change.reason) and not change.challenge:
            return ()
        if change.state is SessionState.RELINKING and self._delays is not None:
            return ()  # `offline, network` has been said, and is still so
        self._said = change
        log.info("session %s %s", change.state.value, change.reason)
        return (change,)

    def _offline(self) -> None:
        if self._ready.is_set():
            self._ready = anyio.Event()

    # --- getting online ---

    async def _converse(self) -> Batch:
        """Go on with the login until it has something to tell."""
        if self._said is None:
            return self._change(SessionChange(SessionState.STARTING))
        self._wishes.doubt = False
        try:
            match await self._usher.next():
                case SessionChange() as change:
                    return self._change(change)
                case Arrival() as arrival:
                    return self._arrive(arrival)
        except LoginRefused as exc:
            return self._give_up("login.refused", str(exc))
        except (TransportError, ProtocolError) as exc:
            return self._unreachable(Phase.TALK, exc)
        return ()

    def _arrive(self, arrival: Arrival) -> Batch:
        self._usher.drop()
        self._phase = Phase.ARRIVED
        self._delays = None
        self._wishes.arrived()
        if arrival.renewed:
            self._echoes.forget_numbers()
            self._roster.renew()
            self._post.forget()
        self._roster.doubt = False
        self._roster.see(arrival.online)
        away = self._clock() - (self._tokens.last_poll or self._clock())
        lossy = arrival.renewed or away > self.limits.queued
        gap = self._gap(arrival.stage.name.lower()) if lossy else ()
        self._tokens.last_poll = self._clock()
        self._file.save(self._tokens)
        state = SessionChange(SessionState.ONLINE, arrival.stage.name.lower(), renewed=arrival.renewed)
        return (*self._change(state), *gap)

    def _gap(self, reason: str, since: float | None = None) -> Batch:
        since = self._tokens.last_poll if since is None else since
        return () if since is None else (Gap(since, self._clock(), reason),)

    async def _lists(self) -> Batch:
        self._phase = Phase.DETAILS
        return tuple(await self._roster.load())

    async def _details(self) -> Batch:
        # The lists have been told: whoever is addressed now can be found.
        self._phase = Phase.POLL
        self._ready.set()
        return tuple(await self._roster.more(self.limits.details))

    def _heal(self, begin: Stage) -> None:
        """Log in again from this stage on."""
        self._offline()
        self._wishes.doubt = False
        self._phase = Phase.TALK
        self._usher.begin(begin)

    def _give_up(self, reason: str, detail: str = "") -> Batch:
        """Nothing more can be done here: wait for `login`."""
        self._offline()
        self._usher.drop()
        self._phase = Phase.AWAY
        if reason != "logout":
            log.error("%s: %s", reason, detail)
        return self._change(SessionChange(SessionState.OFFLINE, reason, detail))

    def _unreachable(self, again: Phase, exc: Exception) -> Batch:
        """Upstream does not answer: say so once, wait longer each time, then try this phase again."""
        self._offline()
        self._usher.drop()
        self._phase = again
        limits = self.limits
        if self._delays is None:
            self._delays = backoff(random.random, first=limits.retry_first, most=limits.retry_most)
        self._pause = next(self._delays)
        return self._change(SessionChange(SessionState.OFFLINE, "network", str(exc)))

    async def _wait_out(self) -> Batch:
        """After a kick: one new try, late; whoever kicked us wants to be there now."""
        await self._wishes.rest(self.limits.refused)
        if not self._wishes.leaving:
            self._heal(Stage.REOPEN)
        return ()

    async def _stay_away(self) -> Batch:
        if not await self._wishes.rest(None):
            return ()
        self._phase = Phase.TALK
        self._usher.desk.codes = 0
        return self._change(SessionChange(SessionState.STARTING, "login"))

    async def _leave(self) -> Batch:
        self._wishes.leaving = False
        if self._tokens.psessionid:
            try:
                with anyio.move_on_after(self.limits.leave):
                    await self._client.perform(calls.logout(self._tokens, self._clock()))
            except TransportError as exc:
                log.info("no farewell: %s", exc)
        self._tokens.forget()
        self._roster.renew()
        self._file.save(self._tokens)
        return self._give_up("logout")

    # --- polling ---

    async def _poll(self) -> Batch:
        if self._roster.doubt:
            self._phase = Phase.PROBE
            return ()
        if self._roster.incomplete and (lists := await self._roster.more(self.limits.spare)):
            return tuple(lists)
        started, moment = self._clock(), anyio.current_time()
        answer: Answer | TransportError | None
        try:
            answer = await self._client.park(calls.poll(self._tokens))
        except TransportError as exc:
            answer = exc
        if answer is None:
            return ()
        took = anyio.current_time() - moment
        return await self._follow(judge(answer, took, self._health, self.limits), started)

    async def _follow(self, verdict: Verdict, started: float) -> Batch:
        """Do what the answer to a poll asks for. What it brought is in hand: nothing here may be cut."""
        self._pause = verdict.pause
        match verdict.action:
            case Action.DELIVER:
                self._tokens.last_poll = self._clock()
                return tuple(self._seen(event) for event in await self._hearing.hear(verdict.items))
            case Action.REPOLL:
                self._note_life()
            case Action.RENEW:
                self._tokens.renew(verdict.ptwebqq, self._clock())
                self._file.save(self._tokens)
            case Action.PROBE:
                self._phase = Phase.PROBE
            case Action.RELINK | Action.LOGIN:
                log.warning("the session is lost: %s", verdict.reason)
                self._heal(Stage.RELINK if verdict.action is Action.RELINK else Stage.REOPEN)
            case Action.STOP:
                return self._give_up("request.refused", verdict.reason)
        return self._gap("poll", started) if verdict.lost else ()

    def _note_life(self) -> None:
        now = self._tokens.last_poll = self._clock()
        if now - self._kept_at > KEEP_EVERY:
            self._kept_at = now
            self._file.save(self._tokens)

    def _seen(self, event: UpstreamEvent) -> UpstreamEvent:
        """The event; a kick among them has its consequences."""
        return self._kick(event) if isinstance(event, SessionChange) else event

    def _kick(self, change: SessionChange) -> SessionChange:
        """Another client took our place: one try after a while, none if that happens twice."""
        now = self._clock()
        fight = self._kicked_at is not None and now - self._kicked_at < self.limits.peace
        self._kicked_at = now
        self._offline()
        self._phase = Phase.AWAY if fight else Phase.KICKED
        change = replace(change, account=self._tokens.account, nick=self._tokens.nick)
        self._said = replace(change, reason="kicked.again") if fight else change
        log.warning("kicked: %s", change.detail)
        return self._said

    async def _answers(self) -> bool | TransportError:
        """Whether upstream knows this session, or why that cannot be told."""
        try:
            answer = await self._client.perform(calls.online_friends(self._tokens, self._clock()))
            if answer.status != HTTPStatus.OK:
                return TransportError(f"get_online_buddies2: status {answer.status}", sent=True)
            return code_of(load(answer)) == OK
        except TransportError as exc:
            return exc
        except ProtocolError as exc:
            return TransportError(str(exc), sent=True)

    async def _probe(self) -> Batch:
        answers = await self._answers()
        if isinstance(answers, TransportError):
            return self._unreachable(Phase.PROBE, answers)
        self._roster.doubt = False
        if not answers:
            self._heal(Stage.RELINK)
            return ()
        self._phase = Phase.POLL
        if self._delays is None:
            return ()
        self._delays = None
        self._ready.set()
        online = self._change(SessionChange(SessionState.ONLINE, "network"))
        return (*online, *self._gap("network"))
