"""The official API in the chaos run: the server of tests, its faults, and what it knows in the end."""

import random
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import redis.asyncio as redis

from adapter.directory import IdSpace
from adapter.permanent_directory import compute_stable_id
from tests.chaos.checker import Verdict
from tests.chaos.official_checker import OfficialRecord, judge
from tests.chaos.onebot_checker import Arrived, Said
from tests.official_server import Answer, OfficialServer

if TYPE_CHECKING:
    from tests.chaos.cluster import Stage
    from tests.chaos.faults import Fault

FRIENDS, GROUPS = ("ann", "bob", "eve"), ("lab", "tea")
BURST = 200  # messages at once
# Seconds that something lasts which the adapter has to notice: half of it up to one and a half.
LASTING = 2.0


class Official:
    """The server of a bot whose groups send all messages, and take messages that answer nothing.

    `way`: how the adapter is broken, for a proof of the checker.
    """

    def __init__(self, way: str = "whole") -> None:
        self._way = way
        self.server = OfficialServer(
            heartbeat_ms=1_000, proactive_groups=True, proactive_limits=False, api_qps=0, replay_overlap=1
        )
        for name in GROUPS:
            self.server.change(f"group:{name}", receives="all")
        self._said: list[Said] = []

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
        server = self.server
        return {
            "QQBUS_NETWORK": "official",
            "QQBUS_OFFICIAL_API_URL": server.url,
            "QQBUS_OFFICIAL_APPID": server.appid,
            "QQBUS_OFFICIAL_SECRET": server.secret,
        }

    @property
    def expected(self) -> int:
        """Return 0: a session that the gateway ends takes its events along."""
        return 0

    def program(self, watch: Path) -> tuple[str, ...]:
        """Return an adapter with short waits."""
        return "-m", "tests.chaos.fast_official", self._way, str(watch), "run"

    async def wait_online(self, seconds: float) -> None:
        """Wait until an adapter has identified."""
        await self.server.wait_connected(seconds)

    def say(self, chance: random.Random) -> None:
        """Let a friend or a member write."""
        group = chance.choice((None, *GROUPS))
        chat = f"friend:{chance.choice(FRIENDS)}" if group is None else f"group:{group}"
        sender = "" if group is None else chance.choice(FRIENDS)
        text = f"m{len(self._said)}"
        event = self.server.say(chat, text, sender=sender)
        kept = any(True for _ in event.copies)
        self._said.append(
            Said(event.n, event.time, self._address(chat), text, withheld="" if kept else "no session")
        )

    def _address(self, chat: str) -> str:
        kind = chat.partition(":")[0]
        space = IdSpace.PERSON if kind == "friend" else IdSpace.GROUP
        return f"{kind}:{compute_stable_id(space, self.server.openid(chat))}"

    def calm(self) -> None:
        """Forget all faults that are planned."""
        self.server.clear_faults()
        self.server.set(audit=False, swallow_after_expiry=0.0)

    async def judge(self, client: "redis.Redis", stage: "Stage") -> Verdict:
        """Compare the streams with the server's record."""
        arrived = [
            Arrived(self._address(one.chat), one.text, one.id)
            for one in self.server.record.received
            if one.shown
        ]
        for one in self.server.record.connections:
            words = f"{one.entry} of {one.session[:8] or 'none'} from {one.resumed_from}, closed {one.code}"
            stage.happened.append((f"connection {one.n}: {words}", one.opened, one.closed))
        ended = sum(bool(one.ended) for one in self.server.sessions)
        kills = sum(len(role.kills) for role in stage.adapters)
        handovers = kills + len(stage.pauses) if len(stage.adapters) > 1 else 0
        record = OfficialRecord(self._said, arrived, stage.late(), ended, handovers)
        return await judge(client, record)

    # --- faults of the gateway ---

    async def expire(self, _stage: "Stage", _chance: random.Random) -> None:
        """Close with 4009: the connection has its age."""
        await self.server.kill(4009)

    async def drain(self, _stage: "Stage", chance: random.Random) -> None:
        """Close as a server does that is taken down, or reset."""
        if chance.random() < 0.5:
            await self.server.kill(how="reset")
        else:
            await self.server.kill(chance.choice([1000, 1001, 4008, 4004]))

    async def reconnect(self, _stage: "Stage", _chance: random.Random) -> None:
        """Ask the client to connect again."""
        await self.server.reconnect()

    async def invalid(self, _stage: "Stage", chance: random.Random) -> None:
        """Say that the session is invalid, and mean it or not; or let a Resume find it out."""
        way = chance.choice(["resumable", "ended", "quiet", "4006", "4902"])
        if way in {"4006", "4902"}:
            self.server.set(bad_resume=way)
        if way == "resumable":
            await self.server.invalidate(resumable=True)
        elif way == "ended":
            await self.server.invalidate()
        else:
            await self.server.invalidate(quiet=True)
            await self.server.kill(4009)

    async def silent(self, _stage: "Stage", chance: random.Random) -> None:
        """Answer no heartbeat for a while."""
        self.server.set(heartbeat_acks=False)
        await anyio.sleep(LASTING * chance.uniform(0.5, 1.5))
        self.server.set(heartbeat_acks=True)

    async def burst(self, _stage: "Stage", chance: random.Random) -> None:
        """Let all write at once."""
        for _ in range(BURST):
            self.say(chance)

    async def repeat(self, _stage: "Stage", _chance: random.Random) -> None:
        """Push an event again."""
        if self._said:
            self.server.repeat()

    async def revoke(self, _stage: "Stage", _chance: random.Random) -> None:
        """Make all tokens invalid."""
        self.server.revoke_tokens()

    # --- faults of the API ---

    async def cut_send(self, _stage: "Stage", chance: random.Random) -> None:
        """End the connection before or after a message was taken, or in the middle of the answer."""
        self.server.next_answer("send", Answer(cut=chance.choice(["before", "after", "body"])))

    async def slow_send(self, _stage: "Stage", chance: random.Random) -> None:
        """Answer a send late, or never in time."""
        self.server.next_answer("send", Answer(delay=chance.choice([0.3, 1.0, 6.0])))

    async def refuse_send(self, _stage: "Stage", chance: random.Random) -> None:
        """Refuse a send: for its content, for the moment, or for its anchor."""
        code = chance.choice([40034006, 22009, 304018, 304103, 11244, 40054002])
        self.server.next_answer("send", Answer(code=code))

    async def maybe_send(self, _stage: "Stage", chance: random.Random) -> None:
        """Carry a send out or not, and say that it is not known."""
        answer = Answer(status=chance.choice([500, 504, 202]), serve=chance.random() < 0.5, body=b"")
        self.server.next_answer("send", answer)

    async def api_away(self, _stage: "Stage", chance: random.Random) -> None:
        """Let the API fail for some calls of the session."""
        for endpoint in ("token", "gateway"):
            self.server.next_answer(endpoint, Answer(status=502, body=b"<html>"), Answer(cut="before"))
        self.server.revoke_tokens()
        await self.server.kill(chance.choice([1001, 4009]))

    @property
    def faults(self) -> Mapping["Fault", int]:
        """Return the faults of the official API."""
        return {
            self.expire: 4,
            self.drain: 3,
            self.reconnect: 2,
            self.invalid: 2,
            self.silent: 1,
            self.burst: 2,
            self.repeat: 3,
            self.revoke: 1,
            self.cut_send: 3,
            self.slow_send: 3,
            self.refuse_send: 3,
            self.maybe_send: 2,
            self.api_away: 1,
        }
