"""Proof of adapter/bus/ledger.py and its scripts."""

import pytest

from adapter.bus import ledger as ledgers
from adapter.bus.bus import Bus, Fence
from adapter.bus.ledger import Asked, Completed, Conflict, InDoubt, Ledger, Rejection, Started
from adapter.errors import BusUnavailable, Fenced

pytestmark = pytest.mark.anyio
A = Fence(1, "a")
RESULT = ["v", "1", "id", "x/1", "status", "sent"]


def one(bus: Bus, ident: str = "x/1", digest: str = "d", results: str = "results") -> Asked:
    return Asked(ident, digest, bus.keys(results))


async def asked(bus: Bus) -> str:
    """Add an entry and read it as the adapter does."""
    await bus.ensure_group("outbound")
    entry: bytes = await bus.client.xadd(bus.keys("outbound"), {"to": "group:5"})
    await bus.read_new("outbound", 1)
    return entry.decode()


async def results(bus: Bus, name: str = "results") -> list[dict[bytes, bytes]]:
    return [dict(fields) for _, fields in await bus.client.xrange(bus.keys(name))]


async def test_a_request_is_begun_once_and_done_once(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    begun = await ledger.start(A, one(bus), entry, "t1", ["11", "12"], take_over=False)
    assert begun == Started(1, 0, ("11", "12"), bus.keys("results"))
    # The same call again, its answer having been lost: the same answer.
    assert await ledger.start(A, one(bus), entry, "t1", ["11", "12"], take_over=False) == begun
    assert await ledger.settle(A, one(bus), entry, RESULT, remember=True)
    assert not await ledger.settle(A, one(bus), entry, RESULT, remember=True)
    assert await results(bus) == [{b"v": b"1", b"id": b"x/1", b"status": b"sent"}]
    assert await bus.read_pending("outbound", "0", 1) == []
    assert await ledger.start(A, one(bus), "9-9", "t2", ["13"], take_over=False) == Completed(
        tuple(RESULT), bus.keys("results")
    )


async def test_what_a_crash_left_is_found_and_taken_up_only_on_demand(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await ledger.start(A, one(bus), entry, "t1", ["11", "12", "13"], take_over=False)
    await ledger.record_progress(A, "x/1", 2, 1)
    left = await ledger.start(A, one(bus), entry, "t2", ["21", "22", "23"], take_over=False)
    assert left == InDoubt(1, 2, ("11", "12", "13"), bus.keys("results"))
    taken = await ledger.start(A, one(bus), entry, "t3", ["31", "32", "33"], take_over=True)
    assert taken == Started(2, 2, ("11", "12", "13"), bus.keys("results"))


async def test_what_was_left_between_two_parts_goes_on(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await ledger.start(A, one(bus), entry, "t1", ["11", "12"], take_over=False)
    await ledger.record_progress(A, "x/1", 1, 1, suspend=True, network_id="-77")
    assert await ledger.start(A, one(bus), entry, "t2", ["21", "22"], take_over=False) == Started(
        1, 1, ("11", "12"), bus.keys("results"), "-77"
    )


async def test_attempts_are_counted_on_by_whoever_takes_it_up(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await ledger.start(A, one(bus), entry, "t1", ["11"], take_over=True)
    for _ in range(2):
        await ledger.record_progress(A, "x/1", 0, 2, suspend=True)
    # It was left between two attempts; a crash in the middle of one is an attempt made.
    assert await ledger.start(A, one(bus), entry, "t2", ["21"], take_over=True) == Started(
        2, 0, ("11",), bus.keys("results")
    )
    assert await ledger.start(A, one(bus), entry, "t3", ["31"], take_over=True) == Started(
        3, 0, ("11",), bus.keys("results")
    )


async def test_a_look_tells_what_became_of_a_request_and_changes_nothing(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    assert await ledger.get(one(bus)) is None
    await ledger.start(A, one(bus), entry, "t1", ["11", "12"], take_over=False)
    assert await ledger.get(one(bus)) == InDoubt(1, 0, ("11", "12"), bus.keys("results"))
    await ledger.record_progress(A, "x/1", 1, 2, suspend=True)
    for _ in range(2):
        assert await ledger.get(one(bus)) == Started(2, 1, ("11", "12"), bus.keys("results"))
    await ledger.settle(A, one(bus), entry, RESULT, remember=True)
    assert await ledger.get(one(bus)) == Completed(tuple(RESULT), bus.keys("results"))


async def test_a_stale_holder_can_neither_begin_nor_step_nor_settle(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await ledger.start(A, one(bus), entry, "t1", ["11"], take_over=False)
    await bus.write_status(Fence(2, "b"), {"state": "online"})
    with pytest.raises(Fenced):
        await ledger.start(A, one(bus, "x/2"), entry, "t2", ["12"], take_over=False)
    with pytest.raises(Fenced):
        await ledger.record_progress(A, "x/1", 1, 1)
    with pytest.raises(Fenced):
        await ledger.settle(A, one(bus), entry, RESULT, remember=True)
    assert await results(bus) == []


async def test_a_refused_entry_has_a_result_and_a_dead_letter_and_no_ledger(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    letter = ["v", "1", "fields", b"\x81\xa2to\xc4\x01\xff"]
    for _ in range(2):
        await ledger.reject(A, [Rejection(entry, bus.keys("results"), RESULT, letter)])
    assert len(await results(bus)) == 1
    assert await bus.read_pending("outbound", "0", 1) == []
    assert await results(bus, "dead") == [{b"v": b"1", b"fields": b"\x81\xa2to\xc4\x01\xff"}]
    assert isinstance(await ledger.start(A, one(bus), entry, "t", ["1"], take_over=False), Started)


async def test_a_sent_request_is_answered_even_by_a_server_that_forgot_the_group(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await ledger.start(A, one(bus), entry, "t1", ["11"], take_over=False)
    await bus.client.delete(bus.keys("outbound"), bus.keys.ledger("x/1"))
    for _ in range(2):
        await ledger.settle(A, one(bus), entry, RESULT, remember=True)
    assert len(await results(bus)) == 1


async def test_own_result_streams_and_ledger_entries_end_by_themselves(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await ledger.start(A, one(bus), entry, "t1", ["11"], take_over=False)
    assert await bus.client.ttl(bus.keys.ledger("x/1")) > 0
    await ledger.settle(A, one(bus, results="results:mine"), entry, RESULT, remember=True)
    assert 0 < await bus.client.ttl(bus.keys.ledger("x/1")) <= 86_400
    assert await bus.client.ttl(bus.keys("results:mine")) > 0


async def test_a_result_stream_of_ones_own_keeps_the_newest(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "OWN_RESULTS", 100)
    ledger, mine = Ledger(bus), bus.keys("results:mine")
    for number in range(400):
        entry = await asked(bus)
        await ledger.settle(A, Asked(f"x/{number}", "d", mine), entry, ["id", f"x/{number}"], remember=True)
    rows = await results(bus, "results:mine")
    assert 100 <= len(rows) < 400
    assert rows[-1] == {b"id": b"x/399"}


async def test_where_the_stream_that_was_named_is_none_the_result_goes_where_all_others_do(bus: Bus) -> None:
    ledger, entry, named = Ledger(bus), await asked(bus), bus.keys("results:text")
    await bus.client.set(named, "not a stream", ex=60)
    assert await ledger.settle(A, Asked("x/1", "d", named), entry, RESULT, remember=True)
    assert await results(bus) == [{b"v": b"1", b"id": b"x/1", b"status": b"sent"}]
    assert await bus.read_pending("outbound", "0", 1) == []


async def test_an_id_belongs_to_the_request_that_came_first(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    other = one(bus, digest="other", results="results:other")
    first = one(bus, results="results:first")
    await ledger.start(A, first, entry, "t1", ["11"], take_over=True)
    for _ in range(2):
        assert await ledger.start(A, other, "9-9", "t2", ["12"], take_over=True) == Conflict()
        assert await ledger.get(other) == Conflict()
        await ledger.settle(A, first, entry, RESULT, remember=True)
    # The same again from elsewhere: it is answered where the first one asked for it.
    known = Completed(tuple(RESULT), bus.keys("results:first"))
    assert await ledger.get(one(bus, results="results:other")) == known
    assert await ledger.start(A, one(bus), "9-9", "t3", ["13"], take_over=False) == known


async def test_an_entry_of_an_earlier_version_fits_any_request(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await ledger.start(A, one(bus), entry, "t1", ["11"], take_over=False)
    await ledger.settle(A, one(bus), entry, RESULT, remember=True)
    await bus.client.hdel(bus.keys.ledger("x/1"), "digest", "results")
    assert await ledger.get(one(bus, digest="other")) == Completed(tuple(RESULT))
    assert await ledger.start(A, one(bus), "9-9", "t2", [], take_over=False) == Completed(tuple(RESULT))


async def test_large_answers_of_all_requests_are_bounded(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MAX_ANSWER_BYTES", 100)
    ledger, kept = Ledger(bus), [*RESULT, "detail", "it was given once"]
    for number in range(5):
        entry, result = await asked(bus), [*RESULT, "data", str(number)]
        request = one(bus, f"x/{number}", results="results:bot" if number % 2 else "results")
        await ledger.settle(A, request, entry, result, remember=True, remembered=kept, answer_bytes=40)
    data = {row[b"data"] for name in ("results", "results:bot") for row in await results(bus, name)}
    assert data == {b"3", b"4"}
    assert (await bus.hgetall(bus.keys("ids:answers")))["bytes"] == b"80"
    # The ledger keeps what a repeat of the id gets.
    assert await ledger.get(one(bus, "x/0")) == Completed(tuple(kept), bus.keys("results"))


async def test_result_streams_of_workers_have_a_bound_in_number(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "MAX_OWN_STREAMS", 3)
    ledger = Ledger(bus)
    await ledger.reject(
        A,
        [
            Rejection(await asked(bus), bus.keys(f"results:s{number}"), RESULT, ["v", "1"])
            for number in range(5)
        ],
    )
    assert [len(await results(bus, f"results:s{number}")) for number in range(5)] == [1, 1, 1, 0, 0]
    assert len(await results(bus)) == 2
    # One that rejections alone have made ends within the hour; one that exists goes on.
    assert 0 < await bus.client.ttl(bus.keys("results:s0")) <= 3600
    await ledger.settle(A, one(bus, "y/1", results="results:s0"), await asked(bus), RESULT, remember=True)
    assert await bus.client.ttl(bus.keys("results:s0")) > 3600
    await bus.client.delete(bus.keys(ledgers.OWN_STREAMS))


async def test_nothing_is_acknowledged_where_the_letter_has_no_room(bus: Bus) -> None:
    ledger, entry = Ledger(bus), await asked(bus)
    await bus.client.xadd(bus.keys("dead"), {"n": "1"}, id=f"{2**64 - 1}-{2**64 - 1}")
    with pytest.raises(BusUnavailable):
        await ledger.reject(A, [Rejection(entry, bus.keys("results"), RESULT, ["v", "1"])])
    assert await results(bus) == []
    assert [one for one, _ in await bus.read_pending("outbound", "0", 1)] == [entry]
