"""Proof of adapter/outbound/pacing.py."""

from adapter.outbound.pacing import MAX_CHATS, Pacer


def test_the_account_speaks_once_in_an_interval() -> None:
    pacer = Pacer(3.0)
    assert pacer.delay(100.0) == 0
    pacer.record_send("group:1", 100.0)
    assert pacer.delay(101.0) == 2.0
    assert pacer.delay(103.0) == 0


def test_a_chat_has_an_interval_of_its_own() -> None:
    pacer = Pacer(1.0, chat_interval=10.0)
    pacer.record_send("group:1", 100.0)
    assert pacer.chat_delay("group:1", 104.0) == 6.0
    assert pacer.chat_delay("group:2", 104.0) == 0


def test_after_a_reconnect_it_starts_slowly() -> None:
    pacer = Pacer(2.0)
    pacer.restart_slow_start()
    now, waits = 100.0, []
    for _ in range(5):
        pacer.record_send("group:1", now)
        waits.append(pacer.delay(now))
        now += waits[-1]
    assert waits == [6.0, 4.0, 3.0, 2.0, 2.0]


def test_chats_of_long_ago_are_forgotten() -> None:
    pacer = Pacer(0.0, chat_interval=1.0)
    for number in range(MAX_CHATS + 5):
        pacer.record_send(f"group:{number}", float(number))
    assert len(pacer._chats) < MAX_CHATS  # noqa: SLF001 – the bound itself
