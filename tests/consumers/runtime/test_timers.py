"""Proof of consumers/runtime/timers.py: when timers tick."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumers.runtime.timers import Every, cron
from qqbus import Worker

pytestmark = pytest.mark.anyio


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("seconds", "moment", "due"),
    [(1.0, 10.0, 11.0), (1.0, 10.2, 11.0), (60.0, 59.999, 60.0), (0.1, 0.3, 0.4), (86_400.0, 1.0, 86_400.0)],
)
def test_spans_tick_at_their_multiples(seconds: float, moment: float, due: float) -> None:
    assert Every(seconds).next_after(moment) == due


def test_ticks_between_two_moments_are_counted() -> None:
    assert Every(1.0).count(10.0, 10.9) == 0
    assert Every(1.0).count(10.0, 15.0) == 5
    assert cron("0 9 * * 1-5", "UTC").count(at("2026-11-27T10:00Z"), at("2026-12-01T09:00Z")) == 2


@pytest.mark.parametrize(
    ("line", "zone", "moment", "due"),
    [
        ("0 9 * * 1-5", "Asia/Shanghai", "2026-11-27T10:00+08:00", "2026-11-30T09:00+08:00"),
        ("*/15 * * * *", "UTC", "2026-11-27T10:01Z", "2026-11-27T10:15Z"),
        ("30 3 * * *", "Europe/Berlin", "2026-10-24T12:00+02:00", "2026-10-25T03:30+01:00"),
    ],
)
def test_cron_lines_tick_in_their_zone(line: str, zone: str, moment: str, due: str) -> None:
    assert cron(line, zone).next_after(at(moment)) == at(due)


@pytest.mark.parametrize("line", ["", "tomorrow", "61 * * * *", "* * * *", "* * * * * *", "0 0 31 2 *"])
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"cron line|calendar"):
        Worker("app").cron(line)


@pytest.mark.parametrize(
    ("span", "zone"), [("1 fortnight", ""), ("0s", ""), (-1, ""), (0.01, ""), ("", "Mars/Base")]
)
def test_a_span_or_a_zone_that_is_none_is_refused(span: Any, zone: str) -> None:
    with pytest.raises(ValueError, match=r"span|below|zone|year"):
        Worker("app").cron("0 9 * * *", tz=zone) if zone else Worker("app").every(span)


async def test_a_timer_is_tried_without_a_bus_and_its_requests_bear_the_tick() -> None:
    worker = Worker("app")

    @worker.every(timedelta(minutes=1))
    async def minute() -> None:
        await worker.send("group:1", "one")
        await worker.send("group:1", "two")

    @worker.cron("0 9 * * 1-5", tz="Asia/Shanghai", name="morning")
    def greet(tick: Any) -> None:
        worker.send("group:1", f"{tick.time:%H:%M}")

    one, two = await worker.tick("minute")
    assert (two.id, one.content) == (f"{one.id}/2", "one")
    assert one.id.startswith(f"app/minute/{datetime.now(UTC):%Y-%m-%d}")
    (morning,) = await worker.tick("morning")
    assert morning.content == "01:00"
    with pytest.raises(ValueError, match="no timer of app: minute, morning"):
        await worker.tick("evening")


def test_two_timers_need_two_names() -> None:
    worker = Worker("app")
    worker.every("1m", name="x")(lambda: None)
    with pytest.raises(ValueError, match="already"):
        worker.every("1h", name="x")(lambda: None)
    with pytest.raises(ValueError, match="cannot name a timer"):
        worker.every("1h")(lambda: None)
