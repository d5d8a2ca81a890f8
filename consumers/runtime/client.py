"""The sending half of a worker: requests to the bus, and the results of those that somebody waits for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis

from adapter import Result
from consumers.runtime.connection import BLOCK_MS, Settings, connect
from consumers.runtime.event import Request
from consumers.runtime.results import ResultListener
from consumers.runtime.writer import BatchWriter


class BusClient:
    """The Sender through which events answer; needs its `run` beside it."""

    def __init__(
        self,
        application: str,
        consumer: str,
        settings: Settings,
        client: "redis.Redis",
        reader: "redis.Redis",
    ) -> None:
        self.application = application
        self.consumer = consumer
        self.settings = settings
        self.client = client
        self.reader = reader
        self.outlet = BatchWriter(client, settings.key("inbound"), application)
        # The contract allows 64 characters after `results:`.
        self.answers = ResultListener(reader, settings.key("results:" + f"{application}.{consumer}"[-64:]))

    @classmethod
    @asynccontextmanager
    async def open(cls, application: str, consumer: str, settings: Settings) -> AsyncIterator["BusClient"]:
        """Make the clients; the first command connects."""
        client = connect(settings.url, settings.prefix)
        reader = connect(settings.url, settings.prefix, wait=BLOCK_MS / 1000)
        try:
            yield cls(application, consumer, settings, client, reader)
        finally:
            await client.aclose()
            await reader.aclose()

    async def run(self, stop: asyncio.Event, limit: float) -> None:
        """Write and listen until stopped; what waits to be written then gets `limit` seconds."""
        async with asyncio.TaskGroup() as tasks:
            listener = tasks.create_task(self.answers.run())
            await self.outlet.run(stop, limit)
            listener.cancel()

    async def publish(self, request: Request) -> None:
        """Put a request on its way; it is written before anything that is acknowledged later."""
        await self.outlet.append(self.settings.key("outbound"), request.fields())

    async def send(self, request: Request) -> None:
        """Put a request on its way and wait until it is on the bus."""
        await self.outlet.wait_flushed(
            await self.outlet.append(self.settings.key("outbound"), request.fields())
        )

    async def ask(self, request: Request, seconds: float) -> Result:
        """Send, and wait for the result. Raises TimeoutError."""
        with self.answers.expect(request.id) as result:
            async with asyncio.timeout(seconds):
                await self.publish(self.answers.with_reply_stream(request))
                return await result
