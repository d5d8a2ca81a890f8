"""Proof of the log: done means confirmed by every open connection, and by one at least."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.onebot.delivery import MAX_BYTES, MAX_EVENTS, DeliveryLog, LoggedEvent, Window


def event(number: int, size: int = 10) -> LoggedEvent:
    return LoggedEvent(str(number), (b'{"n":%d}' % number,), size)


def test_a_second_copy_says_that_it_is_redelivered() -> None:
    one = event(1)
    assert one.take_frames() == (b'{"n":1}',)
    assert one.take_frames() == (b'{"n":1,"redelivered":true}',)


def test_a_window_has_at_most_a_hundred_events_or_sixteen_mebibytes() -> None:
    log = DeliveryLog()
    window = log.open()
    for number in range(150):
        log.add(event(number))
    assert len(log.take(window, 0.0)) == MAX_EVENTS
    assert log.take(window, 0.0) == []
    assert log.confirm(window, 30) == [str(number) for number in range(30)]
    assert len(log.take(window, 0.0)) == 30
    large = DeliveryLog()
    window = large.open()
    for number in range(3):
        large.add(event(number, MAX_BYTES))
    assert len(large.take(window, 0.0)) == 1
    assert large.size == 3 * MAX_BYTES


def test_what_was_confirmed_by_a_closed_connection_is_done_when_the_others_are_gone() -> None:
    log = DeliveryLog()
    quick, slow = log.open(), log.open()
    for number in range(5):
        log.add(event(number))
    log.take(quick, 0.0)
    log.take(slow, 0.0)
    assert log.confirm(quick, 3) == []
    assert log.close(quick) == ([], [])
    done, dropped = log.close(slow)
    assert done == ["0", "1", "2"]
    assert [one.entry for one in dropped] == ["3", "4"]
    # The next window begins behind all that.
    log.open()
    assert len(log) == 0


def test_a_bot_that_returns_before_its_old_socket_is_gone_gets_everything_in_order() -> None:
    log = DeliveryLog()
    old = log.open()
    for number in range(4):
        log.add(event(number))
    log.take(old, 0.0)
    log.confirm(old, 2)
    new = log.open()
    log.add(event(4))
    assert [one.entry for one in log.take(new, 0.0)] == ["2", "3", "4"]


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_nothing_unconfirmed_is_done_and_each_window_is_in_order(seed: int) -> None:
    chance = random.Random(seed)
    log = DeliveryLog()
    windows: list[Window] = []
    got: dict[int, list[str]] = {}
    confirmed: set[str] = set()
    done: list[str] = []
    number = 0
    for _ in range(200):
        match chance.randrange(6):
            case 0:
                windows.append(log.open())
                got[id(windows[-1])] = []
            case 1 | 2 if log.is_open:
                log.add(event(number))
                number += 1
            case 3 if windows:
                window = chance.choice(windows)
                got[id(window)] += [one.entry for one in log.take(window, 0.0)]
            case 4 if windows:
                window = chance.choice(windows)
                if window.unconfirmed:
                    upto = chance.randrange(len(window.unconfirmed))
                    position = window.unconfirmed[upto][0]
                    held = got[id(window)][-len(window.unconfirmed) :][: upto + 1]
                    confirmed |= set(held)
                    done += log.confirm(window, position)
            case 5 if windows and chance.random() < 0.4:
                window = windows.pop(chance.randrange(len(windows)))
                done += log.close(window)[0]
        assert set(done) <= confirmed
    assert len(done) == len(set(done))
    for entries in got.values():
        assert entries == sorted(entries, key=int)
