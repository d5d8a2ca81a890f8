"""Proof of adapter/outbound/send_job.py and its use in pipeline.py: what expires, and how many attempts are made."""

from pathlib import Path

import pytest

from adapter.bus.bus import Bus, Fence
from adapter.bus.ledger import Asked, InDoubt, Ledger, Started
from adapter.codec.outbound import decode_request
from adapter.content import Text
from adapter.events import Address, ChatKind, Delivery, Outcome, Part, SendRequest, Status
from adapter.outbound.send_job import MAX_ATTEMPTS, NextStep, SendJob, resume_job
from tests.adapter.outbound.test_pipeline import BUDDY, chat_of_friend, has_status
from tests.simulator import Answer
from tests.support.helpers import wait_until
from tests.support.system_harness import System, system
from tests.support.tcp_proxy import Line

pytestmark = pytest.mark.anyio
LONG = "long " * 200
NOW = "0"
SENT = Outcome(Status.SENT, "ok")
LOST = Outcome(Status.UNKNOWN, "upstream.lost")
DENIED = Outcome(Status.FAILED, "upstream.denied", "no")


def a_job(delivery: Delivery = Delivery.AT_LEAST_ONCE, parts: int = 2) -> SendJob:
    request = SendRequest("1-1", "x/1", Address(ChatKind.FRIEND, "1"), (Text("a"),), delivery=delivery)
    made = tuple(Part(f"part {number}", f"1{number}") for number in range(parts))
    return SendJob(request, made, sent=0, attempts=1)


def test_each_outcome_of_a_part_leads_to_one_next_step() -> None:
    job = a_job()
    assert job.apply(None) is NextStep.SUSPEND
    assert (job.sent, job.attempts, job.may_have_sent) == (0, 1, False)
    assert job.apply(LOST) is NextStep.SUSPEND
    assert (job.attempts, job.ambiguous_attempts, job.may_have_sent) == (2, 1, True)
    assert job.apply(SENT) is NextStep.CONTINUE
    assert (job.sent, job.ambiguous_attempts, job.next_part.content) == (1, 0, "part 1")
    assert job.apply(SENT) == SENT
    assert a_job(Delivery.AT_MOST_ONCE).apply(LOST) == LOST
    assert a_job().apply(DENIED) == DENIED


def test_the_attempts_at_one_part_are_bounded_and_a_denial_after_doubt_is_none() -> None:
    job = a_job()
    steps = [job.apply(LOST) for _ in range(MAX_ATTEMPTS)]
    assert steps == [*[NextStep.SUSPEND] * (MAX_ATTEMPTS - 1), LOST]
    job = a_job()
    job.apply(LOST)
    outcome = job.apply(DENIED)
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.code) == (Status.UNKNOWN, "upstream.lost")


def test_a_job_of_the_ledger_keeps_its_message_ids_and_never_goes_back() -> None:
    fresh = a_job()
    taken = resume_job(InDoubt(2, 1, ("7", "8"), "", "-77"), fresh.request, fresh.parts, None)
    assert taken.network_id == "-77"
    assert [part.message_id for part in taken.parts] == ["7", "8"]
    assert (taken.sent, taken.attempts, taken.ambiguous_attempts) == (1, 2, 1)
    # Another split than the earlier process made: its ids do not fit.
    other = resume_job(Started(1, 0, ("7",)), fresh.request, fresh.parts, None)
    assert other.parts == fresh.parts
    # A ledger that came back from before the last progress.
    taken.suspended = True
    assert resume_job(Started(1, 0, ("7", "8")), fresh.request, fresh.parts, taken) is taken
    assert (taken.sent, taken.attempts, taken.suspended) == (1, 2, False)


async def test_of_what_an_earlier_process_began_only_that_expires_of_which_nothing_can_have_left(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        await it.programs[0].stop()
        epoch = int((await bus.hgetall(bus.keys("ids:epoch")))["epoch"])
        ledger, before = Ledger(bus), Fence(epoch + 1, "the process before")
        fields = {b"to": chat.encode(), b"text": LONG.encode()}
        digest = decode_request("1-1", fields, bus.keys.prefix).digest

        def asked(number: int) -> Asked:
            return Asked(f"x/{number}", digest, bus.keys("results"))

        for number, (sent, attempts, suspend) in enumerate(
            [(0, 1, True), (1, 1, True), (0, 2, True), (1, 1, False)]
        ):
            entry = await it.ask(chat, LONG, id=f"x/{number}", expires=NOW)
            await ledger.start(
                before, asked(number), entry, "t", [f"{number}1", f"{number}2"], take_over=False
            )
            await ledger.record_progress(before, f"x/{number}", sent, attempts, suspend=suspend)
        # A repeat of what has ended gets the result that there is.
        done = await it.ask(chat, LONG, id="x/4", expires=NOW)
        result = ["v", "1", "id", "x/4", "entry", "1-1", "status", "sent", "replayed", "0"]
        await ledger.settle(before, asked(4), "1-1", result, remember=True)
        await it.adapter()
        rows = await it.results(6)
        told = {
            row["id"]: (row["status"], row["attempts"], row["parts"])
            for row in rows
            if row["entry"] not in {"1-1", done}
        }
        assert told == {
            "x/0": ("expired", "0", "0/0"),
            "x/1": ("sent", "1", "2/2"),
            "x/2": ("sent", "2", "2/2"),
            "x/3": ("unknown", "1", "1/2"),
        }
        (again,) = [row for row in rows if row["entry"] == done]
        assert (again["status"], again["replayed"]) == ("sent", "1")
        assert len(it.sim.received) == 3


async def test_attempts_are_counted_on_where_the_session_ends_between_them(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path, new_uins="always") as it:
        await it.online(it.start("tests.chaos.fast_timeouts", "run"))
        chat = await chat_of_friend(it)
        dead, lost = Answer(json={"retcode": 100001}), Answer(cut="after")
        it.sim.next_answer(BUDDY, lost, dead, lost, dead, lost, lost)
        await it.ask(chat, "hello", id="x/1", delivery="at-least-once")
        for tries in (2, 4):
            await it.sim.wait_requests(BUDDY, tries)
            it.sim.network.sessions.end(100001)
        (result,) = await it.results(1)
        assert (result["status"], result["attempts"]) == ("unknown", "3")
        codes = [request.code for request in it.sim.requests if request.path == BUDDY]
        assert [code == 100001 for code in codes] == [False, True, False, True, False]


async def test_each_part_has_its_own_attempts(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        lost, sent = Answer(cut="after"), Answer(json={"retcode": 0})
        it.sim.next_answer(BUDDY, *(answer for _ in range(3) for answer in (lost, sent)))
        await it.ask(chat, LONG * 2, id="x/1", delivery="at-least-once")
        (result,) = await it.results(1)
        assert (result["status"], result["parts"], result["attempts"]) == ("sent", "3/3", "4")


async def test_a_denial_after_an_attempt_that_may_have_arrived_is_no_failure(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        chat = await chat_of_friend(it)
        it.sim.next_answer(BUDDY, Answer(cut="after"), Answer(json={"errCode": -3, "errMsg": "ERROR"}))
        await it.ask(chat, "hello", id="x/1", delivery="at-least-once")
        (result,) = await it.results(1)
        assert (result["status"], result["code"], result["attempts"]) == ("unknown", "upstream.lost", "2")
        assert "upstream.denied" in result["detail"]


async def test_the_same_id_for_another_chat_waits_for_the_result_and_holds_nobody(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter(QQBUS_SEND_INTERVAL="0.3")
        for sender in ("friend:10001", "friend:20002", "group:123456789"):
            it.sim.say(sender, "hi")
        one, other, third = (row["chat"] for row in (await it.events(3))[:3])
        await it.ask(one, LONG, id="x/1")
        await it.sim.wait_received(1)
        twin = await it.ask(other, LONG, id="x/1")
        await it.ask(third, "not held", id="x/2")
        rows = {row["entry"]: row for row in await it.results(3)}
        assert (rows[twin]["status"], rows[twin]["code"]) == ("rejected", "id.conflict")
        assert sorted(row["status"] for row in rows.values()) == ["rejected", "sent", "sent"]
        assert len(it.sim.received) == 3


async def dark(it: System, **settings: str) -> tuple[Line, str]:
    """Open a connection that can be closed, an adapter online through it, and the chat of the friend."""
    line = Line(int(it.sim.url.rpartition(":")[2]))
    await line.open()
    await it.online(it.start("tests.chaos.fast_timeouts", "run", QQBUS_SMARTQQ_URL=line.url, **settings))
    chat = await chat_of_friend(it)
    await it.sim.wait_poll()
    return line, chat


@pytest.mark.long
async def test_what_was_begun_and_could_not_leave_expires_while_there_is_no_session(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        line, chat = await dark(it)
        line.close()
        await it.ask(chat, "into the dark", id="x/1", expires="2")
        await has_status(it, "state", "offline")
        await it.ask(chat, "waits like all others", id="x/2", expires="2")
        assert {row["id"]: row["status"] for row in await it.results(2)} == {
            "x/1": "expired",
            "x/2": "expired",
        }
        assert it.sim.received == []


async def one_has_left(it: System, *, suspended: bool) -> bool:
    known = await it.bus.hgetall(it.bus.keys.ledger("x/1"))
    return known.get("sent") == b"1" and ("token" not in known) is suspended


@pytest.mark.long
async def test_the_rest_of_what_has_left_in_part_waits_for_a_session_beyond_its_time(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path, poll_seconds=60.0) as it:
        line, chat = await dark(it, QQBUS_SEND_INTERVAL="1")
        await it.ask(chat, LONG, id="x/1", expires="2")
        await wait_until(lambda: one_has_left(it, suspended=False), "the ledger knows of the first part")
        line.close()
        await has_status(it, "state", "offline")
        await it.ask(chat, "behind it", id="x/2", expires="3")
        assert (await it.results(1))[0]["id"] == "x/2"
        await wait_until(lambda: one_has_left(it, suspended=True), "the rest is given back")
        await line.open()
        rows = await it.results(2)
        assert [(row["id"], row["status"], row["parts"]) for row in rows] == [
            ("x/2", "expired", "0/0"),
            ("x/1", "sent", "2/2"),
        ]
        line.close()
