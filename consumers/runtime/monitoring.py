"""Serve `/healthz` and, for Prometheus, `/metrics` of a running worker over HTTP."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from adapter import ConfigError
from adapter.http_server import BoundedProtocol, ConnectionLimits
from consumers.runtime.runtime import Runtime

# The format of generate_latest.
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# Connections at a time: a probe takes milliseconds.
_MAX_CONNECTIONS: Final = 32
# Seconds that open answers get when the worker ends.
_CLOSE_SECONDS: Final = 1


class WorkerCollector(Collector):
    """Reads the counters of one worker at each scrape."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, labelled with the application."""
        runtime, counters, client = self._runtime, self._runtime.counters, self._runtime.client
        labels, names = [client.application], ["application"]
        for name, text, count in (
            ("handled", "events whose handlers succeeded", counters.handled),
            ("ticks", "ticks of timers whose handlers succeeded", counters.ticks),
            ("failed", "handlers that raised an error", counters.failed),
            ("buried", "entries and ticks moved to the dead letters", counters.buried),
            (
                "claimed",
                "entries claimed from peers, or found again after a lost reply",
                runtime.source.claimed,
            ),
            ("acked", "entries acknowledged", client.writer.acked),
            (
                "requests",
                "requests written to qq:outbound",
                client.writer.added[client.settings.key("outbound")],
            ),
            ("redis_lost", "failed attempts to reach Redis", counters.lost_connections),
        ):
            counter = CounterMetricFamily(f"qqbus_worker_{name}", text, labels=names)
            counter.add_metric(labels, count)
            yield counter
        for name, (text, number) in runtime.more_metrics().items():
            gauge = GaugeMetricFamily(f"qqbus_{name}", text, labels=names)
            gauge.add_metric(labels, number)
            yield gauge
        for name, text, value in (
            ("in_hand", "entries read and not finished", len(runtime.dispatcher.in_flight)),
            ("redis_serves", "1 while Redis serves", int(runtime.connected)),
        ):
            gauge = GaugeMetricFamily(f"qqbus_worker_{name}", text, labels=names)
            gauge.add_metric(labels, value)
            yield gauge


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `Worker.main` has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def application(runtime: Runtime) -> Starlette:
    """Make the ASGI application."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(runtime))

    async def healthz(_: Request) -> PlainTextResponse:
        problem = runtime.health_problem()
        return PlainTextResponse(f"{problem or 'ok'}\n", 503 if problem else 200)

    async def metrics(_: Request) -> PlainTextResponse:
        return PlainTextResponse(generate_latest(registry), media_type=_CONTENT_TYPE)

    async def not_found(_request: Request, _exc: Exception) -> PlainTextResponse:
        return PlainTextResponse("not found: there are /healthz and /metrics\n", 404)

    routes = [Route("/healthz", healthz), Route("/metrics", metrics)]
    return Starlette(routes=routes, exception_handlers={404: not_found})


@asynccontextmanager
async def serve_monitoring(runtime: Runtime, address: str) -> AsyncIterator[None]:
    """Serve at `host:port` while the body runs. Raises ConfigError."""
    with _listening(address) as listener:
        server = _Server(
            uvicorn.Config(
                application(runtime),
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                lifespan="off",
                ws="none",
                http=BoundedProtocol.with_limits(ConnectionLimits.below_descriptors(_MAX_CONNECTIONS)),
                loop="none",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_CLOSE_SECONDS,
            )
        )
        task = asyncio.get_running_loop().create_task(server.serve([listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([task], timeout=_CLOSE_SECONDS + 1)
            task.cancel()


@contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    try:
        place = (host.strip("[]") or "127.0.0.1", int(port))
        family = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server(
            place, family=family, dualstack_ipv6=place[0] == "::" and socket.has_dualstack_ipv6()
        )
    except (ValueError, OverflowError) as exc:
        raise ConfigError("QQBUS_WORKER_HTTP: {address!r} is not host:port", address=address) from exc
    except OSError as exc:
        raise ConfigError(
            "{name} {address} cannot be used: {error}",
            name="QQBUS_WORKER_HTTP",
            address=address,
            error=exc.strerror,
        ) from exc
    with listener:
        listener.setblocking(False)
        yield listener
