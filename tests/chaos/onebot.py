"""OneBot 11 in the chaos run: the server of tests, its faults, and what it knows in the end."""

import random
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import redis.asyncio as redis

from tests.chaos.checker import Verdict
from tests.chaos.fast_onebot import HASTY
from tests.chaos.onebot_checker import Arrived, OneBotRecord, Said, judge
from tests.onebot_server import OneBotServer
from tests.support.helpers import wait_until

if TYPE_CHECKING:
    from tests.chaos.cluster import Stage
    from tests.chaos.faults import Fault

CHATS = (
    *(f"friend:{number}" for number in (10001, 10002, 10003)),
    *("group:30001", "group:30002", "temp:10009@group:30001"),
)
SPEAKERS = {"group:30001": (10001, 10002, 10009), "group:30002": (10001, 10003)}
SENDS = ("send_private_msg", "send_group_msg")
# Milliseconds between heartbeats: a gap around an offline QQ begins at the last good one.
HEARTBEAT = 500
BURST = 300  # messages at once
FRAME = 3_000_000  # bytes of a large frame
# Seconds that something lasts which the adapter has to notice: half of it up to one and a half.
LASTING = 2.0


class OneBot:
    """The OneBot server of tests. `way`: how the adapter is broken, for a proof of the checker."""

    def __init__(self, way: str = "whole") -> None:
        self.server = OneBotServer("napcat", heartbeat_ms=HEARTBEAT)
        self._way = way
        # Chat and text of each message by its number in the server's record.
        self._said: dict[int, tuple[str, str]] = {}
        self._is_quiet = False

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)

    @property
    def settings(self) -> Mapping[str, str]:
        """Return what an adapter needs to find the server."""
        return {"QQBUS_NETWORK": "onebot", "QQBUS_ONEBOT_URL": self.server.url}

    @property
    def expected(self) -> int:
        """Return 0: OneBot keeps nothing for an adapter that is away."""
        return 0

    def program(self, watch: Path) -> tuple[str, ...]:
        """Return an adapter with short waits."""
        return "-m", "tests.chaos.fast_onebot", self._way, str(watch), "run"

    async def wait_online(self, seconds: float) -> None:
        """Wait until an adapter has proved its connection and reads the contacts."""
        await wait_until(self._is_connected, "an adapter is connected", seconds)

    def _is_connected(self) -> bool:
        actions = self.server.record.actions.entries
        return any(
            one.action == "get_group_list" and one.connection in self.server.hub.connections
            for one in reversed(actions)
        )

    def say(self, chance: random.Random) -> None:
        """Let a friend or a member write, unless all are quiet."""
        if self._is_quiet:
            return
        chat, text = chance.choice(CHATS), f"m{len(self._said)}"
        sender = chance.choice(SPEAKERS[chat]) if chat in SPEAKERS else None
        number = self.server.say(chat, text, sender=sender)["n"]
        self._said[number] = (chat, text)

    def calm(self) -> None:
        """Forget all faults that are planned."""
        self.server.do.clear()

    async def judge(self, client: "redis.Redis", stage: "Stage") -> Verdict:
        """Compare the streams with the server's record."""
        record = self.server.record
        said = [
            Said(one.n, one.time, *self._said[one.n], withheld=one.withheld)
            for one in record.events.entries
            if one.n in self._said
        ]
        arrived = [Arrived(one.chat, one.text, str(one.message_id)) for one in record.received.entries]
        return await judge(client, OneBotRecord(said, arrived, stage.late()))

    # --- faults of the socket ---

    def _connection(self, chance: random.Random) -> int | None:
        """Return the number of a connection, None for all of them."""
        return chance.choice([None, *self.server.hub.connections])

    async def reset(self, _stage: "Stage", chance: random.Random) -> None:
        """Reset a socket."""
        self.server.do.reset(self._connection(chance))

    async def half_open(self, _stage: "Stage", chance: random.Random) -> None:
        """Read and write nothing on a socket that stays open, for longer than the watchdog waits or shorter."""
        chosen = self._connection(chance)
        self.server.do.freeze(chosen)
        await anyio.sleep(HASTY.silence_seconds * chance.uniform(0.3, 1.3))
        self.server.do.thaw()

    async def cut_frame(self, _stage: "Stage", chance: random.Random) -> None:
        """End a connection in the middle of an event."""
        await self.server.do.cut(self._connection(chance))

    async def close(self, _stage: "Stage", chance: random.Random) -> None:
        """Close in order."""
        await self.server.do.close(self._connection(chance), code=chance.choice([1000, 1001, 1005, 1012]))

    async def restart(self, _stage: "Stage", chance: random.Random) -> None:
        """End the implementation and start it again: it has forgotten all ids."""
        await self.server.do.down()
        await anyio.sleep(LASTING * chance.uniform(0.1, 0.7))
        await self.server.do.up()

    async def refuse_token(self, _stage: "Stage", chance: random.Random) -> None:
        """Refuse the token for a while, in one of the five ways."""
        ways = ["frame-1005", "frame-1008", "close-1008", "http-401", "http-403"]
        self.server.do.options(token="t", refusal=chance.choice(ways), refuse_all=True)
        self.server.do.reset()
        await anyio.sleep(LASTING * chance.uniform(0.1, 0.7))
        self.server.do.options(token="", refusal="", refuse_all=False)

    async def slow_handshake(self, _stage: "Stage", chance: random.Random) -> None:
        """Answer the next handshakes slowly."""
        self.server.do.options(handshake_seconds=chance.uniform(0.2, 1.0))
        self.server.do.reset()
        await anyio.sleep(LASTING)
        self.server.do.options(handshake_seconds=0.0)

    # --- faults of QQ and of heartbeats ---

    async def offline(self, _stage: "Stage", chance: random.Random) -> None:
        """Take QQ offline behind a healthy socket."""
        self.server.do.offline(kicked=chance.random() < 0.5)
        await anyio.sleep(LASTING * chance.uniform(0.5, 1.5))
        self.server.do.online()

    async def quiet(self, _stage: "Stage", _chance: random.Random) -> None:
        """Switch heartbeats off and let all be quiet for longer than the watchdog waits."""
        self.server.do.options(heartbeat_ms=0)
        self._is_quiet = True
        await anyio.sleep(HASTY.silence_seconds * 1.5)
        self._is_quiet = False
        self.server.do.options(heartbeat_ms=HEARTBEAT)

    async def burst(self, _stage: "Stage", chance: random.Random) -> None:
        """Let all write at once."""
        for _ in range(BURST):
            self.say(chance)

    async def large_frame(self, _stage: "Stage", _chance: random.Random) -> None:
        """Send a frame of some megabytes."""
        self.server.do.frame(size=FRAME)

    # --- faults of answers ---

    def _plan(self, chance: random.Random, **fault: object) -> None:
        self.server.do.answer(chance.choice(SENDS), [fault])

    async def slow_answer(self, _stage: "Stage", chance: random.Random) -> None:
        """Answer a send late."""
        self._plan(chance, delay=chance.uniform(0.2, 1.5))

    async def no_answer(self, _stage: "Stage", chance: random.Random) -> None:
        """Never answer a send that was or was not carried out."""
        self._plan(chance, performs=chance.random() < 0.5, reply="never")

    async def cut_answer(self, _stage: "Stage", chance: random.Random) -> None:
        """End the connection in place of an answer, or in the middle of it."""
        self._plan(chance, performs=chance.random() < 0.5, reply=chance.choice(["half", "reset", "close"]))

    async def maybe(self, _stage: "Stage", chance: random.Random) -> None:
        """Say that QQ has not confirmed a send."""
        self._plan(chance, performs=chance.random() < 0.5, reply="timeout")

    async def refuse(self, _stage: "Stage", chance: random.Random) -> None:
        """Refuse a send."""
        answer = {"status": "failed", "retcode": 1200, "data": None, "message": "发送失败"}
        self._plan(chance, performs=False, answer=answer)

    @property
    def faults(self) -> Mapping["Fault", int]:
        """Return the faults of OneBot."""
        return {
            self.reset: 3,
            self.half_open: 2,
            self.cut_frame: 2,
            self.close: 2,
            self.restart: 2,
            self.refuse_token: 1,
            self.slow_handshake: 1,
            self.offline: 2,
            self.quiet: 1,
            self.burst: 3,
            self.large_frame: 1,
            self.slow_answer: 3,
            self.no_answer: 2,
            self.cut_answer: 3,
            self.maybe: 3,
            self.refuse: 2,
        }
