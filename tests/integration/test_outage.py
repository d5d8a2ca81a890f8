"""Redis is away for long: thousands of batches wait on disk, and whoever is killed while they drain loses none."""

import random
from pathlib import Path

import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from adapter.bus.spool.log import HEADER
from adapter.failpoints import Failpoint
from tests.support.helpers import wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(400)]

FRIEND = "friend:10001"
BATCHES = 10_000
KILLS = 8
# Longer than a start, shorter than patience.
LEASE = "1"


async def said(it: System, first: int, count: int) -> None:
    """So many messages, each in a poll of its own, until all of them are on disk."""
    for number in range(first, first + count):
        it.sim.say(FRIEND, f"m{number}")
    await wait_until(lambda: it.sim.queued == 0, "all was polled", 150)
    # The poll behind the last one: what came before it is on disk by then.
    await it.sim.wait_poll(60)


async def away(program: Program) -> None:
    """Wait until the adapter has noticed that Redis is away."""
    await wait_until(lambda: "events wait on disk" in program.text(), "events wait on disk", 20)


async def texts(it: System) -> list[str]:
    """Return what the friend said, as it is on the bus; the numbers must have no hole."""
    rows = await it.rows("inbound")
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
    return [row["text"] for row in rows if row["type"] == "message.friend"]


async def length(it: System) -> int:
    return int(await it.bus.client.xlen(it.bus.keys("inbound")))


async def grown(it: System, by: int) -> None:
    """Wait until so many more are on the bus."""
    want = await length(it) + by

    async def enough() -> bool:
        return await length(it) >= want

    await wait_until(enough, f"{want} events on the bus", 60)


async def killed(it: System, program: Program, chance: random.Random) -> Program:
    """Kill it while it drains, and start the next one, which is killed at its step in its turn."""
    # One that drains is seldom asleep: a signal from outside hits it between any two instructions.
    await grown(it, chance.randrange(1, 300))
    program.process.kill()
    await program.ended()
    step = chance.choice((Failpoint.APPENDED, Failpoint.ADVANCED))
    program = it.start("tests.chaos.crash", step.value, str(chance.randrange(1, 900)), "armed", "run")
    assert await program.ended(60) == -9, program.text()
    return it.start("adapter", "run")


async def test_ten_thousand_batches_drain_in_order_once_while_adapters_are_killed(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    chance = random.Random(11)
    async with Bus.open(url, "qq") as bus, system(bus, url, tmp_path, max_batch=1) as it:
        it.settings["QQBUS_LEASE"] = LEASE
        async with run_server(tmp_path / "redis", port):
            program = await it.adapter()
        await away(program)
        await said(it, 0, BATCHES)
        async with run_server(tmp_path / "redis", port):
            for _ in range(KILLS // 2):
                program = await killed(it, program, chance)
            assert await length(it) < BATCHES, "it was killed in the middle of the drain"
            it.sim.say(FRIEND, f"m{BATCHES}")

            async def drained() -> bool:
                return await length(it) > BATCHES and f"m{BATCHES}" in await texts(it)

            await wait_until(drained, "all is on the bus", 120)
            assert await texts(it) == [f"m{number}" for number in range(BATCHES + 1)]
            assert await program.stop() == 0


async def killed_with(it: System, data: Path, port: int, count: int) -> None:
    """Start an adapter, kill it while this number of messages waits on its disk."""
    it.settings["QQBUS_LEASE"] = LEASE
    async with run_server(data, port):
        program = await it.adapter()
    await away(program)
    await said(it, 0, count)
    program.process.kill()
    await program.ended()


async def test_what_a_killed_adapter_left_comes_before_what_its_successor_hears(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    async with Bus.open(url, "qq") as bus, system(bus, url, tmp_path, max_batch=1) as it:
        await killed_with(it, tmp_path / "redis", port, 2_000)
        async with run_server(tmp_path / "redis", port):
            # Another adapter has the lease for long enough.
            await bus.client.set(bus.keys("lease"), "another", px=60_000)
            program = it.start("adapter", "run")

            async def appended() -> bool:
                return await length(it) > 2_000

            await wait_until(appended, "what waited is appended", 30)
            program.process.kill()
            await program.ended()
            it.sim.say(FRIEND, "m2000")
            await bus.client.delete(bus.keys("lease"))
            successor = it.start("adapter", "run", state="another")

            async def drained() -> bool:
                return "m2000" in await texts(it) and await length(it) > 2_000

            await wait_until(drained, "all is on the bus", 120)
            assert await texts(it) == [f"m{number}" for number in range(2_001)]
            assert await successor.stop() == 0


async def test_a_byte_flipped_while_batches_wait_costs_that_batch_and_is_told(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    async with Bus.open(url, "qq") as bus, system(bus, url, tmp_path, max_batch=1) as it:
        await killed_with(it, tmp_path / "redis", port, 500)
        flip(tmp_path / "state" / "spool", "m250")
        async with run_server(tmp_path / "redis", port):
            program = await it.adapter()

            async def drained() -> bool:
                return "m499" in await texts(it)

            await wait_until(drained, "all is on the bus", 30)
            assert await texts(it) == [f"m{number}" for number in range(500) if number != 250]
            await told_of_damage(it, program)
            assert await program.stop() == 0


async def told_of_damage(it: System, program: Program) -> None:
    """Check that the log names it and that workers hear of a gap from the last sound event on."""

    async def gaps() -> list[dict[bytes, bytes]]:
        rows = await it.bus.client.xrange(it.bus.keys("inbound"))
        bodies = [msgpack.unpackb(f[b"body"]) for _, f in rows if f[b"type"] == b"session.gap"]
        return [body for body in bodies if body["reason"] == "the spool was damaged"]

    await wait_until(gaps, "the workers are told")
    assert "the spool was damaged" in program.text()
    (gap,) = await gaps()
    assert gap["since"] < gap["until"]


async def test_a_byte_flipped_under_a_running_adapter_is_told_too(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    async with Bus.open(url, "qq") as bus, system(bus, url, tmp_path, max_batch=1) as it:
        async with run_server(tmp_path / "redis", port):
            program = await it.adapter()
        await away(program)
        await said(it, 0, 500)
        flip(tmp_path / "state" / "spool", "m250")
        async with run_server(tmp_path / "redis", port):

            async def drained() -> bool:
                return "m499" in await texts(it)

            await wait_until(drained, "all is on the bus", 30)
            assert await texts(it) == [f"m{number}" for number in range(500) if number != 250]
            await told_of_damage(it, program)
            assert await program.stop() == 0


def flip(folder: Path, text: str) -> None:
    """Flip a bit of the only frame that holds this text."""
    (file,) = folder.glob("*.spool")
    data = bytearray(file.read_bytes())
    found = data.index(text.encode())
    assert found > HEADER.size
    data[found] ^= 0x01
    file.write_bytes(data)
