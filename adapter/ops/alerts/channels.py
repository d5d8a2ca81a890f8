"""Deliver one alert: run the operator's command, post to the operator's webhook."""

import os
import shlex
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio
from anyio.abc import ByteSendStream

from adapter.errors import QQBusError
from adapter.ops.alerts.alert import Alert

# Seconds that a command may run, and that a webhook may take in all.
COMMAND_SECONDS: Final = 30.0
POST_SECONDS: Final = 10.0
# Bytes of a failed command's standard error that the log shows; bytes that are read at once, a full pipe.
STDERR_SHOWN: Final = 200
PIPE_BYTES: Final = 64 * 1024


class DeliveryError(QQBusError):
    """An alert was not delivered. The text holds no secret."""


class Channel(Protocol):
    """A way to reach the operator; `setting` is its name in logs and in the state file."""

    @property
    def setting(self) -> str:
        """The name of the setting."""

    async def deliver(self, alert: Alert) -> None:
        """Deliver once; any exception is a failure."""


@dataclass(frozen=True, slots=True)
class CommandChannel:
    """Run a command with the text as its last argument and the JSON on standard input."""

    command: str = field(repr=False)
    setting: str = "QQBUS_ALARM_COMMAND"

    async def deliver(self, alert: Alert) -> None:
        """Run the command. Raises DeliveryError unless it ends with 0 in time, and OSError.

        Only the command's own end counts: a program that it left behind may hold standard error open.
        """
        line = [*shlex.split(self.command), alert.line()]
        try:
            with anyio.fail_after(COMMAND_SECONDS):
                code, words = await _run(line, alert.as_json())
        except TimeoutError as exc:
            raise DeliveryError(f"no end within {COMMAND_SECONDS:g} s") from exc
        if code:
            raise DeliveryError(f"ended with {code}: {words}")


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Post the JSON to an address, which may hold a secret and is not shown."""

    url: str = field(repr=False)
    setting: str = "QQBUS_ALARM_URL"

    async def deliver(self, alert: Alert) -> None:
        """Post the alert. Raises DeliveryError unless the answer is 2xx in time, and what httpx raises."""
        import httpx  # noqa: PLC0415 – a tenth of the start of an adapter, and most have no webhook

        headers = {"Content-Type": "application/json"}
        try:
            with anyio.fail_after(POST_SECONDS):
                async with (
                    httpx.AsyncClient(timeout=POST_SECONDS) as client,
                    # The head of the answer is enough: its body may have no end.
                    client.stream("POST", self.url, content=alert.as_json(), headers=headers) as response,
                ):
                    code = response.status_code
        except TimeoutError as exc:
            raise DeliveryError(f"no answer within {POST_SECONDS:g} s") from exc
        if not httpx.codes.is_success(code):
            raise DeliveryError(f"HTTP {code}")


def configured_channels(command: str, url: str) -> tuple[Channel, ...]:
    """Return the channels whose setting is not empty."""
    channels: list[Channel] = []
    if command:
        channels.append(CommandChannel(command))
    if url:
        channels.append(WebhookChannel(url))
    return tuple(channels)


async def _run(line: list[str], given: bytes) -> tuple[int, str]:
    """Run a command to its own end. Returns its exit code and the end of its standard error.

    A cancellation kills it. Standard error is a pipe that asyncio does not know: in some releases it waits
    for the end of its pipes too, and a program that the command left behind may hold this one open.
    """
    reader, writer = os.pipe()
    tail = bytearray()
    try:
        os.set_blocking(reader, False)
        try:
            # A process whose start is cancelled would live on.
            with anyio.CancelScope(shield=True):
                process = await anyio.open_process(
                    line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=writer
                )
        finally:
            os.close(writer)
        async with process, anyio.create_task_group() as tasks:
            tasks.start_soon(_collect, reader, tail)
            await _feed(process.stdin, given)
            code = await process.wait()
            tasks.cancel_scope.cancel()
        _take(reader, tail)
    finally:
        os.close(reader)
    return code, tail.decode("utf-8", "replace").strip()


async def _feed(stdin: ByteSendStream | None, given: bytes) -> None:
    assert stdin is not None  # noqa: S101 – it was asked for
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # a command need not read it
        await stdin.send(given)
        await stdin.aclose()


async def _collect(reader: int, tail: bytearray) -> None:
    """Read standard error until its end or until cancelled: a full pipe would hold up the command."""
    is_open = True
    while is_open:
        await anyio.wait_readable(reader)
        is_open = _take(reader, tail)


def _take(reader: int, tail: bytearray) -> bool:
    """Read what has come, and keep the end of it. Returns False at the end of the pipe."""
    try:
        chunk = os.read(reader, PIPE_BYTES)
    except BlockingIOError:
        return True
    tail += chunk
    del tail[:-STDERR_SHOWN]
    return bool(chunk)
