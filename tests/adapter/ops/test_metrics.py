"""Proof of adapter/ops/metrics.py, history.py and page/health.py."""

import json
import re
from dataclasses import replace
from math import isnan
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapter.bus.admin import MonitorClient
from adapter.bus.keys import Keys
from adapter.events import SendResult, SessionState, Status
from adapter.ops.history import MAX_SLOTS, SLOT, RollingHistory
from adapter.ops.metrics import MAX_GROUPS, MAX_LABEL, GroupRow, Metrics, Snapshot
from adapter.ops.page.broadcaster import Broadcaster
from adapter.ops.page.health import LIMITS, POLL_LIMIT, HealthEndpoints
from adapter.ops.page.state import PageState
from tests.support import ROOT


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def values(metrics: Metrics, groups: list[GroupRow] | None = None, **more: int) -> dict[str, float]:
    """Return samples by `name{label values}`."""
    text = metrics.expose(groups, more.get("dead", 0), more.get("waiting", 0), more.get("pages", 0)).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def result(status: Status, code: str, entry: str = "1000-0") -> SendResult:
    return SendResult(entry, "id", "friend:1", status, code)


def test_a_batch_is_counted_whole_by_type() -> None:
    metrics = Metrics()
    metrics.observe_append(["message.friend"] * 300 + ["notice.typing"], 0.004)
    found = values(metrics)
    assert found["qqbus_events_total{message.friend}"] == 300
    assert found["qqbus_events_total{notice.typing}"] == 1
    assert found["qqbus_append_duration_seconds_count"] == 1
    assert found["qqbus_append_duration_seconds_sum"] == pytest.approx(0.004)


def test_sends_are_counted_by_status_and_code_with_the_time_they_took() -> None:
    metrics = Metrics(wall=Clock(3.0))
    metrics.observe_result(result(Status.SENT, "ok"))
    metrics.observe_result(result(Status.UNKNOWN, "upstream.maybe", "5000-0"))
    found = values(metrics)
    assert found["qqbus_sends_total{ok,sent}"] == 1
    assert found["qqbus_sends_total{upstream.maybe,unknown}"] == 1
    assert found["qqbus_request_duration_seconds_sum"] == 2.0


def test_groups_that_others_name_make_a_bounded_number_of_series() -> None:
    names = [f"g{number:03}" + "x" * 1000 for number in range(300)]
    rows = [GroupRow("inbound", name, 1, 1, float(number)) for number, name in enumerate(names)]
    found = values(Metrics(), rows)
    assert found["qqbus_groups_omitted"] == 300 - MAX_GROUPS
    shown = [name for name in found if name.startswith("qqbus_group_lag{")]
    assert len(shown) == MAX_GROUPS
    # The slowest are shown, with the starts of their names.
    assert f"qqbus_group_lag{{{names[299][:MAX_LABEL]},inbound}}" in shown
    assert max(map(len, shown)) < MAX_LABEL + 40


def test_proof_of_life_is_what_upstream_delivers_and_not_that_it_answers() -> None:
    clock = Clock(100.0)
    metrics = Metrics(clock=clock)
    metrics.observe_poll(60.0)
    metrics.observe_append(["session.online"], 0.001)
    assert (
        values(metrics)["qqbus_proof_of_life_age_seconds"] != values(metrics)["qqbus_last_poll_age_seconds"]
    )
    metrics.observe_append(["message.group"], 0.001)
    clock.now = 130.0
    found = values(metrics)
    assert found["qqbus_proof_of_life_age_seconds"] == 30.0
    assert found["qqbus_last_poll_age_seconds"] == 30.0


READING = Snapshot(SessionState.ONLINE, "scan", "305419896", True, 7, True, 4096, False)


def test_what_can_be_looked_up_is_looked_up() -> None:
    metrics = Metrics("1.2.3")
    metrics.snapshot = lambda: READING
    metrics.set_line_state("suspicious")
    rows = [GroupRow("inbound", "echo", 3, 1, 12.5), GroupRow("inbound", "old", 0, 0, 0.0)]
    found = values(metrics, rows, dead=2, waiting=-1, pages=4)
    assert found["qqbus_session_state{online}"] == 1
    assert found["qqbus_session_state{qr}"] == 0
    assert found["qqbus_hearing_state{suspicious}"] == 1
    assert (found["qqbus_epoch"], found["qqbus_lease_held"], found["qqbus_paused"]) == (7, 1, 1)
    assert (found["qqbus_spool_bytes"], found["qqbus_dead_letters"], found["qqbus_page_clients"]) == (
        4096,
        2,
        4,
    )
    assert found["qqbus_group_lag{echo,inbound}"] == 3
    assert found["qqbus_group_lag{old,inbound}"] == 0
    assert isnan(found["qqbus_outbound_pending"])
    assert found["qqbus_info{1.2.3}"] == 1
    assert found["qqbus_redis_up"] == 1
    metrics.closed()
    found = values(metrics, rows[1:])
    assert (found["qqbus_lease_held"], found["qqbus_session_state{standby}"]) == (0, 1)
    assert "qqbus_group_pending{echo,inbound}" not in found
    assert values(metrics, None)["qqbus_redis_up"] == 0


def test_a_full_disk_is_a_figure_of_its_own() -> None:
    metrics = Metrics()
    assert metrics.stuck is None
    assert values(metrics)["qqbus_disk_full"] == 0
    metrics.snapshot = lambda: replace(READING, stuck="No space left on device")
    assert metrics.stuck == "No space left on device"
    assert values(metrics)["qqbus_disk_full"] == 1
    metrics.closed()
    assert values(metrics)["qqbus_disk_full"] == 0


def test_all_names_are_ours_or_the_process_own() -> None:
    names = {name.partition("{")[0] for name in values(Metrics())}
    assert all(name.startswith(("qqbus_", "process_", "python_")) for name in names)
    assert not any(name.endswith("_created") for name in names)


def test_the_dashboard_asks_for_nothing_that_is_not_told() -> None:
    board = json.loads((ROOT / "deploy" / "grafana.json").read_text(encoding="utf-8"))
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"(?:qqbus|process)_\w+", target["expr"])
    }
    text = Metrics().expose([], 0, 0, 0).decode()
    told = {family.name: family.type for family in text_string_to_metric_families(text)}
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    names = {name + end for name, kind in told.items() for end in suffixes[kind]}
    assert asked <= names
    assert {name for name in names if name.startswith("qqbus_")} - asked <= {
        *(name + end for name in told for end in ("_sum", "_count")),
        "qqbus_info",
        "qqbus_clock_offset_seconds",
        "qqbus_groups_omitted",
        "qqbus_last_poll_age_seconds",
    }


def test_two_of_them_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.observe_append(["message.friend"], 0.001)
    assert "qqbus_events_total{message.friend}" not in values(other)


# --- trend -------------------------------------------------------------------------------------


def test_the_trend_keeps_an_hour_and_nothing_of_silence() -> None:
    trend = RollingHistory()
    trend.observe_append(1000.0, 5, 0.002)
    trend.observe_append(1009.0, 1, 0.006)
    trend.observe_result(1012.0, 0.4)
    assert trend.since(0.0, 1012.0) == [[1000, 6, 4.0, 6.0, 0, 0, 0], [1010, 0, 0.0, 0.0, 1, 400, 400]]
    assert trend.since(1010.0, 1012.0) == [[1010, 0, 0.0, 0.0, 1, 400, 400]]
    late = 1000.0 + MAX_SLOTS * SLOT + SLOT
    assert trend.since(0.0, late)[0][0] == 1010
    for turn in range(2 * MAX_SLOTS):
        trend.observe_append(late + turn * SLOT, 1, 0.001)
    assert len(trend.since(0.0, late + 2 * MAX_SLOTS * SLOT)) <= MAX_SLOTS + 1


def test_a_clock_that_is_set_back_goes_on_in_the_newest_slot() -> None:
    trend = RollingHistory()
    trend.observe_append(1000.0, 1, 0.001)
    trend.observe_append(500.0, 1, 0.001)
    assert trend.since(0.0, 1000.0)[0][:2] == [1000, 2]


# --- health ------------------------------------------------------------------------------------


def health(metrics: Metrics) -> HealthEndpoints:
    unused: Any = None
    return HealthEndpoints(metrics, MonitorClient(unused, Keys(), unused), Broadcaster(PageState()))


def test_a_loop_that_does_not_come_round_is_named() -> None:
    clock = Clock()
    metrics = Metrics(clock=clock)
    assert health(metrics).stuck() == []
    metrics.snapshot = lambda: READING
    metrics.heartbeat("watchdog")
    metrics.observe_poll(1.0)
    clock.now = LIMITS["watchdog"] + 1
    assert health(metrics).stuck() == ["watchdog"]
    metrics.heartbeat("watchdog")
    clock.now = POLL_LIMIT + 1
    metrics.heartbeat("watchdog")
    assert health(metrics).stuck() == ["poll"]


def test_nobody_polls_while_a_code_waits_for_a_person() -> None:
    clock = Clock()
    metrics = Metrics(clock=clock)
    metrics.observe_poll(1.0)
    metrics.snapshot = lambda: Snapshot(SessionState.QR, "", "", True, 1, False, 0, False)
    clock.now = 10 * POLL_LIMIT
    assert health(metrics).stuck() == []
    metrics.closed()
    assert health(metrics).stuck() == []
