"""Proof of adapter/outbound/settlement.py and of what waits for it: the order of results, and nothing before its turn."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.codec.inbound import timestamp
from tests.adapter.outbound.test_pipeline import BUDDY, chat_of_friend
from tests.chaos.line import Line as RedisLine
from tests.simulator import Answer
from tests.support.helpers import wait_until
from tests.support.system_harness import Program, System, system
from tests.support.tcp_proxy import Sieve

pytestmark = pytest.mark.anyio


async def test_what_ends_the_process_each_time_is_not_begun_for_ever(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        for ident, attempts in (("x/9", 9), ("x/10", 10)):
            before = {"state": "begun", "entry": "1-1", "token": "dead/1", "attempts": attempts, "sent": 0}
            await bus.client.hset(bus.keys.ledger(ident), mapping=before | {"messages": "", "total": 1})
            await it.ask(chat, f"hello {ident}", id=ident, delivery="at-least-once")
        rows = {row["id"]: row for row in await it.results(2)}
        assert (rows["x/9"]["status"], rows["x/9"]["attempts"]) == ("sent", "10")
        assert (rows["x/10"]["status"], rows["x/10"]["code"]) == ("unknown", "crash")
        assert rows["x/10"]["attempts"] == "10"
        assert [message.text for message in it.sim.received] == ["hello x/9"]


async def test_nothing_leaves_while_the_result_before_it_waits_for_redis(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it, RedisLine(int(redis_url.rpartition(":")[2])) as line:
        await it.adapter(REDIS_URL=f"redis://127.0.0.1:{line.port}", QQBUS_LEASE="60")
        chat = await chat_of_friend(it)
        it.sim.next_answer(BUDDY, Answer(delay=1.0))
        for number in range(3):
            await it.ask(chat, f"say {number}", id=f"s/{number}")
        await it.sim.wait_delayed(BUDDY)
        await line.cut()
        await it.sim.wait_received(1)
        it.sim.say("friend:20002", "the adapter goes on")
        await it.sim.wait_poll()
        assert [message.text for message in it.sim.received] == ["say 0"]
        await line.mend()
        assert [(row["id"], row["status"]) for row in await it.results(3)] == [
            ("s/0", "sent"),
            ("s/1", "sent"),
            ("s/2", "sent"),
        ]
        assert [message.text for message in it.sim.received] == ["say 0", "say 1", "say 2"]


@asynccontextmanager
async def one_unsettled(
    it: System, redis_url: str, lasts: float | None = None
) -> AsyncIterator[tuple[Program, Sieve]]:
    """Send a request that cannot be settled, and start the next of its chat: `s/0` and `s/1`.

    `lasts`: the seconds after which the next one expires.
    """
    async with Sieve(int(redis_url.rpartition(":")[2])) as sieve:
        program = await it.adapter(REDIS_URL=sieve.redis_url, QQBUS_LEASE="60")
        chat = await chat_of_friend(it)
        sieve.hold(b"replayed")  # in every result, and nowhere else
        await it.ask(chat, "say 0", id="s/0")
        expires = {} if lasts is None else {"expires": timestamp(time.time() + lasts)}
        await it.ask(chat, "say 1", id="s/1", **expires)

        async def begun() -> bool:
            return bool(await it.bus.client.exists(it.bus.keys.ledger("s/1")))

        await wait_until(begun, "the next one is begun")
        await wait_until(lambda: sieve.held, "the result is on its way")
        assert [message.text for message in it.sim.received] == ["say 0"]
        yield program, sieve


async def test_nothing_leaves_before_what_was_sent_is_settled(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it, one_unsettled(it, redis_url) as (_, sieve):
        sieve.release()
        rows = [(row["id"], row["status"]) for row in await it.results(2)]
        assert rows == [("s/0", "sent"), ("s/1", "sent")]
        assert [message.text for message in it.sim.received] == ["say 0", "say 1"]


async def test_what_runs_out_while_the_one_before_it_is_settled_is_not_sent(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it, one_unsettled(it, redis_url, 3.0) as (_, sieve):
        end = time.time() + 3.0
        await wait_until(lambda: time.time() > end, "its time has run out")
        sieve.release()
        rows = [(row["id"], row["status"]) for row in await it.results(2)]
        assert rows == [("s/0", "sent"), ("s/1", "expired")]
        assert [message.text for message in it.sim.received] == ["say 0"]


async def test_what_redis_has_forgotten_meanwhile_is_written_down_again_before_it_leaves(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it, one_unsettled(it, redis_url) as (_, sieve):
        it.sim.next_answer(BUDDY, Answer(delay=0.5))
        await bus.client.delete(bus.keys.ledger("s/1"))  # a server without its tail
        sieve.cut()
        sieve.release()
        await it.sim.wait_delayed(BUDDY)
        assert await bus.client.hget(bus.keys.ledger("s/1"), "state") == b"begun"
        assert [row["status"] for row in await it.results(2)] == ["sent", "sent"]


async def test_nothing_leaves_behind_a_result_that_cannot_be_written_at_all(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it, one_unsettled(it, redis_url) as (program, sieve):
        await bus.client.set(bus.keys("results"), "not a stream")
        sieve.release()
        words = f"{bus.keys('results')} is a string, not a stream"
        await wait_until(lambda: words in program.text(), "the alarm names the key", 60.0)
        assert [message.text for message in it.sim.received] == ["say 0"]
        assert program.process.poll() is None
        await bus.client.delete(bus.keys("results"))
        assert [row["status"] for row in await it.results(2, 60.0)] == ["sent", "sent"]
        assert [message.text for message in it.sim.received] == ["say 0", "say 1"]


async def test_whoever_may_not_settle_does_not_send_either(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it, one_unsettled(it, redis_url) as (program, sieve):
        await bus.client.hset(bus.keys("ids:epoch"), mapping={"epoch": 99, "holder": "another"})
        sieve.cut()
        sieve.release()
        await wait_until(lambda: "standing by" in program.text(), "it stands by")
        assert [message.text for message in it.sim.received] == ["say 0"]


async def test_another_request_under_the_id_of_one_neither_takes_nor_reads_its_result(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        chat, bank, evil = await chat_of_friend(it), bus.keys("results:bank"), bus.keys("results:evil")
        await it.ask(chat, "pay", id="bank/1", results=bank)
        (paid,) = await it.results(1, stream="results:bank")
        await it.ask(chat, "do not pay", id="bank/1", results=evil)
        await it.ask(chat, "pay", id="bank/1", results=evil, delivery="at-least-once")
        # Content that cannot be sent: the ledger keeps the first result.
        image = '{"segments": [{"type": "image", "data": {"file": "x"}}]}'
        await bus.client.xadd(
            bus.keys("outbound"), {"to": chat, "body": image, "id": "bank/1", "results": evil}
        )
        rows = await it.results(3, stream="results:evil")
        assert {(row["status"], row["code"], row["id"]) for row in rows} == {
            ("rejected", "id.conflict", "bank/1")
        }
        assert {row["reason"] for row in await it.rows("dead")} == {"id.conflict"}
        # The very same request: its answer goes to the stream of the first asker, also after a restart.
        await it.ask(chat, "pay", id="bank/1", results=evil)
        await it.results(2, stream="results:bank")
        assert await program.stop() == 0
        await it.adapter()
        await it.ask(chat, "pay", id="bank/1", results=evil)
        again = (await it.results(3, stream="results:bank"))[1:]
        assert [(row["status"], row["replayed"], row["message_id"]) for row in again] == [
            ("sent", "1", paid["message_id"])
        ] * 2
        assert len(await it.rows("results:evil")) == 3
        assert [message.text for message in it.sim.received] == ["pay"]


async def test_an_id_belongs_to_the_first_request_though_its_chat_waits(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        it.sim.next_answer(BUDDY, Answer(delay=1.0))
        await it.ask(chat, "slow", id="x/0")
        await it.sim.wait_delayed(BUDDY)
        first = await it.ask(chat, "mine", id="x/1")
        second = await it.ask("friend:99", "mine", id="x/1", priority="high")
        rows = {row["entry"]: row for row in await it.results(3)}
        assert rows[second]["code"] == "id.conflict"
        assert rows[first]["status"] == "sent"
        # Behind a request that is in conflict itself the repeat gets its result.
        await it.ask(chat, "another", id="x/1")
        again = await it.ask(chat, "mine", id="x/1")
        rows = {row["entry"]: row for row in await it.results(5)}
        assert (rows[again]["status"], rows[again]["replayed"]) == ("sent", "1")
        assert [message.text for message in it.sim.received] == ["slow", "mine"]


async def test_a_conflict_is_seen_though_redis_forgot_the_ledger(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        await it.ask(chat, "one", id="x/1")
        await it.results(1)
        await bus.client.delete(bus.keys.ledger("x/1"))
        await it.ask(chat, "two", id="x/1")
        assert (await it.results(2))[1]["code"] == "id.conflict"
        assert [message.text for message in it.sim.received] == ["one"]
