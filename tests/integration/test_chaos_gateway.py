"""Proof of the chaos run of gateways: what its checker finds, and a small run."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.checker import Verdict
from tests.chaos.gateway import run
from tests.chaos.gateway_checker import Note, Published, judge, read_journal

PUBLISHED = [Published(number, f"group:{number % 2}", f"m{number}") for number in range(4)]


def heard(number: int, on: str = "a-1.1", *, again: bool = False, text: str = "") -> Note:
    return {"on": on, "kind": "event", "number": number, "text": text or f"m{number}", "again": again}


def asked(text: str, on: str = "a-1.1") -> Note:
    return {"on": on, "kind": "asked", "text": text}


def answered(text: str, status: str = "ok", on: str = "a-1.1") -> Note:
    return {"on": on, "kind": "answer", "text": text, "status": status}


CLOSED: Note = {"on": "a-1.1", "kind": "closed"}
ALL = [heard(number) for number in range(4)]


def judged(notes: Sequence[Note], arrived: Sequence[str] = (), living: Sequence[str] = ("a-1",)) -> Verdict:
    return judge(PUBLISHED, {"a": notes}, arrived, living)


@pytest.mark.parametrize(
    ("notes", "arrived"),
    [
        (ALL, ()),
        ([*ALL[:2], CLOSED, *[heard(number, "a-1.2", again=True) for number in (0, 1, 2, 3)]], ()),
        ([*ALL, asked("x"), answered("x")], ("x",)),
        ([*ALL, asked("x"), answered("x", "failed")], ()),
        ([*ALL, asked("x"), answered("x", "async")], ("x",)),
        ([*ALL, asked("x"), CLOSED], ("x",)),
        # The process was killed: nothing says that its socket closed.
        ([*ALL, asked("x", "a-0.1")], ()),
    ],
)
def test_a_run_in_which_all_holds_is_clean(notes: Sequence[Note], arrived: Sequence[str]) -> None:
    assert judged(notes, arrived).wrong == []


@pytest.mark.parametrize(
    ("words", "notes", "arrived"),
    [
        ("lost: 1", ALL[:3], ()),
        ("never published: 1", [*ALL, heard(9)], ()),
        ("never published: 1", [*ALL[:3], heard(3, text="m9")], ()),
        ("first heard out of order in a chat: 1", [ALL[2], ALL[0], ALL[1], ALL[3]], ()),
        ("out of order on a socket: 1", [*ALL, heard(3, again=True)], ()),
        ("again without `redelivered`: 1", [*ALL, heard(3, "a-1.2")], ()),
        ("neither answered nor closed: 1", [*ALL, asked("x")], ()),
        ("answered twice: 1", [*ALL, asked("x"), answered("x"), answered("x")], ("x",)),
        ("sent twice: 1", [*ALL, asked("x"), answered("x")], ("x", "x")),
        ("ok, but never arrived: 1", [*ALL, asked("x"), answered("x")], ()),
        ("failed, but arrived: 1", [*ALL, asked("x"), answered("x", "failed")], ("x",)),
    ],
)
def test_each_broken_promise_is_found(words: str, notes: Sequence[Note], arrived: Sequence[str]) -> None:
    assert any(words in found for found in judged(notes, arrived).wrong)


def test_a_line_that_a_kill_cut_short_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b'{"kind": "closed"}\n{"kind": "ev')
    assert read_journal(tmp_path / "journal") == [{"kind": "closed"}]


@pytest.mark.anyio
@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="kills and pauses processes")
async def test_a_run_of_twenty_faults_is_clean(tmp_path: Path) -> None:
    verdict, stage = await run(20, 5, tmp_path)
    assert verdict.wrong == [], stage.log()
