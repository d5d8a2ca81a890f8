"""A long life in a short run: `python -m tests.chaos.soak --days 365`. 0 if everything held.

Each day people write, workers answer – some of them only days later –, and something happens to the
session. What must follow is known: the steps on the session's stream, and who hears what.
"""

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from tests.chaos.line import Line
from tests.simulator import Answer
from tests.support.helpers import wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system

ROOMS = {"group:123456789": (10001, 987654321, 50005, 2718281828), "group:223344556": (20002,)}
FRIENDS = (10001, 20002, 30003, 40004, 50005, 60006, 70007)
DISCUSSION = "discuss:1664012345"
# Answers that wait until it is over: what is under way when the line is cut may or may not arrive.
AFTERWARDS = ("outage", "upgrade", "crash", "farewell")
# Friends without a remark: a nick, which its bearer chooses, never finds a person again after a login.
UNCLEAR = frozenset({"friend:20002", "friend:40004", "friend:50005", "friend:60006", "friend:70007"})
ANNOUNCED = ("online", "offline", "kicked")
PATIENCE = 20.0
OPTIONS: dict[str, Any] = {"scan_after": 1, "poll_seconds": 0.5}

RELINKED = ("relinking relink", "online relink")
LOST = ("relinking relink", "offline session.lost", "relinking reopen", "relinking quick")
SCANNED = ("qr scan", "scanned confirm", "online full")


@dataclass
class Life:
    """What happened, what had to follow, and what did."""

    it: System
    line: Line
    chance: random.Random
    program: Program
    kicked: bool = False
    closed: bool = False
    expected: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    events: list[dict[str, str]] = field(default_factory=list)
    results: list[dict[str, str]] = field(default_factory=list)
    gaps_owed: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    _after: dict[str, str] = field(default_factory=dict)

    async def news(self, stream: str) -> list[dict[str, str]]:
        """Return what is new on a stream."""
        after = self._after.get(stream, "0")
        rows: Any = await self.it.bus.client.xrange(self.it.bus.keys(stream), f"({after}", "+")
        if rows:
            self._after[stream] = rows[-1][0].decode()
        return [
            {n.decode(): v.decode() for n, v in fields.items() if n not in {b"body", b"png"}}
            for _, fields in rows
        ]

    async def look(self) -> None:
        """Take in all that is new."""
        self.steps += [f"{row['state']} {row['reason']}".strip() for row in await self.news("session")]
        self.events += await self.news("inbound")
        self.results += await self.news("results")

    async def until(self, true: Callable[[], bool], what: Callable[[], str]) -> None:
        """Wait until this is true of what is there."""

        async def seen() -> bool:
            await self.look()
            return true()

        try:
            await wait_until(seen, "", PATIENCE)
        except AssertionError:
            raise AssertionError(what()) from None

    async def step(self, *steps: str) -> None:
        """Expect these steps now, these alone, each once."""
        self.expected += steps
        want = len(self.expected)
        await self.until(
            lambda: len(self.steps) >= want, lambda: f"{self.steps[-8:]} for {self.expected[-8:]}"
        )
        assert self.steps == self.expected, f"{self.steps[-8:]} for {self.expected[-8:]}"

    async def order(self, command: str) -> None:
        await self.it.bus.client.xadd(self.it.bus.keys("control"), {"cmd": command})

    @property
    def messages(self) -> list[dict[str, str]]:
        """What others said, as it was told."""
        return [row for row in self.events if row["type"].startswith("message.") and row["self"] == "0"]

    # --- talk ---

    def say(self, day: int) -> None:
        """Everybody says something."""
        chats = [f"friend:{qq}" for qq in FRIENDS] + [*ROOMS, DISCUSSION]
        for chat in self.chance.sample(chats, len(chats)):
            text = f"d{day}.{len(self.said)}"
            self.it.sim.say(chat, text, sender=self.chance.choice(ROOMS.get(chat, (None,))))
            self.said[text] = chat

    async def answer(self, rows: list[dict[str, str]]) -> None:
        """Answer these events, whoever they are from by now."""
        for row in rows:
            text = f"r{len(self.asked)}:{row['text']}"
            self.asked[text] = self.said[row["text"]]
            await self.it.ask(f"reply:{row['id']}", text, id=f"soak/{text}")

    async def heard(self) -> None:
        """All that was said is told, and all that was asked has its result."""
        await self.until(
            lambda: len(self.messages) >= len(self.said),
            lambda: f"{len(self.messages)} of {len(self.said)} messages were told",
        )
        await self.until(
            lambda: len(self.results) >= len(self.asked),
            lambda: f"{len(self.results)} of {len(self.asked)} results",
        )


# --- what happens: each waits until it is over ---


async def nothing(life: Life) -> None:
    """Let a quiet day pass."""


async def hiccups(life: Life) -> None:
    """Let gateway and line fail for a moment; polls break off and come again."""
    sim, html = life.it.sim, b"<html><body>502 Bad Gateway</body></html>"
    hiccup = [Answer(status=status, body=html) for status in (502, 504, 404)]
    hiccup += [Answer(cut=cut) for cut in ("before", "after", "body")]
    hiccup += [Answer(body=b""), Answer(body=html), Answer(json={"retcode": 1202, "errmsg": ""})]
    sim.next_poll(*life.chance.sample(hiccup, 4))
    await wait_until(lambda: not sim.network.faults.pending("/channel/poll2"), "they are over", PATIENCE)


async def renewal(life: Life) -> None:
    """116."""
    life.it.sim.renew_ptwebqq()


async def doubt(life: Life) -> None:
    """103 once: a probe says that all is well."""
    life.it.sim.next_poll(Answer(json={"retcode": 103, "errmsg": ""}))


async def doubts(life: Life) -> None:
    """103 twice in a row: the link has to be made again."""
    life.it.sim.next_poll(*[Answer(json={"retcode": 103, "errmsg": ""})] * 2)
    await life.step(*RELINKED)


async def relink(life: Life) -> None:
    """121."""
    life.it.sim.next_poll(Answer(json={"retcode": 121, "t": "0"}))
    await life.step(*RELINKED)


async def dead(life: Life) -> None:
    """End the psessionid; poll or send notices it."""
    life.it.sim.drop_session()
    await life.step(*RELINKED)


async def unseen(life: Life) -> None:
    """End the session in silence: a send notices it first."""
    life.it.sim.network.sessions.end(100001)
    await life.answer(life.messages[-1:])
    await life.step(*RELINKED)


async def stranger(life: Life) -> None:
    """100: the cookies are good for a new session."""
    life.it.sim.next_poll(Answer(json={"retcode": 100, "errmsg": ""}))
    await life.step("offline session.lost", "relinking reopen", "online reopen")
    life.gaps_owed += 1


async def night(life: Life) -> None:
    """All cookies expire; somebody scans in the morning, when the first code is cold."""
    sim = life.it.sim
    sim.set(auto_scan=False)
    sim.drop_session(cookies=True)
    await life.step(*LOST, "qr scan")
    if life.chance.random() < 0.5:
        sim.expire()
        await life.step("qr scan")
    sim.scan()
    await life.step("scanned confirm")
    sim.confirm()
    sim.set(auto_scan=True)
    await life.step("online full")
    life.gaps_owed += 1


async def kick(life: Life) -> None:
    """Log in elsewhere. The adapter comes back once by itself, later on request."""
    life.it.sim.kick()
    if not life.kicked:
        await life.step("kicked kicked", "relinking reopen", "online reopen")
    else:
        await life.step("kicked kicked.again")
        await life.order("login")
        await life.step("starting login", *RELINKED)
    life.kicked = True
    life.gaps_owed += 1


async def outage(life: Life) -> None:
    """Nobody is reachable for a while."""
    await life.line.cut()
    await life.step("offline network")
    life.say(0)
    await life.line.mend()
    await life.step("online network")
    life.gaps_owed += 1


async def farewell(life: Life) -> None:
    """Log out and in by the operator."""
    await life.order("logout")
    await life.step("offline logout")
    await life.order("login")
    await life.step("starting login", *SCANNED)
    life.gaps_owed += 1


async def upgrade(life: Life) -> None:
    """End the process in order and start a new one."""
    assert await life.program.stop() == 0
    life.program = life.it.start("tests.chaos.fast_timeouts", "run")
    life.kicked = False
    await life.step("stopped SIGTERM", "starting", "online probe")


async def crash(life: Life) -> None:
    """Kill the process at night with its session: the next one says so."""
    await life.heard()  # what the answer of a poll holds at that moment would die as well
    life.program.process.kill()
    await life.program.ended()
    await life.it.bus.client.delete(life.it.bus.keys("lease"))  # rather than wait for its end
    life.it.sim.drop_session(cookies=True)
    life.program = life.it.start("tests.chaos.fast_timeouts", "run")
    life.kicked = False
    await life.step("starting", *LOST, *SCANNED)
    life.gaps_owed += 1


async def renaming(life: Life) -> None:
    """Somebody takes another name; numbers tell who it is, while upstream gives them away."""
    sim, qq = life.it.sim, life.chance.choice((10001, 20002, 30003))
    if not life.closed:
        sim.world.change_person(qq, nick=f"{qq} {life.chance.randrange(1_000_000)}")
    await stranger(life)


async def closing(life: Life) -> None:
    """Close or open the lists with numbers."""
    life.closed = not life.closed
    life.it.sim.set(qun_open=not life.closed)
    await stranger(life)


EVERY: dict[Callable[[Life], Awaitable[None]], int] = {
    nothing: 2,
    hiccups: 4,
    renewal: 2,
    doubt: 1,
    doubts: 2,
    relink: 2,
    dead: 2,
    unseen: 2,
    stranger: 1,
    night: 4,
    kick: 2,
    outage: 2,
    farewell: 1,
    upgrade: 1,
    crash: 1,
    renaming: 2,
    closing: 1,
}


def plan(days: int, chance: random.Random) -> list[Callable[[Life], Awaitable[None]]]:
    """Plan each day: every incident at least once, as far as the days reach."""
    certain = list(EVERY)[:days]
    rest = chance.choices(list(EVERY), list(EVERY.values()), k=days - len(certain))
    return chance.sample([*certain, *rest], days)


async def live(it: System, days: int, seed: int) -> Life:
    """Live so many days. Raises AssertionError where something does not hold."""
    async with Line(int(it.sim.url.rpartition(":")[2])) as line:
        it.settings["QQBUS_SMARTQQ_URL"] = line.url
        life = Life(it, line, random.Random(seed), it.start("tests.chaos.fast_timeouts", "run"))
        try:
            await _live(life, days)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n\n{life.program.text()[-4000:]}") from None
        return life


async def _live(life: Life, days: int) -> None:
    it, chance = life.it, life.chance
    await life.step("starting", *SCANNED)
    for day, happen in enumerate(plan(days, chance), 1):
        it.sim.set(new_uins=chance.choice(("login", "always")), echo=chance.choice(("off", "random", "zero")))
        await it.sim.wait_poll(PATIENCE)
        life.say(day)
        if chance.random() < 0.5:
            await life.heard()  # a quiet morning
        await life.look()
        told = life.messages
        answers = told[-10:] + chance.sample(told, min(len(told), 5))
        later = None if happen.__name__ in AFTERWARDS else answers
        if later:
            await life.answer(later)
        await happen(life)
        life.happened[happen.__name__] += 1
        await it.sim.wait_poll(PATIENCE)
        if not later:
            await life.answer(answers)
        await life.heard()
        check(life)
    assert (await it.bus.hgetall(it.bus.keys("status")))["state"] == b"online"


def check(life: Life) -> None:
    """Check what must hold at the end of every day."""
    assert life.steps == life.expected, life.steps[len(life.expected) - 6 :]
    told = Counter(row["text"] for row in life.messages)
    assert told == Counter(dict.fromkeys(life.said, 1)), "each message once, and nothing else"
    seqs = [int(row["seq"]) for row in life.events]
    assert seqs == list(range(1, len(seqs) + 1))
    states = [step.partition(" ")[0] for step in life.steps]
    announced = [row["type"].removeprefix("session.") for row in life.events if row["chat"] == ""]
    assert [kind for kind in announced if kind in ANNOUNCED] == [s for s in states if s in ANNOUNCED]
    assert announced.count("gap") >= life.gaps_owed
    assert Counter(row["id"] for row in life.results) == Counter(f"soak/{text}" for text in life.asked)
    heard = {message.text: message.chat for message in life.it.sim.received}
    for row in life.results:
        text = row["id"].removeprefix("soak/")
        chat = life.asked[text]
        if row["status"] == "sent":
            assert heard.get(text) == chat, f"{text} went to {heard.get(text)} and not to {chat}"
        else:
            assert (row["status"], row["code"], chat in UNCLEAR) == ("failed", "target.unknown", True), row
            assert text not in heard
    assert Counter(m.text for m in life.it.sim.received) == Counter(dict.fromkeys(heard, 1))


async def run(days: int, seed: int, folder: Path) -> Life:
    """Run the whole of it, with a server of its own."""
    async with (
        run_server(folder / "redis", free_port()) as url,
        Bus.open(url, "soak") as bus,
        system(bus, url, folder, **OPTIONS, seed=seed) as it,
    ):
        return await live(it, days, seed)


def main() -> None:
    """Run and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # connections that break are what this is about
    began = time.monotonic()
    print(f"seed {arguments.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="qqbus-soak-") as name:
        life = anyio.run(run, arguments.days, arguments.seed, Path(name))
    print(f"{arguments.days} days in {time.monotonic() - began:.0f} s\nhappened   {dict(life.happened)}")
    print(f"told       {len(life.steps)} steps and {len(life.said)} messages, each once")
    print(f"answers    {len(life.asked)}, {dict(Counter(row['status'] for row in life.results))}")


if __name__ == "__main__":
    main()
