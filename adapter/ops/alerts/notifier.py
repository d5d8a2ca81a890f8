"""Deliver alerts at least once, over each configured channel by itself.

An alert stays in the outbox of a channel until that channel has delivered it. Whatever a delivery raises is a
failed try: it is tried again, ever more rarely, and after a restart. One channel never waits for the other.
"""

import logging
import math
import random
from collections.abc import Iterator, Sequence
from typing import Final

import anyio

from adapter.aio import AutoResetEvent, backoff
from adapter.ops.alerts.alert import Alert
from adapter.ops.alerts.channels import Channel, DeliveryError
from adapter.ops.alerts.store import AlertStore

log = logging.getLogger(__name__)

# Seconds between tries, growing: the network may be what the alarm is about, and may be away for hours.
FIRST_DELAY: Final = 1.0
MAX_DELAY: Final = 3600.0


class Notifier:
    """Put alerts into the outboxes of `store` and deliver them from there."""

    def __init__(
        self,
        channels: Sequence[Channel],
        store: AlertStore,
        *,
        first_delay: float = FIRST_DELAY,
        max_delay: float = MAX_DELAY,
    ) -> None:
        self._store = store
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._wakeups = {channel: AutoResetEvent() for channel in channels}

    def notify(self, alert: Alert) -> None:
        """Queue an alert for each channel; the caller saves the store."""
        for channel, wakeup in self._wakeups.items():
            self._store.outbox(channel.setting).append(alert)
            wakeup.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with anyio.create_task_group() as tasks:
            for channel, wakeup in self._wakeups.items():
                tasks.start_soon(self._serve, channel, wakeup)

    async def _serve(self, channel: Channel, wakeup: AutoResetEvent) -> None:
        """Deliver the outbox of one channel in order; a new alert ends the wait before the next try."""
        outbox = self._store.outbox(channel.setting)
        delays, has_failed = self._delays(), False
        while True:
            if not outbox:
                await wakeup.wait(math.inf)
                continue
            alert = outbox[0]
            if failure := await deliver_once(channel, alert):
                log.log(
                    logging.DEBUG if has_failed else logging.ERROR,
                    "%s failed, it will be tried again: %s",
                    channel.setting,
                    failure,
                )
                has_failed = True
                await wakeup.wait(next(delays))
                continue
            if outbox and outbox[0] is alert:  # else newer alerts have pushed it out
                outbox.popleft()
            self._store.save()
            delays, has_failed = self._delays(), False

    def _delays(self) -> Iterator[float]:
        return backoff(random.random, first=self._first_delay, most=self._max_delay)


async def deliver_once(channel: Channel, alert: Alert) -> str:
    """Deliver once. Returns why that failed, "" if it did not."""
    try:
        await channel.deliver(alert)
    except DeliveryError as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001 – the rescue must not end the adapter, whatever its peer answers
        return type(exc).__name__  # its text may hold the address
    return ""
