"""Calls a person: runs a command, posts to a webhook. One alarm an episode and its all-clear.

The command gets one more argument, the text, and the same JSON as the webhook on its standard input.
"""

import json
import logging
import random
import shlex
import subprocess
import urllib.request
from dataclasses import dataclass, field
from itertools import islice
from typing import Final
from urllib.error import HTTPError

import anyio

from adapter.aio import backoff
from adapter.codec.inbound import timestamp

log = logging.getLogger(__name__)

# The network may be what the alarm is about: a webhook is tried for some minutes.
TRIES: Final = 6
FIRST, MOST = 1.0, 120.0
COMMAND_SECONDS: Final = 30.0
POST_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person is told. `active` is False for the all-clear. `time` in seconds since 1970."""

    active: bool
    reason: str
    text: str
    account: str
    time: float

    def as_json(self) -> bytes:
        """The body of the webhook; chat services show its `text`."""
        value = {
            "event": "alarm" if self.active else "clear",
            "reason": self.reason,
            "text": self.line(),
            "account": self.account,
            "time": timestamp(self.time),
        }
        return json.dumps(value, ensure_ascii=False).encode()

    def line(self) -> str:
        """The same in one line."""
        return f"qqbus {self.account}".rstrip() + ("" if self.active else " all clear") + f": {self.text}"


@dataclass(frozen=True, slots=True)
class Notifier:
    """Where to ring. Both may be empty; an address may hold a secret and is not shown."""

    command: str = ""
    url: str = field(default="", repr=False)
    first: float = FIRST
    most: float = MOST

    async def notify(self, call: Alert) -> None:
        """Tell it in both ways; what fails is logged, never raised."""
        if self.command:
            await self._run(call)
        if self.url:
            await self._post(call)

    async def _run(self, call: Alert) -> None:
        try:
            with anyio.fail_after(COMMAND_SECONDS):
                done = await anyio.run_process(
                    [*shlex.split(self.command), call.line()],
                    input=call.as_json(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    check=False,
                )
        except (OSError, ValueError, TimeoutError) as exc:
            log.error("QQBUS_ALARM_COMMAND failed: %s: %s", type(exc).__name__, exc)  # noqa: TRY400
            return
        if done.returncode:
            words = (done.stderr or b"").decode("utf-8", "replace").strip()[-200:]
            log.error("QQBUS_ALARM_COMMAND ended with %d: %s", done.returncode, words)

    async def _post(self, call: Alert) -> None:
        failure = ""
        for delay in islice(backoff(random.random, first=self.first, most=self.most), TRIES):
            try:
                await anyio.to_thread.run_sync(_post, self.url, call.as_json(), abandon_on_cancel=True)
            except OSError as exc:  # HTTP and network errors alike; their text may hold the address
                failure = type(exc).__name__
                log.debug("alarm webhook: %s", failure)
                await anyio.sleep(delay)
            else:
                return
        log.error("QQBUS_ALARM_URL did not take the alarm in %d tries: %s", TRIES, failure)


def _post(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 – Config
    try:
        with urllib.request.urlopen(request, timeout=POST_SECONDS) as answer:  # noqa: S310 – checked the scheme
            answer.read(1)
    except HTTPError as exc:
        exc.close()  # it holds the answer
        raise
