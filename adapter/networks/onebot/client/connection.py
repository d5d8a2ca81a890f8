"""One connection: reads frames, proves that an implementation answers, and notices when it is dead.

A completed handshake proves nothing: most implementations refuse a wrong token after it, and LLBot answers
nothing at all on a wrong path. The proof is an answer to `get_login_info`.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import anyio

from adapter.errors import ProtocolError, TransportError
from adapter.events import SessionChange
from adapter.networks.onebot.client.calls import Calls
from adapter.networks.onebot.client.errors import (
    CallTimeoutError,
    ConnectionFailedError,
    Reason,
)
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.dialects import Dialect, dialect_of
from adapter.networks.onebot.protocol.frames import (
    Heartbeat,
    decode_heartbeat,
    decode_offline,
    is_answer,
    is_meta_event,
    is_urgent,
    parse_frame,
)
from adapter.networks.onebot.protocol.return_codes import Answer, Verdict, decode_answer
from adapter.networks.onebot.protocol.values import Object, mapping, parse_id, parse_text
from adapter.networks.websocket import ABNORMAL, POLICY_VIOLATION, Socket, SocketClosedError

log = logging.getLogger(__name__)

_WRONG_TOKEN: Final = "the token is refused: set QQBUS_ONEBOT_TOKEN to the token of the implementation"  # noqa: S105
_NO_LOGIN: Final = "no QQ account is logged in there: log in at the implementation's own page"


class FrameHandler(Protocol):
    """What receives the frames of a connection."""

    def on_event(self, frame: bytes) -> bool:
        """Take an event; returns whether there is room for another one."""
        ...

    async def wait_room(self) -> None:
        """Wait while too many events are held: reading stops until it returns."""
        ...

    def on_status(self, status: Heartbeat, age: float) -> None:
        """Take the word of QQ itself: a heartbeat, or an answer that was asked for `age` seconds ago."""
        ...

    def on_heartbeat(self) -> None:
        """Take a heartbeat, after its sign of life."""
        ...

    def on_kicked(self, change: SessionChange) -> None:
        """Take the end of QQ's session, in QQ's words."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in behind a connection."""

    account: str
    nick: str


class Connection:
    """One open socket with its calls. `clock` is monotonic, in seconds."""

    def __init__(
        self, socket: Socket, handler: FrameHandler, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._socket = socket
        self._handler = handler
        self._limits = limits
        self._clock = clock
        self.calls = Calls(socket, max_calls=limits.max_calls)
        self.dialect = Dialect.OTHER
        self.login = Login("", "")
        self._interval = 0.0
        self._last_frame = clock()
        # The handler is waiting for room: nothing is read, and silence means nothing.
        self._is_blocked = False
        self._is_silent = False
        self._is_refused = False
        self._ended = anyio.Event()
        self._error = SocketClosedError(ABNORMAL, "")

    async def run(self) -> None:
        """Read until the connection has ended; all calls have ended then, too."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            self._error = await self._read()
            self.calls.fail(self._error)
            self._ended.set()
            tasks.cancel_scope.cancel()

    async def wait_end(self) -> SocketClosedError:
        """Wait until the connection has ended; returns why."""
        await self._ended.wait()
        return self._error

    async def _read(self) -> SocketClosedError:
        while True:
            try:
                frame = await self._socket.receive()
            except SocketClosedError as exc:
                if self._is_silent:
                    return SocketClosedError(exc.code, f"nothing came for {self._silence:g} s")
                return exc
            self._last_frame = self._clock()
            if (is_urgent(frame) and self._take(frame)) or self._handler.on_event(frame):
                continue
            self._is_blocked = True
            await self._handler.wait_room()
            self._is_blocked = False
            self._last_frame = self._clock()

    def _take(self, frame: bytes) -> bool:
        """Handle a frame that is no event; False if it is one after all."""
        try:
            value = parse_frame(frame)
        except ProtocolError:
            return False
        if is_answer(value):
            self._on_answer(value)
            return True
        if (change := decode_offline(value)) is not None:
            self._handler.on_kicked(change)
            return True
        if (heartbeat := decode_heartbeat(value)) is not None:
            self._interval = heartbeat.interval or self._interval
            self._handler.on_status(heartbeat, 0.0)
            self._handler.on_heartbeat()
            return True
        return is_meta_event(value)

    def _on_answer(self, frame: Object) -> None:
        if not self.calls.resolve(frame) and decode_answer(frame).verdict is Verdict.UNAUTHORIZED:
            # NapCat and LLBot refuse a token in a frame that answers no call.
            self._is_refused = True

    # --- proof -------------------------------------------------------------------------------------

    async def prove(self) -> Login:
        """Return who is logged in. Raises ConnectionFailedError with the setting to change."""
        try:
            answer = await self.calls.call("get_login_info", {}, seconds=self._limits.proof_seconds)
        except CallTimeoutError as exc:
            if self._is_refused:
                raise ConnectionFailedError(Reason.TOKEN, _WRONG_TOKEN) from exc
            raise ConnectionFailedError(
                Reason.PATH, "connected, but nothing answers there: check the path of QQBUS_ONEBOT_URL"
            ) from exc
        except SocketClosedError as exc:
            # The call may have met the end before its close frame was read.
            end = await self.wait_end()
            if self._is_refused or end.code == POLICY_VIOLATION:
                raise ConnectionFailedError(Reason.TOKEN, _WRONG_TOKEN) from exc
            raise ConnectionFailedError(Reason.CLOSED, str(end)) from exc
        self.login = _login(answer)
        return self.login

    async def describe(self) -> Heartbeat:
        """Learn the dialect and whether QQ is online; what is not answered soon stays unknown."""
        status = Heartbeat(None, 0.0)
        with anyio.move_on_after(self._limits.describe_seconds):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._learn_dialect)
                status = await self.ask_status()
        return status

    async def _learn_dialect(self) -> None:
        self.dialect = dialect_of(await self.ask("get_version_info"))

    async def ask(self, action: str, params: Mapping[str, object] | None = None) -> object:
        """Return the data of a call that only looks; None where it fails."""
        try:
            answer = await self.calls.call(action, params or {}, seconds=self._limits.call_seconds)
        except TransportError as exc:
            log.debug("%s: %s", action, exc)
            return None
        return answer.data if answer is not None and answer.verdict is Verdict.DONE else None

    async def ask_status(self) -> Heartbeat:
        """Return what `get_status` says about QQ."""
        online = mapping(await self.ask("get_status")).get("online")
        return Heartbeat(online if isinstance(online, bool) else None, 0.0)

    # --- watchdog ----------------------------------------------------------------------------------

    @property
    def _silence(self) -> float:
        return max(self._limits.silence_seconds, self._limits.silent_heartbeats * self._interval)

    async def _watch(self) -> None:
        """Abort the connection when nothing comes; ask for something before that.

        Heartbeats may be switched off, and an account may be quiet: an answer is a frame, too. A process
        that was paused or starved has not listened: it listens again for the whole time.
        """
        asked_at = -math.inf
        async with anyio.create_task_group() as tasks:
            while True:
                idle = 0.0 if self._is_blocked else self._clock() - self._last_frame
                if idle >= self._silence:
                    self._is_silent = True
                    self._socket.abort()
                    return
                if idle >= self._silence / 2 and asked_at <= self._last_frame:
                    asked_at = self._clock()
                    tasks.start_soon(self._probe)
                await self._wait(self._silence / (1 if asked_at > self._last_frame else 2) - idle)

    async def _wait(self, seconds: float) -> None:
        due = self._clock() + seconds
        await anyio.sleep(seconds)
        if self._clock() - due > self._silence / 4:
            self._last_frame = self._clock()

    async def _probe(self) -> None:
        asked = self._clock()
        status = await self.ask_status()
        self._handler.on_status(status, self._clock() - asked)


def _login(answer: Answer | None) -> Login:
    if answer is not None and answer.verdict is Verdict.UNAUTHORIZED:
        raise ConnectionFailedError(Reason.TOKEN, _WRONG_TOKEN)
    data = mapping(None if answer is None else answer.data)
    account = parse_id(data.get("user_id"))
    if not account:
        words = "" if answer is None else answer.words
        raise ConnectionFailedError(Reason.LOGIN, f"{_NO_LOGIN} {words}".strip())
    return Login(account, parse_text(data.get("nickname")))
