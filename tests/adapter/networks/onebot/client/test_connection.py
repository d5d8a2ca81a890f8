"""One connection: its proof, its dialect, and the frames that it hands on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import anyio
import pytest

from adapter.events import SessionChange
from adapter.networks.onebot.client.connection import Connection, Login
from adapter.networks.onebot.client.errors import ConnectionFailedError, Reason
from adapter.networks.onebot.client.socket import open_socket
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.protocol.dialects import Dialect
from adapter.networks.onebot.protocol.frames import Heartbeat
from tests.onebot_server import OneBotServer
from tests.support.helpers import wait_until
from tests.support.onebot_harness import FAST, limits

pytestmark = pytest.mark.anyio


class Frames:
    """Keeps what a connection hands on; while `gate` is closed it takes no event."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.alive: list[bool | None] = []
        self.beats = 0
        self.kicks: list[SessionChange] = []
        self.gate = anyio.Event()
        self.gate.set()

    def on_event(self, frame: bytes) -> bool:
        self.events.append(frame)
        return self.gate.is_set()

    async def wait_room(self) -> None:
        await self.gate.wait()

    def on_status(self, status: Heartbeat, age: float) -> None:
        assert age >= 0.0
        self.alive.append(status.is_online)

    def on_heartbeat(self) -> None:
        self.beats += 1

    def on_kicked(self, change: SessionChange) -> None:
        self.kicks.append(change)


@asynccontextmanager
async def connected(
    server: OneBotServer, token: str = "", limits: Limits = FAST
) -> AsyncIterator[tuple[Connection, Frames]]:
    async with open_socket(server.url, token, limits) as socket, anyio.create_task_group() as tasks:
        frames = Frames()
        connection = Connection(socket, frames, limits, monotonic)
        tasks.start_soon(connection.run)
        yield connection, frames
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("napcat", Dialect.NAPCAT),
        ("llbot", Dialect.LLBOT),
        ("snowluma", Dialect.SNOWLUMA),
        ("go-cqhttp", Dialect.GO_CQHTTP),
    ],
)
async def test_a_proved_connection_knows_account_dialect_and_state(name: str, dialect: Dialect) -> None:
    async with OneBotServer(name) as server, connected(server) as (connection, _):
        assert await connection.prove() == Login("20001", "机器人") == connection.login
        assert await connection.describe() == Heartbeat(is_online=True, interval=0.0)
        assert connection.dialect is dialect
        server.do.offline()
        assert (await connection.ask_status()).is_online is False


async def test_an_implementation_that_answers_only_the_proof_is_of_no_known_dialect() -> None:
    quick = limits(describe_seconds=0.2)
    async with OneBotServer("napcat") as server, connected(server, limits=quick) as (connection, _):
        await connection.prove()
        server.do.rule(every=1, fault={"reply": "never"})
        with anyio.fail_after(30):  # an answer to a call may take longer than that
            assert await connection.describe() == Heartbeat(None, 0.0)
        assert connection.dialect is Dialect.OTHER


async def test_a_state_is_known_though_the_version_is_not_answered() -> None:
    quick = limits(describe_seconds=1.0)
    async with OneBotServer("napcat") as server, connected(server, limits=quick) as (connection, _):
        await connection.prove()
        server.do.answer("get_version_info", [{"reply": "never"}])
        assert await connection.describe() == Heartbeat(is_online=True, interval=0.0)


@pytest.mark.parametrize("dialect", ["napcat", "llbot", "snowluma"])
async def test_a_token_that_is_refused_after_the_handshake_is_named(dialect: str) -> None:
    async with OneBotServer(dialect, token="right") as server, connected(server, "wrong") as (connection, _):
        with pytest.raises(ConnectionFailedError) as caught:
            await connection.prove()
        assert caught.value.reason is Reason.TOKEN
        assert "QQBUS_ONEBOT_TOKEN" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"reply": "never"}, Reason.PATH),
        ({"reply": "reset"}, Reason.CLOSED),
        ({"answer": {"retcode": 1403, "status": "failed"}}, Reason.TOKEN),
        ({"answer": {"data": {"user_id": 0}}}, Reason.LOGIN),
        ({"answer": {"retcode": 1200, "status": "failed", "data": None}}, Reason.LOGIN),
    ],
)
async def test_each_failed_proof_has_its_reason(fault: dict[str, object], reason: Reason) -> None:
    quick = limits(proof_seconds=0.3)
    async with OneBotServer("napcat") as server, connected(server, limits=quick) as (connection, _):
        server.do.answer("get_login_info", [fault])
        with pytest.raises(ConnectionFailedError) as caught:
            await connection.prove()
        assert caught.value.reason is reason


async def test_events_are_handed_on_and_what_the_connection_needs_is_not() -> None:
    async with OneBotServer("napcat") as server, connected(server) as (connection, frames):
        await connection.prove()
        server.do.heartbeat()
        server.notice("bot_offline", message="bye")
        server.say("friend:10001", '"retcode"')
        await wait_until(lambda: frames.events, "the message")
        assert len(frames.events) == 1
        assert any(frames.alive)
        assert [one.detail for one in frames.kicks] == ["下线通知：bye"]


async def test_a_reader_that_is_held_up_is_not_silence() -> None:
    quick = limits(silence_seconds=0.2)
    async with (
        OneBotServer("napcat", heartbeat_ms=0) as server,
        connected(server, limits=quick) as (connection, frames),
    ):
        frames.gate = anyio.Event()
        server.say("friend:10001", "a")
        await wait_until(lambda: frames.events, "the message")
        with anyio.move_on_after(0.6):
            await connection.wait_end()
        frames.gate.set()
        server.say("friend:10001", "b")
        await wait_until(lambda: len(frames.events) == 2, "the next message")
