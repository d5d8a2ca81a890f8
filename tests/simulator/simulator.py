"""The simulator as tests use it: the running service, the person with the phone, and everybody else."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from . import chats, faults, polls, scripts
from .codes import BAD_HEADERS, KICKED, RENEWED
from .control import ControlApi
from .faults import Answer, FaultError, Rule
from .gateway import Gateway
from .identity import Kind
from .journal import Received, RequestLog
from .network import Network, wall_clock
from .notices import Notices
from .options import OptionError, Options
from .phone import Phone
from .polls import Item
from .pulse import within
from .qr import QrCode, QrState
from .sample import ACCOUNT, sample_world
from .scripts import Script
from .sessions import Grant, Session
from .world import World

HOST = "127.0.0.1"
# Polls that are answered with 116 until one bears the new ptwebqq. An assumption: some clients never take it over.
_RENEWALS = 5
KICK_REASON = "您的帐号在另一地点登录，您已被迫下线"


class SimulatorError(RuntimeError):
    """What was asked of the simulator makes no sense at this moment; the text says why."""


class Simulator:
    """A SmartQQ on a port of its own, for one account. Use it as `async with Simulator(…) as sim`.

    profile, auto_scan, poll_seconds and any more keyword are options (see `options.Options`); `world` is
    who there is (the sample world by default), `seed` makes all tokens and ids repeatable.
    All methods are to be called from the event loop it was started in.
    """

    def __init__(
        self,
        profile: str = "e3",
        *,
        auto_scan: bool = True,
        port: int = 0,
        host: str = HOST,
        poll_seconds: float = 60.0,
        world: World | None = None,
        account: int = ACCOUNT,
        seed: int | None = None,
        clock: Callable[[], float] = wall_clock,
        **options: Any,
    ) -> None:
        chosen = Options.of(profile, auto_scan=auto_scan, poll_seconds=poll_seconds, **options)
        self.network = Network(chosen, world or sample_world(account), seed=seed, clock=clock)
        self.url = ""
        self._port = port
        self._host = host
        self.notices = Notices(self.network)
        self._control = ControlApi(self)
        self._gateway = Gateway(self.network, Phone(self.network, self._control))

    async def __aenter__(self) -> Self:
        port = await self._gateway.start(self._host, self._port)
        self.url = f"http://{self._host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._gateway.stop()

    # What there is

    @property
    def account(self) -> int:
        """The account's own QQ number."""
        return self.network.account

    @property
    def world(self) -> World:
        """The people and groups; it may be changed at any time."""
        return self.network.world

    @property
    def options(self) -> Options:
        """How the service behaves at present; change it with `set`."""
        return self.network.options

    @property
    def state(self) -> str:
        """`offline`, `waiting`, `scanned`, `confirmed`, `refused`, `expired` or `online`."""
        return self.network.state

    @property
    def received(self) -> list[Received]:
        """The messages clients sent that reached somebody."""
        return self.network.journal.received

    @property
    def dropped(self) -> list[Received]:
        """The messages clients sent that were accepted and reached nobody (each with n = 0)."""
        return self.network.journal.dropped

    @property
    def requests(self) -> list[RequestLog]:
        """The requests answered so far."""
        return self.network.journal.requests

    @property
    def queued(self) -> int:
        """How many messages wait to be polled."""
        return len(self.network.mailbox)

    @property
    def captcha(self) -> str:
        """The verify code the newest password login has to give, as a person reads it off the picture."""
        newest = self.network.challenges.newest
        return "" if newest is None else newest.code

    def uin_of(self, qq: int) -> int:
        """Return the momentary id of a QQ number."""
        return self.network.ids.of(Kind.PERSON, qq)

    def gid_of(self, number: int) -> int:
        """Return the momentary id of a group."""
        return self.network.ids.of(Kind.GROUP, number)

    def code_of(self, number: int) -> int:
        """Return the second momentary id of a group."""
        return self.network.ids.of(Kind.CODE, number)

    def did_of(self, number: int) -> int:
        """Return the momentary id of a discussion."""
        return self.network.ids.of(Kind.DISCUSSION, number)

    def set(self, **changes: Any) -> None:
        """Change options while running."""
        self.network.options = self.network.options.changed(changes)

    # The person with the phone

    def scan(self, link: str = "") -> None:
        """Scan the newest code, or the one whose picture says `link`."""
        self._code(link, QrState.WAITING).state = QrState.SCANNED
        self._changed()

    def confirm(self) -> None:
        """Confirm the login on the phone, having scanned the code."""
        self._code("", QrState.WAITING, QrState.SCANNED).state = QrState.CONFIRMED
        self._changed()

    def refuse(self) -> None:
        """Refuse the login on the phone."""
        self._code("", QrState.WAITING, QrState.SCANNED).state = QrState.REFUSED
        self._changed()

    def expire(self) -> None:
        """Let the newest code expire now."""
        self._code("", QrState.WAITING, QrState.SCANNED, QrState.CONFIRMED).state = QrState.EXPIRED
        self._changed()

    def _code(self, link: str, *states: QrState) -> QrCode:
        code = self.network.codes.by_link(link) if link else self.network.codes.newest
        if code is None:
            raise SimulatorError("there is no such QR code" if link else "nobody has asked for a QR code")
        if code.state not in states:
            raise SimulatorError(f"the QR code is {code.state}, not {' or '.join(states)}")
        return code

    # The others

    def say(
        self,
        chat: str,
        text: str | None = None,
        *,
        content: list[Any] | None = None,
        sender: int | None = None,
    ) -> Item:
        """Let somebody write to the account; return the poll item it becomes.

        chat is `friend:<QQ>`, `group:<number>`, `discuss:<number>` or `temp:<QQ>@group:<number>`; sender
        is a QQ number, by default the first other member. `text` is typed on a phone: `[微笑]` is a face.
        `content` holds wire elements instead: strings, `["face", 14]`, `["picture", "name.jpg"]`, `["at", "nick"]`.
        """
        return chats.say(self.network, chat, text, elements=content, sender=sender)

    def say_all(self, messages: Iterable[Mapping[str, Any]]) -> int:
        """Say many things in one go, each given as {chat, text, content, sender}; return how many."""
        return len([chats.from_mapping(self.network, message) for message in messages])

    def push(self, poll_type: str, value: Any) -> None:
        """Deliver a poll item of any type."""
        self.push_raw(polls.item(poll_type, value))

    def push_raw(self, item: Any) -> None:
        """Deliver any JSON value as an element of a poll's result."""
        chats.post(self.network, item)

    # The service

    def kick(self, reason: str | None = KICK_REASON, *, bare: bool = False) -> None:
        """End the session as a login elsewhere does: a kick_message, then 121. Cookies stay good.

        `bare`: the kick_message has no numbers.
        """
        if self.network.sessions.current is None:
            raise SimulatorError("nobody is online")
        self.network.sessions.end(KICKED, self.network.farewell(reason, bare=bare))
        self._changed()

    def redeliver(self) -> None:
        """Deliver what the last poll brought once more, as recorded in 2012 (pidgin-lwqq#13)."""
        if not self.network.mailbox.repeat():
            raise SimulatorError("nothing has been delivered")

    def drop_session(self, code: int = BAD_HEADERS, *, cookies: bool = False) -> None:
        """Let the psessionid die: calls with it are refused with `code`. `cookies` die too if wanted."""
        network = self.network
        if cookies:
            for grant in network.sessions.grants.values():
                grant.alive = False
        network.sessions.end(code)
        self._changed()

    def deafen(self, until: str = "relink") -> None:
        """Let the session look well and deliver nothing: polls end empty in time, all else is answered.

        What is said meanwhile waits, and comes after a `relink` (a login2 with the former psessionid) or
        only after a new `login`. A session lost meanwhile is told as always.
        """
        if until not in {"relink", "login"}:
            raise OptionError(f"until must be relink or login, not {until!r}")
        if self.network.sessions.current is None:
            raise SimulatorError("nobody is online")
        self.network.deaf = until

    def resume(self, login: Mapping[str, Any]) -> None:
        """Go on with a login of another simulator, so that its cookies and momentary ids are good here.

        login is {psessionid, grant: the tokens by name, ids: rows of [kind, number, momentary id]}.
        """
        sessions = self.network.sessions
        grant = Grant(**{"issued": self.network.clock()} | login["grant"])
        sessions.grants[grant.ptsigx] = grant
        sessions.current = Session(login["psessionid"], grant)
        sessions.born += 1
        for kind, number, momentary in login["ids"]:
            self.network.ids.adopt(Kind(kind), number, momentary)
        self._changed()

    def next_poll(self, *answers: Answer) -> None:
        """Answer the next polls with these; one that waits already is answered at once."""
        self.next_answer(faults.POLL, *answers)

    def next_answer(self, path: str, *answers: Answer) -> None:
        """Answer the next requests to a path with these."""
        self.network.faults.plan(path, *answers)
        if path == faults.POLL:
            self.network.mailbox.wake()

    def add_rule(self, rule: Rule) -> None:
        """Answer certain requests to a path for all times to come."""
        self.network.faults.rules.append(rule)

    def clear_faults(self) -> None:
        """Forget all answers and rules."""
        self.network.faults.clear()

    def renew_ptwebqq(self) -> str:
        """Give the session a new ptwebqq, which alone is good from now on. The next poll answers it as 116."""
        session = self.network.sessions.current
        if session is None:
            raise SimulatorError("nobody is online")
        session.grant.ptwebqq = self.network.mint.hexadecimal(48)
        session.grant.renewals = _RENEWALS
        self.next_poll(Answer(json={"retcode": RENEWED, "p": session.grant.ptwebqq}))
        return session.grant.ptwebqq

    async def play(self, script: Mapping[str, Any] | Script) -> None:
        """Play a fault script (see `scripts`) to its end, which one that repeats does not have.

        A step that makes no sense at its moment, like a kick when nobody is online, is skipped.
        """
        parsed = script if isinstance(script, Script) else scripts.parse(script)
        if unknown := {step.do for step in parsed.steps} - self._control.actions:
            raise FaultError(f"a step cannot do {', '.join(sorted(unknown))}")
        self.set(**parsed.options)
        for path, answers in parsed.answers.items():
            self.next_answer(path, *answers)
        self.network.faults.rules.extend(parsed.rules)
        await scripts.play(parsed, self.network.journal, lambda: self.state, self._perform)

    def _perform(self, name: str, body: Any) -> None:
        with contextlib.suppress(SimulatorError):
            self._control.perform(name, body)

    def _changed(self) -> None:
        self.network.mailbox.wake()
        self.network.journal.changed.beat()

    # Waiting

    async def wait_received(self, count: int, timeout: float = 10.0) -> list[Received]:
        """Wait until `count` messages have been received in all; return what has been."""
        journal = self.network.journal
        await within(
            timeout,
            journal.changed.until(lambda: journal.received_count >= count),
            lambda: f"{journal.received_count} of {count} messages were received in {timeout} s",
        )
        return journal.received

    async def wait_requests(self, path: str, count: int = 1, timeout: float = 10.0) -> list[RequestLog]:
        """Wait until `count` requests to a path have been answered in all; return those."""
        journal = self.network.journal
        await within(
            timeout,
            journal.changed.until(lambda: journal.by_path[path] >= count),
            lambda: f"{journal.by_path[path]} of {count} requests to {path} came in {timeout} s",
        )
        return [entry for entry in journal.requests if entry.path == path]

    async def wait_delayed(self, path: str, count: int = 1, timeout: float = 10.0) -> list[Mapping[str, str]]:
        """Wait until `count` requests have come whose answer is delayed; return their parameters."""
        journal = self.network.journal
        await within(
            timeout,
            journal.changed.until(lambda: len(journal.arrived.get(path, ())) >= count),
            lambda: f"{len(journal.arrived.get(path, ()))} of {count} delayed requests to {path} came",
        )
        return journal.arrived[path]

    async def wait_poll(self, timeout: float = 10.0, *, polls: int = 1) -> None:
        """Wait until a poll is parked, or `polls` of them (only the last gets messages), or with 0 none."""
        mailbox = self.network.mailbox
        await within(
            timeout,
            mailbox.changed.until(lambda: mailbox.polls >= polls if polls else not mailbox.polls),
            lambda: f"{mailbox.polls} polls were waiting after {timeout} s, not {polls}",
        )

    async def wait_state(self, state: str, timeout: float = 10.0) -> None:
        """Wait until `state` is as given."""
        await within(
            timeout,
            self.network.journal.changed.until(lambda: self.state == state),
            lambda: f"the state is {self.state}, not {state}, after {timeout} s",
        )
