"""A disk that is really full: nothing that was taken is lost, and nothing more is taken."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from adapter.bus.spool.log import Spool
from adapter.errors import SpoolError
from tests.support.helpers import BEARER, wait_until
from tests.support.ports import free_port
from tests.support.small_disk import filled, small_disk
from tests.support.system_harness import Program, System, system
from tests.support.webhook_server import webhook

PARTS = ("redis", "lease", "session", "disk", "services", "clock")
FRIEND = "friend:10001"
POLL = "/channel/poll2"
ALARM = "upstream is not asked for more until there is room"
# The adapter looks at a full disk once a second: after this long it has looked twice.
TWO_LOOKS = 2.5


def text(number: int) -> str:
    """Make a long message of its own."""
    return f"m{number} " + "长话" * 40


def fill_up(spool: Spool) -> list[bytes]:
    """Write until there is no room; what was taken."""
    taken: list[bytes] = []
    while True:
        payload = f"{len(taken):05}".encode() * 300
        try:
            spool.write(payload)
        except SpoolError as exc:
            assert "No space left" in str(exc)  # noqa: PT017 – when it comes is what is to be found out
            return taken
        taken.append(payload)


def drain(spool: Spool) -> Iterator[bytes]:
    while (payload := spool.peek()) is not None:
        yield payload
        spool.advance()


def test_what_was_taken_before_the_disk_was_full_is_there_after_a_kill(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        with Spool(disk / "s") as spool:
            taken = fill_up(spool)
        with Spool(disk / "s") as spool:
            assert list(drain(spool)) == taken
            assert spool.corrupt_records == 0


def test_once_there_is_room_batches_follow_each_other_as_before(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as disk:
        filler = filled(disk, 64)
        with Spool(disk / "s") as spool:
            taken = fill_up(spool)
            filler.unlink()
            for number in range(10):
                spool.write(f"later {number}".encode())
                taken.append(f"later {number}".encode())
        with Spool(disk / "s") as spool:
            assert list(drain(spool)) == taken


class Flood:
    """A friend who says long things, one a poll, to an adapter whose Redis comes and goes."""

    def __init__(self, it: System, program: Program) -> None:
        self.it = it
        self.program = program
        self.said: list[str] = []

    def say(self, count: int) -> None:
        for _ in range(count):
            self.said.append(text(len(self.said)))
            self.it.sim.say(FRIEND, self.said[-1])

    @property
    def polls(self) -> int:
        return self.it.sim.network.journal.by_path[POLL]

    async def logged(self, words: str, times: int = 1) -> None:
        await wait_until(lambda: self.program.text().count(words) >= times, f"{words!r} is logged", 20)

    async def until_full(self) -> None:
        """Talk while Redis is away until the disk is full; upstream is not asked for more then."""
        await self.logged("events wait on disk")
        self.say(400)
        await self.logged(ALARM)
        asked, waiting, began = self.polls, self.it.sim.queued, time.monotonic()
        assert waiting > 0
        await wait_until(lambda: time.monotonic() > began + TWO_LOOKS, "it has looked again twice")
        assert (self.polls, self.it.sim.queued) == (asked, waiting)
        assert self.it.sim.network.mailbox.polls == 0
        assert self.program.process.poll() is None
        assert self.program.text().count(ALARM) == 1, "one line a change of state"

    async def told(self) -> list[str]:
        """Read what is on the bus, and check that the numbers have no hole."""
        rows = await self.it.rows("inbound")
        assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
        return [row["text"] for row in rows if row["type"] == "message.friend"]

    async def all_told(self, but: int = 0) -> None:
        """Each once, in order."""
        want = len(self.said) - but

        async def enough() -> bool:
            return len(await self.told()) >= want

        await wait_until(enough, f"{want} messages on the bus", 30)
        assert await self.told() == self.said


async def ready(address: str) -> tuple[int, dict[str, str]]:
    """Return what `/readyz` answers."""
    async with httpx.AsyncClient(base_url=address, trust_env=False, headers=BEARER) as http:
        answer = await http.get("/readyz")
        return answer.status_code, answer.json()


@pytest.mark.anyio
@pytest.mark.long
async def test_a_full_disk_is_told_to_whoever_looks_after_the_adapter(tmp_path: Path) -> None:
    port, page = free_port(), free_port()
    url, address = f"redis://127.0.0.1:{port}", f"http://127.0.0.1:{page}"
    with small_disk(tmp_path / "state" / "spool", 192), webhook() as hook:
        async with Bus.open(url, "qq") as bus, system(bus, url, tmp_path, max_batch=1) as it:
            it.settings |= {
                "QQBUS_LEASE": "2",
                "QQBUS_HTTP": f"127.0.0.1:{page}",
                "QQBUS_ALARM_URL": hook.url,
            }
            async with run_server(tmp_path / "redis", port):
                talk = Flood(it, it.start("tests.chaos.night", "run"))  # its waits are short
                await it.online(talk.program)
                talk.say(3)
                await talk.all_told()
                assert await ready(address) == (
                    200,
                    {"status": "ok"} | dict.fromkeys(PARTS, "ok"),
                )
            await talk.until_full()
            await wait_until(lambda: hook.bodies, "somebody was called")
            status, told = await ready(address)
            assert (status, told["status"]) == (503, "not ready")
            assert "No space left on device" in told["disk"]
            async with httpx.AsyncClient(base_url=address, trust_env=False, headers=BEARER) as http:
                assert b"qqbus_disk_full 1.0" in (await http.get("/metrics")).content
            async with run_server(tmp_path / "redis", port):
                await talk.all_told()
                await wait_until(lambda: len(hook.bodies) >= 2, "the all-clear")
                assert (await ready(address))[1]["disk"] == "ok"

                async def well() -> bool:
                    return (await bus.hgetall(bus.keys("status")))["disk"] == b""

                await wait_until(well, "the status says so")
                assert await talk.program.stop() == 0
    calls = [(body["event"], body["reason"]) for body in hook.bodies]
    assert calls == [("alarm", "disk"), ("clear", "disk")]


@asynccontextmanager
async def flood(bus: Bus, url: str, folder: Path) -> AsyncIterator[Flood]:
    async with system(bus, url, folder, max_batch=1) as it:
        it.settings["QQBUS_LEASE"] = "2"
        yield Flood(it, it.start("adapter", "run"))


@pytest.mark.anyio
@pytest.mark.long
async def test_a_full_disk_stops_the_asking_and_room_starts_it_again(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with small_disk(tmp_path / "state" / "spool", 1024) as disk:
        async with Bus.open(url, "qq") as bus, flood(bus, url, tmp_path) as it:
            async with run_server(tmp_path / "redis", port):
                await it.it.online(it.program)
                it.say(3)
                await it.all_told()
            filler = filled(disk, 128)
            await it.until_full()
            filler.unlink()
            await wait_until(lambda: it.it.sim.queued == 0, "upstream is asked again", 20)
            await it.logged("there is room on disk again")
            async with run_server(tmp_path / "redis", port):
                await it.all_told()
                it.say(3)
                await it.all_told()
                assert await it.program.stop() == 0


@pytest.mark.anyio
@pytest.mark.long
async def test_a_redis_that_takes_what_waited_makes_room(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with small_disk(tmp_path / "state" / "spool", 192):
        async with Bus.open(url, "qq") as bus, flood(bus, url, tmp_path) as it:
            async with run_server(tmp_path / "redis", port):
                await it.it.online(it.program)
                it.say(3)
                await it.all_told()
            await it.until_full()
            async with run_server(tmp_path / "redis", port):
                await it.all_told()
                assert await it.program.stop() == 0


@pytest.mark.anyio
@pytest.mark.long
async def test_a_kill_while_the_disk_is_full_costs_what_was_in_memory_and_no_more(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with small_disk(tmp_path / "state" / "spool", 1024) as disk:
        async with Bus.open(url, "qq") as bus, flood(bus, url, tmp_path) as it:
            async with run_server(tmp_path / "redis", port):
                await it.it.online(it.program)
                it.say(3)
                await it.all_told()
            filler = filled(disk, 128)
            await it.until_full()
            in_memory = len(it.said) - it.it.sim.queued - 1
            it.program.process.kill()
            await it.program.ended()
            filler.unlink()
            async with run_server(tmp_path / "redis", port):
                it.program = it.it.start("adapter", "run")
                # Upstream gives each message once: the one that found no room died with the process.
                it.said.pop(in_memory)
                await it.all_told()
                assert "damaged" not in it.program.text()
                assert await it.program.stop() == 0


@pytest.mark.anyio
@pytest.mark.long
async def test_a_disk_that_others_have_filled_costs_the_next_start_a_scan_and_no_message(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    with small_disk(tmp_path / "state", 512) as disk:
        async with (
            Bus.open(url, "qq") as bus,
            flood(bus, url, tmp_path) as it,
            run_server(tmp_path / "redis", port),
        ):
            await it.it.online(it.program)
            it.say(20)
            await it.all_told()
            filled(disk, 0)
            it.it.sim.renew_ptwebqq()
            it.say(30)
            await it.all_told()
            it.it.sim.drop_session()
            it.say(3)
            await it.all_told()
            await it.logged("cannot save the session")
            assert await it.program.stop() == 0
            it.program = it.it.start("adapter", "run")
            it.say(3)
            await it.all_told()
            assert await it.program.stop() == 0
