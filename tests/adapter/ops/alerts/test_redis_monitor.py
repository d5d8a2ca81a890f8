"""Proof of adapter/ops/alerts/redis_monitor.py: an outage of Redis raises one alarm, after a restart's time."""

from adapter.ops.alerts.delivery_monitor import Remedy
from adapter.ops.alerts.redis_monitor import REDIS, RedisMonitor

WORDS = "Redis refuses this user: WRONGPASS"


def test_an_outage_is_one_alarm_and_one_all_clear() -> None:
    monitor = RedisMonitor()
    assert [monitor.tick(WORDS, now) for now in (0.0, 59.0)] == [[], []]
    (alarm,) = monitor.tick(WORDS, 60.0)
    assert (alarm.remedy, alarm.reason, monitor.alarm) == (Remedy.ALARM, REDIS, REDIS)
    assert alarm.text == f"{WORDS}: events wait on disk, and requests in Redis"
    assert monitor.tick(WORDS, 3600.0) == []
    assert monitor.tick("", 3605.0) == []
    (clear,) = monitor.tick("", 3610.0)
    assert (clear.remedy, clear.text, monitor.alarm) == (Remedy.CLEAR, "Redis serves again", "")


def test_a_restart_of_redis_is_no_alarm() -> None:
    monitor = RedisMonitor()
    assert [
        monitor.tick(error, now) for now, error in ((0.0, WORDS), (30.0, WORDS), (40.0, ""), (99.0, ""))
    ] == [
        [],
        [],
        [],
        [],
    ]


def test_an_alarm_of_an_earlier_process_is_cleared() -> None:
    monitor = RedisMonitor(REDIS)
    assert monitor.tick("", 0.0) == []
    assert [action.remedy for action in monitor.tick("", 10.0)] == [Remedy.CLEAR]
