"""The server as a test holds it."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .composing import Utterance
from .control import ControlApi
from .endpoints import WEBSOCKET, Endpoints
from .faults import Answer, Rule
from .front import Front
from .gateway import Gateway
from .media import Media
from .notices import GROUP_AND_C2C
from .options import Options
from .portal import DONE, Portal
from .record import Event, Received, Record
from .service import Service
from .sessions import Session
from .waiting import within
from .world import APPID, SECRET, Chat

HOST = "127.0.0.1"


class OfficialServer:
    """One bot, its gateway, its API and the portal, on one port.

    `async with OfficialServer() as server` serves until the block ends. Options are keywords; `tls` names
    a certificate and its key, with which a second port speaks TLS.
    """

    def __init__(
        self,
        *,
        appid: str = APPID,
        secret: str = SECRET,
        port: int = 0,
        seed: int | None = None,
        tls: tuple[Path, Path] | None = None,
        **options: Any,
    ) -> None:
        self._service = Service(appid, secret, Options().changed(options), seed)
        self._portal = Portal(self._service)
        self._media = Media(self._service)
        self._gateway = Gateway(self._service)
        endpoints = Endpoints(self._service, self._media, self._portal)
        self._front = Front(self._service, endpoints, self._gateway, ControlApi(self))
        self._port = port
        self._tls = tls
        self.url = ""
        self.secure_url = ""

    async def __aenter__(self) -> Self:
        context = None
        if self._tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self._tls)
        ports = await self._front.start(HOST, self._port, context)
        self.url = self._service.files.base = f"http://{HOST}:{ports[0]}"
        self.secure_url = f"https://{HOST}:{ports[1]}" if context else ""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._gateway.close(1001, "server stops")
        await self._front.stop()

    # What a client is configured with

    @property
    def appid(self) -> str:
        """Return the AppID of the bot."""
        return self._service.tokens.appid

    @property
    def secret(self) -> str:
        """Return the secret of the bot."""
        return self._service.tokens.secret

    @property
    def token_url(self) -> str:
        """Return the address of the token endpoint."""
        return f"{self.url}/app/getAppAccessToken"

    @property
    def gateway_url(self) -> str:
        """Return the address of the gateway."""
        return f"ws{self.url.removeprefix('http')}{WEBSOCKET}"

    # What happened

    @property
    def record(self) -> Record:
        """Return all that the server saw and sent."""
        return self._service.record

    @property
    def sessions(self) -> list[Session]:
        """Return all sessions, the ended ones too."""
        return self._service.sessions.all

    @property
    def options(self) -> Options:
        """Return the present options."""
        return self._service.options

    @property
    def is_connected(self) -> bool:
        """Return whether a session has a connection."""
        return any(one.session is not None for one in self._gateway.connections)

    @property
    def shown(self) -> list[Received]:
        """Return the messages of the bot that a user can see."""
        return [one for one in self.record.received if one.shown and not one.recalled]

    def openid(self, chat: str, member: str = "") -> str:
        """Return the openid of a chat, or of a member of a group."""
        world = self._service.world
        return world.member(world.group(chat), member) if member else world.chat(chat).openid

    def secrets(self) -> list[str]:
        """Return every text that must not leave the client."""
        service = self._service
        return [self.secret, *service.tokens.given, *service.files.auth_tokens, *service.files.signatures]

    # The users

    def say(
        self,
        chat: str,
        text: str = "",
        *,
        sender: str = "",
        at: bool = False,
        content: str | None = None,
        attachments: list[Mapping[str, Any]] | tuple[Mapping[str, Any], ...] = (),
        quote: Mapping[str, Any] | None = None,
        card: Mapping[str, Any] | None = None,
        message_id: str = "",
    ) -> Event:
        """Let a user speak; return the (first) event. See `Utterance`.

        Raises ValueError if the bot does not hear it, as in a group that sends it mentions only.
        """
        said = Utterance(text, content, sender, at, tuple(attachments), quote, card)
        events = self._service.say(chat, said, message_id)
        if not events:
            raise ValueError(f"the bot does not hear this in {chat}: only mentions reach it there")
        return events[0]

    def notify(self, kind: str, chat: str, sender: str = "", **extra: Any) -> Event:
        """Emit an event that is no message, such as FRIEND_ADD."""
        return self._service.notify(kind, chat, sender, **extra)

    def push(self, type: str, body: Mapping[str, Any], intent: int = GROUP_AND_C2C) -> Event:  # noqa: A002
        """Emit an event with any body."""
        return self._service.emit(type, intent, body, "", str(body.get("id", "")), "")

    def repeat(self, n: int = 0) -> Event:
        """Dispatch event `n` (0: the newest) again, under a new s."""
        events = self.record.events
        found = next((one for one in reversed(events) if n in {0, one.n}), None)
        if found is None:
            raise ValueError(f"there is no event {n}")
        self._service.dispatch(found, GROUP_AND_C2C)
        self.record.changed.beat()
        return found

    def change(self, chat: str, **switches: object) -> Chat:
        """Turn switches of a chat: see `Person` and `Group`."""
        return self._service.world.change(chat, **switches)

    # The service

    def set(self, **changes: Any) -> None:
        """Change options while running."""
        self._service.options = self._service.options.changed(changes)
        self.record.changed.beat()

    def advance(self, seconds: float) -> None:
        """Move the server's clock forward."""
        self._service.clock.advance(seconds)

    async def kill(self, code: int = 4009, reason: str = "", *, how: str = "close") -> int:
        """Close all gateway connections with `code`, or `how="reset"`."""
        if how not in {"close", "reset"}:
            raise ValueError(f"how must be close or reset, not {how!r}")
        return await self._gateway.close(code, reason, how=how)

    async def reconnect(self) -> int:
        """Ask the clients to reconnect (op 7)."""
        return await self._gateway.reconnect()

    async def invalidate(self, *, resumable: bool = False, quiet: bool = False) -> int:
        """Make the sessions invalid (op 9); `quiet`: a Resume finds out."""
        if quiet:
            self._gateway.end_sessions("invalidated")
            return 0
        return await self._gateway.invalidate(resumable=resumable)

    async def push_frame(self, frame: dict[str, Any]) -> int:
        """Send a frame as it is to all clients."""
        return await self._gateway.push_frame(frame)

    def revoke_tokens(self) -> None:
        """Make all tokens invalid."""
        self._service.tokens.revoke()

    def scan(self, task_id: str = "", status: int = DONE) -> str:
        """Scan the newest code of the portal, or a given one."""
        return self._portal.scan(task_id, status)

    def next_answer(self, endpoint: str, *answers: Answer) -> None:
        """Answer the next requests to an endpoint with these."""
        self._service.faults.plan(endpoint, *answers)

    def add_rule(self, rule: Rule) -> None:
        """Answer certain requests to an endpoint from now on."""
        self._service.faults.add_rule(rule)

    def clear_faults(self) -> None:
        """Forget all answers and rules."""
        self._service.faults.clear()

    # Waiting

    async def wait(self, predicate: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
        """Wait until the record fulfils a predicate."""
        await within(timeout, self.record.changed.until(predicate), lambda: f"not within {timeout} s: {what}")

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait until a client has identified or resumed."""
        await self.wait(lambda: self.is_connected, "a client connects", timeout)

    async def wait_received(self, count: int, timeout: float = 10.0) -> list[Received]:
        """Wait until `count` messages came from the bot in all."""
        await self.wait(
            lambda: self.record.count("received") >= count,
            f"{count} messages are received",
            timeout,
        )
        return self.record.received

    async def wait_for_more(self, kind: str, after: int, seconds: float) -> None:
        """Wait until a list has an entry after number `after`, or the time is over."""
        if seconds > 0:
            try:
                await self.wait(lambda: self.record.count(kind) > after, kind, seconds)
            except AssertionError:
                return
