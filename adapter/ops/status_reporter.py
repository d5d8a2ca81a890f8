"""Report the state of the adapter in `qq:status`, and each change of the session on `qq:session`."""

import logging
from collections.abc import Callable

import anyio

from adapter.aio import AutoResetEvent, periodic
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.spool.publisher import DurablePublisher
from adapter.codec.inbound import replace_surrogates, timestamp
from adapter.errors import BusUnavailable
from adapter.events import CONTRACT_VERSION, SessionChange, SessionState
from adapter.failpoints import Failpoint, inject
from adapter.ops.metrics import Metrics, Snapshot

log = logging.getLogger(__name__)

# Seconds between two writes of figures; only what changed is written.
INTERVAL = 1.0
# Seconds between two counts of the waiting requests, which cost Redis more.
COUNT_INTERVAL = 5.0
_ALARMING = frozenset({SessionState.OFFLINE, SessionState.KICKED})


class StatusReporter:
    """Write the state of the session; the only secret is the QR code on `qq:session`.

    What Redis does not take is kept and written later.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        publisher: DurablePublisher,
        metrics: Metrics,
        version: str,
        wall: Callable[[], float],
        network: str = "",
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._publisher = publisher
        self._metrics = metrics
        self._wall = wall
        self._wakeup = AutoResetEvent()
        self._lock = anyio.Lock()
        self._counted = 0.0
        self._written: dict[str, str] = {}
        self._entries: list[dict[str, str | bytes]] = []
        self._figures: dict[str, str] = {"paused": "0", "version": version, "last_event": "", "last_poll": ""}
        if network:
            self._figures["network"] = network
        self.state = SessionState.STOPPED
        self.reason = ""
        self.was_online = False
        self.account = ""
        self.nick = ""
        self.paused = False

    def snapshot(self) -> Snapshot:
        """Return the state of the adapter at this moment."""
        return Snapshot(
            state=self.state,
            reason=self.reason,
            account=self.account,
            leased=self._lease.valid(),
            epoch=self._lease.fence.epoch,
            paused=self.paused,
            spool_bytes=self._publisher.unsent_bytes(),
            bus_away=self._publisher.disconnected,
            stuck=self._publisher.disk_error,
            bus_error=self._lease.error,
        )

    def record(self, change: SessionChange, now: float) -> None:
        """Record a change of the session; `flush` writes it."""
        if change.account:
            self.account = change.account
        if change.nick:
            self.nick = self._figures["nick"] = replace_surrogates(change.nick)
        if change.state is not self.state:
            self._figures["since"] = timestamp(now)
        if (change.state, change.reason) != (self.state, self.reason):
            level = logging.WARNING if change.state in _ALARMING else logging.INFO
            text = ": ".join(filter(None, (change.state.value, change.reason, change.detail)))
            log.log(level, "session %s", replace_surrogates(text))
        self.state = change.state
        self.reason = change.reason
        self.was_online = self.was_online or change.state is SessionState.ONLINE
        self._figures |= {
            "state": change.state.value,
            "reason": replace_surrogates(change.reason),
            "account": self.account,
        }
        self._entries.append(self._entry(change, now))

    async def flush(self) -> None:
        """Write what is new; while Redis is away it stays new."""
        async with self._lock:
            fence = self._lease.fence
            self._figures |= {"epoch": str(fence.epoch), "holder": fence.holder}
            self._figures["inbound_seq"] = str(self._publisher.seq)
            self._figures["disk"] = replace_surrogates(self._publisher.disk_error)
            self._figures["failing"] = self._metrics.failing_text()
            self._figures["clock_offset"] = self._metrics.clock_text()
            news = {name: text for name, text in self._figures.items() if self._written.get(name) != text}
            try:
                while self._entries:
                    self._entries[0]["epoch"] = self._entries[0]["epoch"] or str(fence.epoch)
                    await self._bus.write_status(fence, news, self._entries[0])
                    self._entries.pop(0)
                    self._written |= news
                    news = {}
                if news:
                    await self._bus.write_status(fence, news)
                    self._written |= news
            except BusUnavailable as exc:
                log.debug("status: %s", exc)

    def _entry(self, change: SessionChange, now: float) -> dict[str, str | bytes]:
        entry: dict[str, str | bytes] = {
            "v": CONTRACT_VERSION,
            "time": timestamp(now),
            "account": self.account,
            "epoch": "",  # set when the entry is written: a login raises it
            "state": change.state.value,
            "reason": replace_surrogates(change.reason),
            "detail": replace_surrogates(change.detail),
        }
        if change.challenge is not None:
            entry["png"] = change.challenge.picture
            entry["text"] = replace_surrogates(change.challenge.text)
            if change.challenge.expires is not None:
                entry["expires"] = timestamp(change.challenge.expires)
        return entry

    def record_activity(self, now: float, events: int) -> None:
        """Record an answer of upstream and how many events it brought."""
        self._figures["last_poll"] = timestamp(now)
        if events:
            self._figures["last_event"] = self._figures["last_poll"]

    def set_paused(self, *, paused: bool) -> None:
        """Record that sends are held, or released."""
        self.paused = paused
        self._figures["paused"] = "1" if paused else "0"
        self._wakeup.set()

    async def run(self, stop: anyio.Event) -> None:
        """Keep the figures fresh until stopped."""
        await periodic(self._refresh, seconds=INTERVAL, wakeup=self._wakeup, stop=stop)

    def wake(self) -> None:
        """Write at once; let `run` see that it was stopped."""
        self._wakeup.set()

    async def _refresh(self) -> None:
        await inject(Failpoint.STATUS)
        try:
            if self._wall() - self._counted >= COUNT_INTERVAL:
                self._counted = self._wall()
                pending = await self._bus.outbound_pending()
                self._figures["outbound_pending"] = str(pending)
                oldest = (await self._bus.oldest_pending()).partition("-")[0]
                self._figures["outbound_oldest"] = timestamp(int(oldest) / 1000) if oldest else ""
        except BusUnavailable as exc:
            log.debug("status: %s", exc)
        await self.flush()
