"""Proof of adapter/ops/dead_letters.py: a redrive reaches the group of its letter alone."""

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter.bus.admin import AdminClient
from adapter.bus.bus import Bus
from adapter.bus.ledger import LETTERS
from adapter.contract.acl import ROLES, setuser_line
from adapter.errors import SchemaError
from adapter.ops.dead_letters import redrive
from consumers.runtime.connection import Settings
from qqbus import Event, Reject, Worker, WorkerOptions
from tests.support.bus_events import Desk, desk_at, message, running
from tests.support.cli import Cli
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio


async def buried(desk: Desk) -> list[str]:
    letters = await desk.client.xrange(desk.key("dead"))
    return [entry.decode() for entry, _ in letters]


@pytest.mark.parametrize("partitioned", [False, True])
async def test_a_redrive_is_delivered_to_its_own_group_alone(
    redis_url: str, prefix: str, *, partitioned: bool
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        had: dict[str, list[int]] = {"good": [], "bad": []}
        refuse = [True]
        options = WorkerOptions(claim_after=3.0, partitioned=partitioned, session_timeout=1.5)
        workers = {name: Worker(name, settings=Settings(redis_url, prefix), options=options) for name in had}

        @workers["good"].on("message")
        async def good(event: Event) -> None:
            had["good"].append(event.delivery)

        @workers["bad"].on("message")
        async def bad(event: Event) -> None:
            had["bad"].append(event.delivery)
            if refuse[0]:
                raise Reject("not today")

        cli = Cli({"REDIS_URL": redis_url, "QQBUS_PREFIX": prefix})
        async with running(workers["good"]), running(workers["bad"]):
            await desk.publish(message("order one"))
            await wait_until(lambda: buried(desk), "buried", 30)
            listed = await cli("dead")
            assert "GROUP" in listed.out
            assert " bad " in listed.out
            assert "order one" in (await cli("dead", "--json", "--group", "bad")).out
            assert (await cli("dead", "--group", "good")).out == "no dead letters\n"
            refuse[0] = False
            done = await cli("dead", "redrive", "--all", "--group", "bad")
            assert (done.code, "group bad alone" in done.out) == (0, True), done
            await wait_until(lambda: len(had["bad"]) == 2, "delivered again at once", 30)
            await wait_until(lambda: desk.all_done("bad"), "handled", 30)
        assert had == {"good": [1], "bad": [1, 1]}
        assert await desk.client.xlen(desk.key("inbound")) == 1
        assert await buried(desk) == []


async def test_a_trimmed_event_is_appended_again_only_to_all(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        worker = Worker("bad", settings=Settings(redis_url, prefix))

        @worker.on("message")
        async def bad(_event: Event) -> None:
            raise Reject("never")

        async with running(worker):
            (entry,) = await desk.publish(message("order one"))
            await wait_until(lambda: buried(desk), "buried", 30)
        await desk.client.xdel(desk.key("inbound"), entry)
        cli = Cli({"REDIS_URL": redis_url, "QQBUS_PREFIX": prefix})
        refused = await cli("dead", "redrive", "--all")
        assert refused.code == 1
        assert f"its entry {entry} is trimmed: --to-all appends" in refused.err
        assert len(await buried(desk)) == 1
        (letter,) = await buried(desk)
        assert json.loads((await cli("dead", "--json")).out)["by"] == "worker"
        refused = await cli("dead", "redrive", "--all", "--to-all")
        assert "a worker wrote the letter" in refused.err
        assert (refused.code, len(await desk.rows("inbound"))) == (1, 0)
        # One that the adapter wrote, as for a poison event.
        await desk.client.hset(desk.key(LETTERS), letter, "1")
        assert json.loads((await cli("dead", "--json")).out)["by"] == "adapter"
        done = await cli("dead", "redrive", "--all", "--to-all")
        assert (done.code, len(await desk.rows("inbound"))) == (0, 1)


@pytest.mark.parametrize("to_all", [False, True])
async def test_a_letter_that_holds_another_event_than_stands_there_is_refused(
    redis_url: str, prefix: str, *, to_all: bool
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        (entry,) = await desk.publish(message("order one"))
        await desk.client.xgroup_create(desk.key("inbound"), "shop", id="0")
        (row,) = await desk.client.xrange(desk.key("inbound"))
        forged = row[1] | {b"text": b"#exit"}
        long = {name: value[:3] if name == b"text" else value for name, value in row[1].items()}
        for fields, clipped in ((forged, ""), (forged, "{}"), ({}, ""), (long, "{}")):
            letter: dict[Any, Any] = {
                "v": "1",
                "stream": desk.key("inbound"),
                "entry": entry,
                "group": "shop",
                "fields": msgpack.packb({name.decode(): value for name, value in fields.items()}),
            }
            await desk.client.xadd(desk.key("dead"), letter | ({"clipped": clipped} if clipped else {}))
        cli = Cli({"REDIS_URL": redis_url, "QQBUS_PREFIX": prefix})
        done = await cli("dead", "redrive", "--all", *(["--to-all"] if to_all else []))
        # One that holds the starts of what stands there is delivered as it stands.
        assert done.out.count("group shop alone") == 1
        assert done.err.count("is another event than the letter holds") == 2
        assert done.err.count("takes no letter back") == 1
        assert (done.code, await desk.client.xlen(desk.key("inbound"))) == (1, 1)


async def test_the_operator_has_the_rights_for_it(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    assert tmp_path
    user = f"op-{bus.keys.prefix}"
    line = setuser_line(ROLES["operator"], bus.keys.prefix, user=user, secret=">pw")
    assert "+xclaim" in line
    async with AdminClient.open(redis_url, bus.keys.prefix) as admin:
        with pytest.raises(SchemaError, match="takes no letter back"):
            await redrive(admin, "1-1", {b"stream": b"elsewhere"})
