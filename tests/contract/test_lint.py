"""Prove adapter/contract/lint.py: a sound bus has no problems, and each mistake is found."""

from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from adapter.contract.lint import MAX_SENTENCES, Linter
from adapter.contract.samples import goldens

GOLDENS = {golden.name: golden for golden in goldens()}
Fields = dict[bytes, bytes]


def fields(name: str, **changes: str | bytes | None) -> Fields:
    made = dict(GOLDENS[name].fields)
    for key, value in changes.items():
        if value is None:
            del made[key]
        else:
            made[key] = value
    return {
        key.encode(): value if isinstance(value, bytes) else value.encode() for key, value in made.items()
    }


def body(name: str, change: Callable[[Any], Any]) -> bytes:
    packed = GOLDENS[name].fields["body"]
    assert isinstance(packed, bytes)
    return bytes(msgpack.packb(change(msgpack.unpackb(packed))))


def inbound(*events: Fields) -> Linter:
    linter = Linter("qq")
    for number, event in enumerate(events, 1):
        linter.inbound(f"{number}-0", event)
    return linter


def test_the_golden_entries_are_a_sound_bus() -> None:
    linter = Linter("qq")
    seq = 0
    for golden in GOLDENS.values():
        match golden.stream:
            case "inbound":
                seq += 1
                linter.inbound(f"{seq}-0", fields(golden.name, seq=str(seq), id=f"x.{seq}"))
            case "results":
                linter.result("1-0", fields(golden.name, entry=f"{len(linter.seen)}-{id(golden)}"))
            case "dead":
                linter.dead("1-0", fields(golden.name))
            case "session":
                linter.session("1-0", fields(golden.name))
            case "outbound":
                linter.outbound("1-0", fields(golden.name), answered=False)
            case "status":
                linter.status(fields(golden.name))
    assert linter.found == []
    assert linter.notes == []
    assert linter.seen["inbound"] == seq


M = "message.group"
WRONG: dict[str, tuple[list[Fields], str]] = {
    "a field is missing": ([fields(M, sender=None)], "sender missing"),
    "another order": ([dict(reversed(fields(M).items()))], "another order"),
    "no time": ([fields(M, time="2015-10-24 02:25:07")], "time is not of the form"),
    "a time without milliseconds": ([fields(M, time="2015-10-24T02:25:07Z")], "time is not of the form"),
    "another version": ([fields(M, v="2")], "v is not '1'"),
    "an address that is none": ([fields(M, chat="grup:1")], "chat is not of the form"),
    "self is neither": ([fields(M, self="yes")], "self is not one of 0, 1"),
    "text that is not UTF-8": ([fields(M, text=b"\xff")], "text is not UTF-8"),
    "a body that cannot be unpacked": ([fields(M, body=b"\xc1")], "body is not a msgpack map"),
    "a body that is a list": ([fields(M, body=b"\x90")], "body is not a msgpack map"),
    "a body without segments": (
        [fields(M, body=body(M, lambda b: {k: v for k, v in b.items() if k != "segments"}))],
        "body.segments is missing",
    ),
    "a face without a number": (
        [fields(M, body=body(M, lambda b: b | {"segments": [{"type": "face", "data": {"name": "x"}}]}))],
        "body.segments[0].data.id is missing",
    ),
    "a chat that differs from the body's": (
        [fields(M, chat="group:1")],
        "body.chat 'group:2419712345' differ",
    ),
    "a speaker who differs from the body's": ([fields(M, sender="1")], "body.sender.id '3680212345' differ"),
    "an id twice": ([fields(M, seq="1"), fields(M, seq="2")], "is there twice"),
    "a hole": ([fields(M, seq="1"), fields(M, seq="4", id="b")], "seq 4 follows 1: 2 events are missing"),
    "numbers out of order": ([fields(M, seq="4"), fields(M, seq="3", id="b")], "out of order"),
    "an epoch that falls": (
        [fields(M, seq="1"), fields(M, seq="2", id="b", epoch="6")],
        "epoch 6 follows 7: it may only rise",
    ),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_event_is_told(name: str) -> None:
    events, words = WRONG[name]
    found = inbound(*events).found
    assert any(words in sentence for sentence in found), found


def test_what_a_later_version_may_bring_is_only_noted() -> None:
    later = body(M, lambda b: b | {"new": 1, "segments": [*b["segments"], {"type": "video", "data": {}}]})
    linter = inbound(
        fields(M, seq="1", body=later) | {b"traceparent": b"x"},
        fields("notice.typing", seq="2", type="notice.later"),
    )
    assert linter.found == []
    assert [note.partition(": ")[2] for note in linter.notes] == [
        "has fields of a later version: traceparent",
        "type 'notice.later' is not of this version",
    ]


def test_an_event_that_was_redriven_is_only_noted() -> None:
    linter = inbound(fields(M, seq="1"), fields("message.friend", seq="2"), fields(M, seq="1"))
    assert linter.found == []
    assert "it was redriven" in linter.notes[0]


def test_numbers_are_contiguous_for_each_account_alone() -> None:
    assert inbound(fields(M, seq="1"), fields(M, seq="7", id="b", account="10002")).found == []


def test_two_results_of_one_request_are_told() -> None:
    linter = Linter("qq")
    linter.result("1-0", fields("results.sent.ok"))
    linter.result("2-0", fields("results.unknown.crash"))
    assert linter.found == ["results 2-0: is result number 2 of request 1445653507123-0"]


def test_an_acknowledged_request_without_a_result_is_told() -> None:
    linter = Linter("qq")
    linter.result("1-0", fields("results.sent.ok", entry="1-0"))
    linter.outbound("1-0", fields("outbound.smallest"), answered=True)
    linter.outbound("2-0", fields("outbound.smallest"), answered=True)
    linter.outbound("3-0", fields("outbound.smallest"), answered=False)
    linter.outbound("4-0", fields("outbound.full"), answered=True)
    assert linter.found == ["outbound 2-0: was acknowledged and has no result"]
    assert linter.notes == ["outbound 4-0: its result is not in qq:results:bot any more"]


def test_a_session_entry_without_a_state_and_a_status_with_a_wrong_one_are_told() -> None:
    linter = Linter("qq")
    linter.session("1-0", fields("session-stream.qr", state=None))
    linter.status(fields("status", state="asleep"))
    assert linter.found[0] == "session 1-0: state is missing"
    assert linter.found[1].startswith("status: state is not one of starting, qr")


def test_a_dead_letter_whose_fields_cannot_be_read_is_told() -> None:
    linter = Linter("qq")
    linter.dead("1-0", fields("dead", fields=b"\xc1"))
    assert linter.found == ["dead 1-0: fields is not a msgpack map"]


def test_many_mistakes_of_a_kind_are_not_told_one_by_one() -> None:
    found = inbound(*[{b"v": b"1"}] * 1000).found
    assert len(found) == MAX_SENTENCES + 1
    assert found[-1] == "inbound: and more like these"
