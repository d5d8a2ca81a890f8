"""Proof of tests/chaos/onebot_checker.py: what it finds in records, and in runs of broken products."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.__main__ import run
from tests.chaos.checker import Verdict
from tests.chaos.fast_onebot import WAYS
from tests.chaos.late_appends import ANY_EPOCH
from tests.chaos.onebot import OneBot
from tests.chaos.onebot_checker import Arrived, Gap, OneBotRecord, Rows, Said, compare, covered

# Four messages, a second apart; the third one was lost in a gap, the fourth one's answer may have arrived.
SAID = [Said(n, 100.0 + n, "friend:1", f"m{n}", withheld="down" if n == 3 else "") for n in (1, 2, 3, 4)]
RECORD = OneBotRecord(SAID, [Arrived("friend:1", f"m{n}", f"-{n}") for n in (1, 2, 4)])
INBOUND: Rows = [
    {"id": f"e{n}", "type": "message.friend", "chat": "friend:1", "text": f"m{n}", "seq": str(seq)}
    for seq, n in enumerate((1, 2, 4), 7)
]
OUTBOUND: Rows = [
    {"entry_id": f"{n}-0", "id": f"chaos/e{n}", "delivery": "at-least-once" if n == 2 else "at-most-once"}
    for n in (1, 2, 4)
]
RESULTS: Rows = [
    {
        "entry": f"{n}-0",
        "id": f"chaos/e{n}",
        "status": "unknown" if n == 4 else "sent",
        "code": "upstream.lost" if n == 4 else "ok",
        "attempts": "1",
        "replayed": "0",
        "message_id": f"-{n}",
    }
    for n in (1, 2, 4)
]
GAPS = [Gap(102.9, 103.2)]


def changed(found: Rows, index: int, **fields: str) -> Rows:
    """Return rows of which one has other fields."""
    return [row | fields if number == index else row for number, row in enumerate(found)]


def judged(
    record: OneBotRecord = RECORD,
    inbound: Rows = INBOUND,
    outbound: Rows = OUTBOUND,
    results: Rows = RESULTS,
    gaps: list[Gap] = GAPS,
) -> Verdict:
    return compare(record, inbound, outbound, results, gaps)


def test_a_run_in_which_all_holds_is_clean() -> None:
    verdict = judged()
    assert verdict.wrong == []
    assert verdict.figures["lost within gaps"] == 1
    assert verdict.figures["unknown that had arrived"] == 1


def arrived_again(n: int, **fields: str) -> OneBotRecord:
    """Return the record with one more arrival of a message."""
    return replace(RECORD, arrived=[*RECORD.arrived, replace(Arrived("friend:1", f"m{n}", "-9"), **fields)])


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("lost outside gaps: 1", judged(gaps=[])),
        ("lost outside gaps: 1", judged(gaps=[Gap(103.01, 103.2)])),
        ("lost outside gaps: 1", judged(gaps=[Gap(102.0, 102.99)])),
        ("lost outside gaps: 1", judged(inbound=INBOUND[:2])),
        ("gaps take 100.0% of the time", judged(gaps=[Gap(0.0, 200.0)])),
        ("doubled messages: 1", judged(inbound=[*INBOUND, INBOUND[2] | {"seq": "10"}])),
        ("answers to events that are not there: 1", judged(inbound=INBOUND[:2])),
        ("never said: 1", judged(inbound=changed(INBOUND, 0, text="m8"))),
        ("messages in another chat: 1", judged(inbound=changed(INBOUND, 0, chat="group:1"))),
        ("out of order in a chat: 1", judged(inbound=[INBOUND[1], INBOUND[0], INBOUND[2]])),
        ("holes in seq: 1", judged(inbound=changed(INBOUND, 2, seq="11"))),
        ("requests without a result: 1", judged(results=RESULTS[:2])),
        ("results too many: 1", judged(results=[*RESULTS, RESULTS[0]])),
        ("doubled sends: 1", judged(record=arrived_again(1))),
        ("doubled sends: 1", judged(record=arrived_again(2))),
        ("doubled sends: 1", judged(record=arrived_again(4))),
        ("sent to another chat: 1", judged(record=arrived_again(2, chat="group:1"))),
        ("another message id: 1", judged(results=changed(RESULTS, 0, message_id="-8"))),
        ("sent, but never arrived: 1", judged(record=replace(RECORD, arrived=RECORD.arrived[1:]))),
        ("failed, but arrived: 1", judged(results=changed(RESULTS, 0, status="failed"))),
        ("rejected, but arrived: 1", judged(results=changed(RESULTS, 0, status="rejected"))),
        ("expired, but arrived: 1", judged(results=changed(RESULTS, 0, status="expired"))),
        ("given up too early: 1", judged(results=changed(RESULTS, 1, status="unknown"))),
        ("sends out of order in a chat: 1", judged(record=replace(RECORD, arrived=RECORD.arrived[::-1]))),
    ],
)
def test_each_broken_promise_is_found(words: str, verdict: Verdict) -> None:
    assert any(words in found for found in verdict.wrong), verdict.wrong


def test_at_least_once_may_repeat_only_what_it_says_it_repeated() -> None:
    repeated = changed(RESULTS, 1, attempts="2", message_id="-9")
    assert judged(record=arrived_again(2), results=repeated).wrong == []


def test_a_repeat_with_another_delivery_is_rejected_and_counts_once() -> None:
    repeat = OUTBOUND[1] | {"entry_id": "9-0", "delivery": "at-most-once"}
    rejected = RESULTS[1] | {"entry": "9-0", "status": "rejected", "code": "id.conflict", "attempts": "0"}
    verdict = judged(outbound=[*OUTBOUND, repeat], results=[*RESULTS, rejected])
    assert verdict.wrong == []
    assert verdict.figures["of these with another delivery"] == 1


def test_what_an_adapter_held_while_it_was_away_may_come_late() -> None:
    late = [INBOUND[1] | {"seq": "7"}, INBOUND[0] | {"seq": "8"}, INBOUND[2]]
    found = judged(record=replace(RECORD, late={"adapter 1": frozenset({("m1", ANY_EPOCH)})}), inbound=late)
    assert found.wrong == []
    assert found.figures["late from a former holder, or after a gap"] == 1
    # What it offered again, and another had published before, is not its own.
    offered = replace(RECORD, late={"adapter 1": frozenset({("m1", "7")})})
    assert any("out of order" in words for words in judged(record=offered, inbound=late).wrong)


def test_what_a_standby_heard_within_a_gap_may_come_late_from_another_holder_alone() -> None:
    late = [INBOUND[1] | {"seq": "7", "epoch": "1"}, INBOUND[0] | {"seq": "8", "epoch": "2"}, INBOUND[2]]
    gaps = [*GAPS, Gap(100.5, 101.5)]
    assert judged(gaps=gaps, inbound=late).wrong == []
    assert any("out of order" in words for words in judged(inbound=late).wrong)
    same = [row | {"epoch": "1"} for row in late]
    assert any("out of order" in words for words in judged(gaps=gaps, inbound=same).wrong)
    deaf = replace(RECORD, has_listeners=False)
    assert any("out of order" in words for words in judged(record=deaf, gaps=gaps, inbound=late).wrong)


def test_gaps_that_overlap_count_once() -> None:
    gaps = [Gap(5.0, 8.0), Gap(1.0, 3.0), Gap(2.0, 6.0), Gap(20.0, 30.0)]
    assert covered(gaps, 0.0, 10.0) == 7.0
    assert covered(gaps, 4.0, 25.0) == 9.0


# Many gaps in a short run leave little time between them, but some.
ALL_GAPS = "gaps take 100.0% of the time"
# The fault at which a broken product breaks its promise, and what it must be found with.
FOUND = {
    "hide-gaps": ("restart", "lost outside gaps"),
    "shorten-gaps": ("restart", "lost outside gaps"),
    "widen-gaps": ("close", ALL_GAPS),
    "send-twice": ("maybe", "doubled sends"),
    "claim-success": ("cut_answer", "sent, but never arrived"),
    "reverse-batches": ("burst", "out of order in a chat"),
}
FAULTS = 8


def test_each_broken_product_is_run() -> None:
    assert {*FOUND, "whole"} == set(WAYS)


@pytest.mark.anyio
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="kills and pauses processes")
@pytest.mark.parametrize("way", FOUND)
async def test_a_run_with_a_broken_product_fails(tmp_path: Path, way: str) -> None:
    fault, found = FOUND[way]
    verdict, stage = await run(OneBot(way), FAULTS, 3, tmp_path, adapters=1, only=fault)
    assert any(found in words for words in verdict.wrong), (verdict.wrong, verdict.figures, stage.log())


@pytest.mark.anyio
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="kills and pauses processes")
@pytest.mark.parametrize("fault", sorted({"", *(fault for fault, _ in FOUND.values())}))
async def test_a_run_with_the_whole_product_passes(tmp_path: Path, fault: str) -> None:
    verdict, stage = await run(OneBot("whole"), FAULTS, 3, tmp_path, adapters=1, only=fault)
    wrong = [words for words in verdict.wrong if "of the time" not in words or ALL_GAPS in words]
    assert wrong == [], stage.log()
