"""Test adapter/ops/supervisor.py; tests/integration/test_services.py tests it with the services themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from adapter.errors import BusUnavailable, Fenced
from adapter.ops.metrics import Metrics
from adapter.ops.supervisor import RECOVERY_SECONDS, Supervisor
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio


class Faulty:
    """A service that fails as often as it is told, then works."""

    def __init__(self, *faults: BaseException) -> None:
        self.faults = list(faults)
        self.runs = 0
        self._ended = anyio.Event()

    async def run(self, _stop: anyio.Event) -> None:
        self.runs += 1
        if self.faults:
            raise self.faults.pop(0)
        await self._ended.wait()

    def wake(self) -> None:
        self._ended.set()


def failures(metrics: Metrics) -> float:
    """Return the counted failures of the service `x`."""
    return metrics.registry.get_sample_value("qqbus_service_failures_total", {"service": "x"}) or 0.0


@asynccontextmanager
async def supervised(
    service: Faulty, clock: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[tuple[Metrics, anyio.Event]]:
    metrics, stop = Metrics(clock=clock), anyio.Event()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Supervisor(metrics, first_delay=0.001).run, "x", service, stop)
            yield metrics, stop
            stop.set()
            service.wake()


async def test_a_service_that_fails_is_run_again_counted_and_shown_until_it_has_recovered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    service = Faulty(RuntimeError("a secret"), RuntimeError("a secret"), asyncio.CancelledError())
    async with supervised(service, lambda: now) as (metrics, _):
        await wait_until(lambda: service.runs == 4, "it runs again")
        assert (failures(metrics), metrics.failing_text()) == (3.0, "x: CancelledError")
        now = RECOVERY_SECONDS + 1.0
        assert metrics.failing_text() == ""
    # Once for each kind of failure, with its traceback; where all may look stands the type alone.
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    assert caplog.text.count("RuntimeError: a secret") == 1


async def test_an_outage_of_redis_is_waited_out_and_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    away = BusUnavailable("Redis does not serve")
    service = Faulty(away, ExceptionGroup("of a task group", [away]))
    async with supervised(service) as (metrics, _):
        await wait_until(lambda: service.runs == 3, "it runs again")
        assert (failures(metrics), metrics.failing_text(), caplog.text) == (0.0, "", "")


async def test_a_service_that_ends_by_itself_has_failed() -> None:
    service = Faulty()
    service.wake()
    async with supervised(service) as (metrics, _):
        await wait_until(lambda: failures(metrics), "it is counted")


@pytest.mark.parametrize("wrap", [lambda exc: exc, lambda exc: ExceptionGroup("", [ValueError(), exc])])
async def test_a_lost_lease_is_known_to_all(wrap: Callable[[Fenced], Exception]) -> None:
    with pytest.raises(Fenced):
        await Supervisor(Metrics()).run("x", Faulty(wrap(Fenced("another"))), anyio.Event())


async def test_a_supervised_service_can_be_cancelled() -> None:
    service = Faulty()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Supervisor(Metrics()).run, "x", service, anyio.Event())
            await wait_until(lambda: service.runs, "it runs")
            tasks.cancel_scope.cancel()


async def test_an_action_that_fails_is_counted_and_an_outage_is_the_callers_own() -> None:
    metrics = Metrics()
    supervisor = Supervisor(metrics)
    assert await supervisor.attempt("x", anyio.lowlevel.checkpoint)
    assert not await supervisor.attempt("x", lambda: Faulty(ValueError()).run(anyio.Event()))
    assert failures(metrics) == 1.0
    with pytest.raises(BusUnavailable):
        await supervisor.attempt("x", lambda: Faulty(BusUnavailable("away")).run(anyio.Event()))
