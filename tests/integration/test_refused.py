"""Prove that credentials or rights that go wrong while running are an outage, and at the start a wrong setting."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.contract.acl import ROLES, hash_password, setuser_line
from tests.support.helpers import wait_until
from tests.support.system_harness import system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

FRIEND = "friend:10001"


class User:
    """A user that can be taken away and given back."""

    def __init__(self, bus: Bus, role: str) -> None:
        self._bus = bus
        self._role = role
        self.name = f"{bus.keys.prefix}-{role}"

    async def give(self, *more: str) -> None:
        line = setuser_line(
            ROLES[self._role], self._bus.keys.prefix, user=self.name, secret=hash_password("pw")
        )
        await self._bus.client.execute_command("ACL", "SETUSER", *line.split(), *more)  # type: ignore[no-untyped-call]

    async def take(self) -> None:
        await self._bus.client.execute_command("ACL", "DELUSER", self.name)  # type: ignore[no-untyped-call]

    def address(self, url: str, password: str = "pw") -> str:  # noqa: S107 – of a test
        return url.replace("redis://", f"redis://{self.name}:{password}@")


@asynccontextmanager
async def user(bus: Bus, role: str) -> AsyncIterator[User]:
    made = User(bus, role)
    await made.give()
    try:
        yield made
    finally:
        await made.take()


async def test_a_user_that_is_gone_for_a_while_costs_no_event(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with (
        user(bus, "adapter") as adapters,
        user(bus, "worker") as workers,
        system(bus, redis_url, tmp_path) as it,
    ):
        worker = it.start("consumers.echo", REDIS_URL=workers.address(redis_url))
        adapter = await it.adapter(REDIS_URL=adapters.address(redis_url))
        it.sim.say(FRIEND, "before")
        await it.sim.wait_received(1, 30.0)
        await adapters.take()
        await workers.take()
        await wait_until(lambda: "refuses this user" in adapter.text(), "the adapter says so", 30.0)
        for number in range(5):
            it.sim.say(FRIEND, f"meanwhile {number}")
        await wait_until(lambda: "events wait on disk" in adapter.text(), "events wait", 30.0)
        await wait_until(lambda: "retrying" in worker.text(), "the worker waits too", 30.0)
        assert adapter.process.poll() is None
        assert worker.process.poll() is None
        await adapters.give()
        await workers.give()
        events = await it.events(6)
        assert [row["text"] for row in events] == ["before", *(f"meanwhile {number}" for number in range(5))]
        received = await it.sim.wait_received(6, 60.0)
        assert len(received) == 6
        assert await worker.stop() == 0
        assert await adapter.stop() == 0


async def test_a_right_that_is_gone_for_a_while_costs_no_event(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with user(bus, "adapter") as adapters, system(bus, redis_url, tmp_path) as it:
        adapter = await it.adapter(REDIS_URL=adapters.address(redis_url))
        await adapters.give("clearselectors")
        it.sim.say(FRIEND, "hello")
        await wait_until(lambda: "refuses this user" in adapter.text(), "the adapter says so", 30.0)
        await adapters.give()
        [event] = await it.events(1)
        assert event["text"] == "hello"
        assert await adapter.stop() == 0


@pytest.mark.parametrize("case", ["password", "rights"])
async def test_at_the_start_it_is_exit_code_3_and_names_redis(
    bus: Bus, redis_url: str, tmp_path: Path, case: str
) -> None:
    async with user(bus, "adapter") as adapters, system(bus, redis_url, tmp_path) as it:
        if case == "rights":
            await adapters.give("clearselectors")
        url = adapters.address(redis_url, "wrong" if case == "password" else "pw")
        adapter = it.start("adapter", "run", REDIS_URL=url)
        assert await adapter.ended(60.0) == 3
        assert "refuses this user" in adapter.text()
        assert "Traceback" not in adapter.text()
        assert "wrong@" not in adapter.text()
