"""SmartQQ in the chaos run: the simulator, its faults, and what it knows in the end."""

import random
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import redis.asyncio as redis

from tests.chaos.checker import Record, Verdict, judge
from tests.simulator import Answer, Simulator

if TYPE_CHECKING:
    from tests.chaos.cluster import Stage
    from tests.chaos.faults import Fault

CHATS = (
    *(f"friend:{number}" for number in (10001, 20002, 30003, 40004)),
    *("group:123456789", "group:223344556", "discuss:1664012345"),
)
SPEAKERS = {"group:123456789": 10001, "group:223344556": 20002, "discuss:1664012345": 20002}
STRANGER = 111  # in no list
STRANGERS = 0.05  # of what is said in groups and discussions
SAID = re.compile(r'"(m\d+)"')
SENDS = ("/channel/send_buddy_msg2", "/channel/send_qun_msg2", "/channel/send_discu_msg2")
LISTS = ("/api/get_group_info_ext2", "/channel/get_discu_info")


class SmartQQ:
    """The simulator of SmartQQ."""

    def __init__(self) -> None:
        options: dict[str, Any] = {"auto_scan": True, "scan_after": 0, "poll_seconds": 2.0}
        # A network that drops a repeated message id: only there is at-least-once also at most once.
        options["drop_repeats"] = True
        self.sim = Simulator("e3", **options)
        self._said: list[tuple[str, str, float]] = []

    async def __aenter__(self) -> Self:
        await self.sim.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sim.__aexit__(kind, error, trace)

    @property
    def settings(self) -> Mapping[str, str]:
        """Return what an adapter needs to find the simulator."""
        return {"QQBUS_SMARTQQ_URL": self.sim.url}

    @property
    def expected(self) -> int:
        """Return the messages that must be published: SmartQQ keeps them for an adapter that is away."""
        return len(self._said)

    def program(self, watch: Path) -> tuple[str, ...]:
        """Return an adapter with a stopwatch."""
        return "-m", "tests.chaos.window_timer", str(watch), "run"

    async def wait_online(self, seconds: float) -> None:
        """Wait until an adapter holds the session and polls."""
        await self.sim.wait_state("online", seconds)
        await self.sim.wait_poll(seconds)

    def say(self, chance: random.Random) -> None:
        """Let a friend, a member or a stranger write."""
        chat, text = chance.choice(CHATS), f"m{len(self._said)}"
        speaker = SPEAKERS.get(chat)
        if speaker is not None and chance.random() < STRANGERS:
            speaker = STRANGER
        self.sim.say(chat, text, sender=speaker)
        self._said.append((chat, text, time.time()))

    def calm(self) -> None:
        """Forget all faults that are planned."""
        self.sim.clear_faults()

    async def judge(self, client: "redis.Redis", stage: "Stage") -> Verdict:
        """Compare the streams with the simulator's journal and the notes of the adapters."""
        handed = {
            text: time
            for time, items in self.sim.network.journal.handed
            for item in items
            for text in SAID.findall(item)
        }
        record = Record(
            self._said, list(self.sim.received), handed, stage.deaths(), stage.sleeps(), stage.torn
        )
        verdict = await judge(client, record)
        for name, times in zip(("written", "on disk"), stage.windows(), strict=True):
            if times:
                middle, late = (times[int(len(times) * share)] * 1e6 for share in (0.5, 0.99))
                words = f"{middle:.0f}/{late:.0f}/{times[-1] * 1e6:.0f}"
                verdict.figures[f"window until {name}, p50/p99/longest in µs"] = words
        return verdict

    # --- faults ---

    async def maybe_send(self, _stage: "Stage", chance: random.Random) -> None:
        """Upstream says 1202: perhaps."""
        self.sim.next_answer(chance.choice(SENDS), Answer(json={"errmsg": "error!!!", "retcode": 1202}))

    async def cut_send(self, _stage: "Stage", chance: random.Random) -> None:
        """End the connection before or after the message was taken."""
        self.sim.next_answer(chance.choice(SENDS), Answer(cut=chance.choice(["before", "after", "body"])))

    async def slow_send(self, _stage: "Stage", chance: random.Random) -> None:
        """Delay an answer."""
        self.sim.next_answer(chance.choice(SENDS), Answer(delay=chance.uniform(0.2, 1.5)))

    async def cut_poll(self, _stage: "Stage", _chance: random.Random) -> None:
        """Break a poll off in mid-answer: upstream gives the same batch again."""
        self.sim.next_poll(Answer(cut="body"))

    async def gateway(self, _stage: "Stage", chance: random.Random) -> None:
        """Let the gateway in front of upstream fail for a moment."""
        self.sim.next_poll(Answer(status=chance.choice([502, 504, 404]), body=b"<html>"))

    async def renew(self, _stage: "Stage", _chance: random.Random) -> None:
        """116: another ptwebqq."""
        self.sim.renew_ptwebqq()

    async def relink(self, _stage: "Stage", _chance: random.Random) -> None:
        """121: the link is lost and has to be made again."""
        self.sim.next_poll(Answer(json={"retcode": 121, "t": "0"}))

    async def slow_list(self, _stage: "Stage", chance: random.Random) -> None:
        """Who somebody is takes a while to learn; what he said waits for it."""
        self.sim.next_answer(chance.choice(LISTS), Answer(delay=chance.uniform(0.1, 1.2)))

    @property
    def faults(self) -> Mapping["Fault", int]:
        """Return the faults of SmartQQ."""
        return {
            self.maybe_send: 3,
            self.cut_send: 3,
            self.slow_send: 3,
            self.cut_poll: 3,
            self.gateway: 2,
            self.renew: 1,
            self.relink: 1,
            self.slow_list: 4,
        }
