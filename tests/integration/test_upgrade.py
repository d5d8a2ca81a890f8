"""Prove that state folders and Redis data of commit 0dcdfc0 are taken over: nothing lost, nothing doubled.

`tests/data/upgrade` was made by tests/support/make_upgrade_fixture.py. The adapters run as processes, and
the test reads Redis: it knows keys, fields and settings, and no module of the adapter.
"""

import json
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis

from tests.simulator import Simulator
from tests.support.helpers import clean_environment, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

DATA = Path(__file__).parents[1] / "data" / "upgrade"
LIN = "friend:10001"
# Seconds: what had a time to live begins it anew, however old the fixture is.
TTL = 86_400
PATIENCE = 40.0


@dataclass
class Site:
    """Everything that the former version left, and what runs on it now."""

    client: "redis.Redis"
    prefix: str
    sim: Simulator
    folder: Path
    settings: dict[str, str]
    manifest: dict[str, Any]

    def key(self, name: str) -> str:
        return f"{self.prefix}:{name}"

    @contextmanager
    def adapter(self, state: str) -> Iterator["subprocess.Popen[bytes]"]:
        """One adapter on this state folder; it ends as an init system would end it."""
        environment = clean_environment(**self.settings, QQBUS_STATE_DIR=str(self.folder / state))
        line = [sys.executable, "-m", "adapter", "run"]
        with (self.folder / f"{state}.log").open("ab") as log:
            process = subprocess.Popen(
                line, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(20)
            finally:
                process.kill()
        assert code == 0, self.log(state)

    def log(self, state: str) -> str:
        return (self.folder / f"{state}.log").read_text(encoding="utf-8", errors="replace")

    async def rows(self, stream: str) -> list[dict[str, str]]:
        found: Any = await self.client.xrange(self.key(stream))
        return [
            {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
            for _, fields in found
        ]

    async def is_online(self, process: "subprocess.Popen[bytes]", state: str) -> bool:
        assert process.poll() is None, self.log(state)
        status: Any = await self.client.hgetall(self.key("status"))
        return status[b"state"] == b"online" and f":{process.pid}:".encode() in status[b"holder"]

    async def events(self) -> Counter[str]:
        return Counter(row["id"] for row in await self.rows("inbound"))

    async def results(self) -> dict[str, list[list[str]]]:
        """Name, status and code of each result, by entry."""
        found: dict[str, list[list[str]]] = {}
        for stream in ("results", "results:app"):
            for row in await self.rows(stream):
                found.setdefault(row["entry"], []).append([row["id"], row["status"], row["code"]])
        return found

    async def arrives(self, text: str) -> dict[str, str]:
        """Let a friend say something new; returns its entry."""
        self.sim.say(LIN, text)

        async def row() -> dict[str, str] | None:
            return next((row for row in await self.rows("inbound") if row["text"] == text), None)

        found: dict[str, str] = await wait_until(row, f"{text!r} is on the bus", PATIENCE)
        return found


@asynccontextmanager
async def upgraded(redis_url: str, prefix: str, folder: Path) -> AsyncIterator[Site]:
    """Unpack the fixture: state folders, Redis data under the prefix, a simulator that knows the login."""
    manifest = json.loads((DATA / "manifest.json").read_text(encoding="utf-8"))
    with tarfile.open(DATA / "state.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    async with (
        Simulator(poll_seconds=5.0, scan_after=0, drop_repeats=True) as sim,
        redis.Redis.from_url(redis_url) as client,
    ):
        sim.resume(manifest["simulator"])
        for command in json.loads((folder / "redis.json").read_text(encoding="ascii")):
            await client.execute_command(*[word(one, prefix) for one in command])  # type: ignore[no-untyped-call]
        for key in manifest["expiring"]:
            assert await client.expire(word(key, prefix), TTL)
        settings = {
            "REDIS_URL": redis_url,
            "QQBUS_PREFIX": prefix,
            "QQBUS_SMARTQQ_URL": sim.url,
            "QQBUS_SEND_INTERVAL": "0",
            "QQBUS_HTTP": "off",
            "QQBUS_LEASE": "2",
        }
        yield Site(client, prefix, sim, folder, settings, manifest)


def word(text: str, prefix: str) -> bytes:
    """Return a word of a command as it was, but for the prefix of keys."""
    moved = f"{prefix}:{text[3:]}" if text.startswith("qq:") else text
    return moved.encode(errors="surrogateescape")


@pytest.mark.parametrize("first", ["holder", "former"])
async def test_what_the_former_version_left_is_neither_lost_nor_doubled(
    redis_url: str, prefix: str, tmp_path: Path, first: str
) -> None:
    """`first`: the folder whose adapter gets the lease; the other one stands by with what it has on disk."""
    second = {"holder": "former", "former": "holder"}[first]
    async with upgraded(redis_url, prefix, tmp_path) as site:
        told = site.manifest
        left = [one for place in ("spooled", "staged", "former", "late") for one in told[place]]
        known = [name for name, _ in told["published"]]
        assert await site.events() == Counter(known)
        with ExitStack() as running:
            holder = running.enter_context(site.adapter(first))
            await wait_until(lambda: site.is_online(holder, first), f"{first} is online", PATIENCE)
            asks = any(entry.path.endswith("/ptqrshow") for entry in site.sim.requests)
            assert asks == (first == "former"), "the login that was alive is as good as before"
            running.enter_context(site.adapter(second))

            async def is_done() -> bool:
                assert holder.poll() is None, site.log(first)
                events, results = await site.events(), await site.results()
                return {*left} <= {*events} and {*told["results"]} <= {*results}

            await wait_until(is_done, "all events and all results are there", PATIENCE)
            row = await site.arrives("said after the upgrade")
            assert row["chat"] == told["chats"][LIN], "ids of chats outlive the upgrade"
        # Once more, now that everything is on the bus: what still stands on a disk is recognised there.
        with site.adapter(second) as process:
            await wait_until(lambda: site.is_online(process, second), f"{second} is online", PATIENCE)
            await site.arrives("said after a restart")
        await complete(site, known + left)


async def complete(site: Site, expected: list[str]) -> None:
    """Everything of the manifest has come exactly once."""
    told, events = site.manifest, await site.events()
    rows = await site.rows("inbound")
    assert {name: events[name] for name in expected} == dict.fromkeys(expected, 1)
    assert {*events.values()} == {1}
    # Also under other ids nothing comes twice.
    people = Counter(row["text"] for row in rows if row["type"].startswith("message."))
    assert people == Counter([*told["texts"], "said after the upgrade", "said after a restart"])
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
    assert not await site.client.exists(site.key("ids:late"))

    results = await site.results()
    assert {entry: results[entry] for entry in told["results"]} == {
        entry: [result] for entry, result in told["results"].items()
    }
    assert sum(map(len, results.values())) == told["settled"] + len(told["results"])
    pending: Any = await site.client.xpending(site.key("outbound"), "adapter")
    assert pending["pending"] == 0
    assert Counter(message.text for message in site.sim.received) == Counter(told["utterances"])

    # The workers' groups: what was pending still is, and what was not read comes once.
    waiting: Any = await site.client.xpending_range(site.key("inbound"), "echo", "-", "+", 10)
    assert [row["message_id"].decode() for row in waiting] == told["pending"]
    unread: Any = await site.client.xreadgroup("echo", "worker", {site.key("inbound"): ">"})
    (_, entries) = unread[0]
    assert [fields[b"id"].decode() for _, fields in entries] == [row["id"] for row in rows[5:]]
