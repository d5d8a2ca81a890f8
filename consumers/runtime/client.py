"""The bus as a worker sees it: two connections, requests out, results in."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from adapter import Received, Result
from consumers.runtime.connection import BLOCK_MS, RetryLoop, Settings, connect
from consumers.runtime.conversations import Conversations
from consumers.runtime.requests import LARGEST_LIMITS, Request
from consumers.runtime.results import ResultListener
from consumers.runtime.state import SharedState
from consumers.runtime.tasks import TaskSupervisor
from consumers.runtime.writer import BatchWriter

log = logging.getLogger("qqbus.worker")


class BusClient:
    """Publishes requests and waits for results; its loops run while `start` has been called."""

    limits = LARGEST_LIMITS

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
        self.retries = RetryLoop()
        self.writer = BatchWriter(client, settings.key("inbound"), application, self.retries)
        self.state = SharedState(client, settings.key(f"worker:{application}"), consumer, self.retries)
        self.conversations = Conversations(self.state, settings.key("inbound"))
        # Frees the chat and the slot of the handler of an event.
        self.park: Callable[[str], object] = lambda _: None
        # The contract allows 64 characters after `results:`.
        reply_stream = settings.key("results:" + f"{application}.{consumer}"[-64:])
        self.results = ResultListener(reader, settings.key("results"), reply_stream, self.retries)

    @classmethod
    @asynccontextmanager
    async def open(cls, application: str, consumer: str, settings: Settings) -> AsyncIterator["BusClient"]:
        """Make both clients; the first command connects. Raises ConfigError."""
        client = connect(settings.url, settings.prefix)
        # Blocking reads hold a connection, so writes have one of their own.
        reader = connect(settings.url, settings.prefix, block_seconds=BLOCK_MS / 1000)
        try:
            yield cls(application, consumer, settings, client, reader)
        finally:
            await client.aclose()
            await reader.aclose()

    def start(self, tasks: TaskSupervisor) -> "asyncio.Task[None]":
        """Start the writer and the result listener; returns the writer's task."""
        tasks.start(self.results.run())
        tasks.start(self.conversations.run())
        return tasks.start(self.writer.run())

    async def publish(self, request: Request) -> None:
        """Queue a request. Redis has it before the XACK of the event that it answers."""
        await self._append(request)

    async def send(self, request: Request) -> None:
        """Publish a request and wait until Redis has it."""
        await self.writer.wait_flushed(await self._append(request))

    async def confirm(self, request: Request, seconds: float) -> Result:
        """Publish a request and wait for its result. Raises TimeoutError after `seconds`."""
        with self.results.expect(request.id) as result:
            try:
                async with asyncio.timeout(seconds):
                    if request.op == "call":
                        await self._permit_call(request)
                    await self.publish(self.results.with_reply_stream(request))
                    return await result
            except TimeoutError:
                self.results.watch(request.id)
                raise

    async def converse(self, received: Received, request: Request, seconds: float) -> Received:
        """Publish a question and wait for the speaker's next message. Raises NoAnswerError."""

        async def publish() -> None:
            await self.send(request)
            self.park(received.entry)

        return await self.conversations.ask(received, request.id, seconds, publish)

    async def first_time(self, key: str) -> bool:
        """Return whether this key is new to the application."""
        return await self.state.first_time(key)

    async def count(self, key: str, seconds: float) -> int:
        """Count a key in the present window of `seconds`; returns its count there."""
        return await self.state.count(key, seconds)

    async def _permit_call(self, request: Request) -> None:
        """Confirm a call, as one must be where calls are guarded; a user without that right skips it."""
        key, (body,) = self.settings.key("calls"), (item for item in request.fields() if type(item) is bytes)
        digest = hashlib.sha256(body).hexdigest()
        try:
            await self.retries.run(lambda: self.client.hset(key, request.id, digest))
        except NoPermissionError:
            log.debug("this user may not confirm calls: the role caller may")

    async def _append(self, request: Request) -> int:
        if not request.results:
            self.results.watch(request.id)
        return await self.writer.append(self.settings.key("outbound"), request.fields())
