"""Prove that the adapter keeps its memory and its work whatever a worker writes, also while a page is open."""

import random
import subprocess
import sys
from pathlib import Path

import anyio
import httpx
import pytest
from redis.exceptions import ResponseError

from adapter.bus.bus import Bus
from adapter.contract.acl import ROLES, hash_password, setuser_line
from adapter.outbound.intake import MAX_KNOWN
from tests.chaos.hostile import MOST_MB, peak_mb
from tests.support import ROOT
from tests.support.helpers import BEARER, wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(600)]

MB = 1024 * 1024
ATTACK_SECONDS = 60.0
# Megabytes of the memory limit in our compose files.
CONTAINER_MB = 512
FRIEND = "friend:10001"
# On the server alone: 320 MB take long on their way.
READ_EIGHT = """
for _ = 1, 8 do
  redis.call('XREADGROUP', 'GROUP', 'adapter', 'adapter', 'COUNT', 1, 'STREAMS', KEYS[1], '>')
end
"""


async def make_worker(bus: Bus, redis_url: str, name: str) -> str:
    """Make a user with the role `worker`; returns its address."""
    line = setuser_line(ROLES["worker"], bus.keys.prefix, user=name, secret=hash_password("pw"))
    await bus.client.execute_command("ACL", "SETUSER", *line.split())  # type: ignore[no-untyped-call]
    return redis_url.replace("redis://", f"redis://{name}:pw@")


async def follow_page(port: int) -> None:
    """Keep a page open, as a browser does: it connects again."""
    while True:
        async with httpx.AsyncClient(trust_env=False, headers=BEARER, timeout=30.0) as http:
            try:
                async with http.stream("GET", f"http://127.0.0.1:{port}/api/stream") as answer:
                    async for _ in answer.aiter_raw():
                        pass
            except httpx.HTTPError:
                await anyio.sleep(0.2)


def limit_mb(pid: int) -> int:
    """Return how much memory a process may have, in megabytes."""
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    return int(limits.partition("Max data size")[2].split()[0]) // MB


async def still_works(it: System, program: Program, text: str) -> None:
    """Check that an event comes and is answered, with the process that began."""
    before = len(it.sim.received)
    it.sim.say(FRIEND, text)

    async def published() -> str:
        rows = await it.rows("inbound")
        return next((row["chat"] for row in rows if row["text"] == text), "")

    chat = await wait_until(published, "the event is published", 60.0)

    async def asked() -> bool:
        try:
            await it.ask(chat, f"re: {text}", id=f"good/{before}", priority="high")
        except ResponseError:  # the neighbour has just used up the ids: the adapter heals them within seconds
            return False
        return True

    await wait_until(asked, "the request is written", 60.0)
    await wait_until(lambda: len(it.sim.received) > before, "the answer is sent", 120.0)
    assert program.process.poll() is None


async def test_a_hostile_neighbour_beside_an_open_page(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    name, port = f"{bus.keys.prefix}-w", free_port()
    url = await make_worker(bus, redis_url, name)
    async with system(bus, redis_url, tmp_path) as it, anyio.create_task_group() as tasks:
        program = await it.adapter(QQBUS_HTTP=f"127.0.0.1:{port}")
        tasks.start_soon(follow_page, port)
        await still_works(it, program, "before")
        line = [sys.executable, "-m", "tests.chaos.hostile", url, "14", bus.keys.prefix]
        with subprocess.Popen(line, cwd=ROOT) as hostile:  # noqa: ASYNC220 – it starts at once
            try:
                for number in range(int(ATTACK_SECONDS // 10)):
                    await anyio.sleep(10)  # the attack takes its time
                    await still_works(it, program, f"during {number}")
            finally:
                hostile.kill()
        assert peak_mb(program.process.pid) < MOST_MB
        tasks.cancel_scope.cancel()
    await bus.client.execute_command("ACL", "DELUSER", name)  # type: ignore[no-untyped-call]
    await bus.client.unlink(*[key async for key in bus.client.scan_iter(f"{bus.keys.prefix}:*")])


async def test_a_backlog_of_many_chats_and_of_long_nonsense(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        await bus.client.xadd(bus.keys("control"), {"cmd": "pause"})
        await wait_until(lambda: "command pause" in program.text(), "sends are held", 30.0)
        # An error keeps the frames that raised it, and they the fields.
        for start in range(0, 4_000, 200):
            async with bus.client.pipeline(transaction=False) as pipe:
                for number in range(start, start + 200):
                    pipe.xadd(bus.keys("outbound"), {"to": "x", "id": f"n/{number}", "text": "x" * 60_000})
                await pipe.execute()
        for start in range(0, MAX_KNOWN + 2_000, 2_000):
            async with bus.client.pipeline(transaction=False) as pipe:
                for number in range(start, start + 2_000):
                    fields = {"to": f"temp:{number}@group:{number}", "text": "hello", "cause": "c" * 200}
                    pipe.xadd(
                        bus.keys("outbound"), fields | {"id": f"{number}/{number:0100}", "expires": "9999"}
                    )
                await pipe.execute()

        async def has_read() -> bool:
            return await bus.pending_count("outbound") >= MAX_KNOWN

        await wait_until(has_read, "all that may be known is known", 240.0)
        await it.results(4_000, 120.0)
        assert peak_mb(program.process.pid) < MOST_MB
        assert program.process.poll() is None
    await bus.client.unlink(*[key async for key in bus.client.scan_iter(f"{bus.keys.prefix}:*")])


async def test_it_recovers_within_the_memory_of_a_small_container(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    name, port = f"{bus.keys.prefix}-w", free_port()
    url = await make_worker(bus, redis_url, name)
    async with system(bus, redis_url, tmp_path) as it, anyio.create_task_group() as tasks:
        program = await it.adapter()
        await still_works(it, program, "before")
        await it.results(1, 60.0)
        program.process.kill()
        program.process.wait()
        chance = random.Random(14)
        async with Bus.open(url, bus.keys.prefix) as worker:
            for number in range(16):
                body = chance.randbytes(MB) * 40
                await worker.client.xadd(
                    bus.keys("outbound"), {"to": FRIEND, "id": f"a/{number}", "body": body}
                )
                await worker.client.xadd(bus.keys("dead"), {"stream": "x", "detail": body[: 8 * MB]})
        # All are pending, as after a crash that they caused.
        await bus.client.eval(READ_EIGHT, 1, bus.keys("outbound"))
        program = it.start(
            "tests.chaos.limited_memory", str(CONTAINER_MB), "run", QQBUS_HTTP=f"127.0.0.1:{port}"
        )
        await it.online(program)
        assert limit_mb(program.process.pid) == CONTAINER_MB
        tasks.start_soon(follow_page, port)
        results = await it.results(17, 240.0)
        assert sorted(row["status"] for row in results) == ["rejected"] * 16 + ["sent"]
        await still_works(it, program, "after")
        assert peak_mb(program.process.pid) < MOST_MB
        tasks.cancel_scope.cancel()
    await bus.client.execute_command("ACL", "DELUSER", name)  # type: ignore[no-untyped-call]
    await bus.client.unlink(*[key async for key in bus.client.scan_iter(f"{bus.keys.prefix}:*")])
