"""Proof of adapter/outbound/backlog.py."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from adapter.events import Priority
from adapter.outbound.backlog import Backlog, Head


def a_request(entry: int, chat: int = 1, app: str = "", priority: Priority = Priority.NORMAL) -> Head:
    ident = f"{app}/{entry}" if app else f"entry:{entry}"
    return Head(str(entry), ident, f"group:{chat}", priority)


def expired(backlog: Backlog, now: float, most: int = 100, *held: str) -> list[Head]:
    return backlog.expired(now, most, is_held=lambda head: head.entry in held)


def taken(backlog: Backlog, *, finish: bool = True) -> list[str]:
    order = []
    while (request := backlog.pop(lambda _: True)) is not None:
        order.append(request.entry)
        if finish:
            backlog.release_chat(request.chat)
    return order


def test_within_a_chat_the_order_is_that_of_asking() -> None:
    backlog = Backlog()
    for entry in range(5):
        backlog.add(a_request(entry))
    assert taken(backlog) == list("01234")
    assert len(backlog) == 0


def test_a_busy_chat_holds_itself_alone() -> None:
    backlog = Backlog()
    for entry, chat in enumerate((1, 1, 2, 3)):
        backlog.add(a_request(entry, chat))
    assert taken(backlog, finish=False) == ["0", "2", "3"]
    backlog.release_chat("group:1")
    assert taken(backlog) == ["1"]


def test_a_chat_that_is_not_ready_is_passed_over() -> None:
    backlog = Backlog()
    backlog.add(a_request(0, 1))
    backlog.add(a_request(1, 2))
    request = backlog.pop(lambda request: request.chat != "group:1")
    assert request is not None
    assert request.entry == "1"


def test_classes_go_before_each_other_but_nobody_overtakes_within_a_chat() -> None:
    backlog = Backlog()
    backlog.add(a_request(0, 1, priority=Priority.BULK))
    backlog.add(a_request(1, 2, priority=Priority.NORMAL))
    backlog.add(a_request(2, 3, priority=Priority.BULK))
    backlog.add(a_request(3, 3, priority=Priority.HIGH))
    assert taken(backlog) == ["2", "3", "1", "0"]


def test_one_flood_does_not_starve_another_producer() -> None:
    backlog = Backlog()
    for entry in range(100):
        backlog.add(a_request(entry, chat=entry, app="flood"))
    backlog.add(a_request(100, chat=500, app="echo"))
    assert "100" in taken(backlog)[:2]


def test_what_is_given_back_goes_first() -> None:
    backlog = Backlog()
    for entry in range(3):
        backlog.add(a_request(entry))
    first = backlog.pop(lambda _: True)
    assert first is not None
    backlog.requeue(first)
    assert taken(backlog) == ["0", "1", "2"]


def test_time_runs_out_for_what_has_not_begun() -> None:
    backlog = Backlog()
    for entry in range(3):
        request = a_request(entry, chat=entry % 2)
        backlog.add(dataclasses.replace(request, expires=10.0 * entry if entry else None))
    assert expired(backlog, 9.0) == []
    (late,) = expired(backlog, 10.0)
    assert late.entry == "1"
    backlog.remove(late)
    assert len(backlog) == 2
    assert taken(backlog) == ["0", "2"]
    assert expired(backlog, 1e9) == []


def test_time_goes_on_for_what_is_given_back_unless_something_of_it_has_left() -> None:
    backlog = Backlog()
    backlog.add(dataclasses.replace(a_request(0), expires=10.0))
    for started, late in ((False, ["0"]), (True, [])):
        request = backlog.pop(lambda _: True)
        assert request is not None
        backlog.requeue(request, started=started)
        assert [one.entry for one in expired(backlog, 10.0)] == late
    assert taken(backlog) == ["0"]


def test_what_an_earlier_process_began_keeps_its_place_and_expires_no_more() -> None:
    backlog = Backlog()
    for entry in range(2):
        backlog.add(dataclasses.replace(a_request(entry), expires=10.0))
    first, second = expired(backlog, 10.0)
    backlog.mark_started(first)
    assert expired(backlog, 10.0) == [second]
    assert taken(backlog) == ["0", "1"]


def test_what_ran_out_is_given_in_pieces_and_what_is_held_hides_no_other() -> None:
    backlog = Backlog()
    for entry in range(5):
        backlog.add(dataclasses.replace(a_request(entry), expires=float(entry)))
    assert [head.entry for head in expired(backlog, 10.0, 2, "0", "1")] == ["2", "3"]
    assert [head.entry for head in expired(backlog, 10.0, 9, "0", "3")] == ["1", "2", "4"]
    first, *_ = expired(backlog, 10.0)
    assert (backlog.is_overdue(first, 0.0), backlog.is_overdue(first, -1.0)) == (True, False)
    backlog.mark_started(first)
    assert not backlog.is_overdue(first, 10.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from("ab"), st.sampled_from(list(Priority))), max_size=40
    )
)
def test_every_request_comes_out_once_and_chats_keep_their_order(
    asked: list[tuple[int, str, Priority]],
) -> None:
    backlog = Backlog()
    for entry, (chat, app, priority) in enumerate(asked):
        backlog.add(a_request(entry, chat, app, priority))
    order = [int(entry) for entry in taken(backlog)]
    assert sorted(order) == list(range(len(asked)))
    for chat in range(5):
        mine = [entry for entry in order if asked[entry][0] == chat]
        assert mine == sorted(mine)
