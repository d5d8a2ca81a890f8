"""A worker whose events are held until its own clients have confirmed them: a gateway, a server of tools."""

import contextlib
from dataclasses import replace
from typing import Any, Protocol

from consumers.runtime.client import BusClient
from consumers.runtime.connection import Settings, application_name, consumer_name
from consumers.runtime.handlers import HandlerRegistry
from consumers.runtime.holding import EntrySink
from consumers.runtime.program import WorkerProgram
from consumers.runtime.runtime import Runtime, WorkerOptions


class Holder(EntrySink[Any], Protocol):
    """An application that holds entries.

    `consumer`: its name in the group, which a restart keeps; empty for a new one each time.
    """

    consumer: str

    def attach(self, runtime: Runtime) -> None:
        """Get the runtime before it runs: its client, its held entries, its services."""


class HoldingWorker:
    """Runs a holder on the worker runtime. A new group begins now."""

    def __init__(
        self,
        name: str,
        holder: Holder,
        *,
        options: WorkerOptions | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.name = application_name(name)
        self.options = replace(options or WorkerOptions(), start="$")
        self._holder = holder
        self._settings = settings
        self._runtime: Runtime | None = None

    async def run(self) -> None:
        """Work until `stop`. Raises ConfigError, or the error of Redis that no retry can mend."""
        settings = self._settings or Settings.from_env()
        consumer = self._holder.consumer or consumer_name()
        async with BusClient.open(self.name, consumer, settings) as client:
            self._runtime = runtime = Runtime(client, HandlerRegistry(), self.options, self._holder)
            self._holder.attach(runtime)
            try:
                async with _monitoring(runtime, settings.http):
                    await runtime.run()
            finally:
                self._runtime = None

    async def ready(self) -> None:
        """Wait until the group exists and reading has started."""
        if self._runtime is None:
            raise RuntimeError("the worker does not run")
        await self._runtime.started.wait()

    def stop(self) -> None:
        """Take no more events and return from `run`."""
        if self._runtime is not None:
            self._runtime.stop.set()

    def main(self) -> None:
        """Run as a program until SIGTERM or SIGINT; exits with 0 after them."""
        WorkerProgram(
            self.run,
            self.stop,
            lambda: len(self._runtime.dispatcher.in_flight) if self._runtime else 0,
            shutdown_timeout=self.options.shutdown_timeout,
            concurrency=1,
        ).main()


def _monitoring(runtime: Runtime, address: str) -> "contextlib.AbstractAsyncContextManager[None]":
    if not address:
        return contextlib.nullcontext()
    # 6 MB and 0.15 s that a worker without the endpoint saves.
    from consumers.runtime.monitoring import serve_monitoring  # noqa: PLC0415

    return serve_monitoring(runtime, address)
