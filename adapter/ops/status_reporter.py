"""What is going on: folds events into `qq:status`, and tells each change of the session on `qq:session`."""

import logging
from collections.abc import Callable

import anyio

from adapter.aio import AutoResetEvent
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.spool.publisher import DurablePublisher
from adapter.codec.inbound import replace_surrogates, timestamp
from adapter.errors import BusUnavailable
from adapter.events import CONTRACT_VERSION, SessionChange, SessionState

log = logging.getLogger(__name__)

# Figures are written this often, and only when they changed.
EVERY = 1.0
COUNT_EVERY = 5.0
_ALARMING = frozenset({SessionState.OFFLINE, SessionState.KICKED})


class StatusReporter:
    """The state of the session, in words; without secrets but for the QR code on `qq:session`.

    `stuck` tells why events cannot be put on disk, "" where they can.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        journal: DurablePublisher,
        version: str,
        wall: Callable[[], float],
        *,
        stuck: Callable[[], str] = lambda: "",
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._journal = journal
        self._wall = wall
        self._stuck = stuck
        self._wakeup = AutoResetEvent()
        self._lock = anyio.Lock()
        self._written: dict[str, str] = {}
        self._entries: list[dict[str, str | bytes]] = []
        self._figures: dict[str, str] = {"paused": "0", "version": version, "last_event": "", "last_poll": ""}
        self.state = SessionState.STOPPED
        self.reason = ""
        self.was_online = False
        self.account = ""

    async def report(self, change: SessionChange, now: float) -> None:
        """The session moved: note it and tell it."""
        self.record(change, now)
        await self.flush()

    def record(self, change: SessionChange, now: float) -> None:
        """The session moved; `tell` writes it down."""
        if change.account:
            self.account = change.account
        if change.nick:
            self._figures["nick"] = replace_surrogates(change.nick)
        if change.state is not self.state:
            self._figures["since"] = timestamp(now)
        if (change.state, change.reason) != (self.state, self.reason):
            level = logging.WARNING if change.state in _ALARMING else logging.INFO
            said = ": ".join(filter(None, (change.state.value, change.reason, change.detail)))
            log.log(level, "session %s", replace_surrogates(said))
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
        """Write what is new."""
        await self._write()

    def _entry(self, change: SessionChange, now: float) -> dict[str, str | bytes]:
        entry: dict[str, str | bytes] = {
            "v": CONTRACT_VERSION,
            "time": timestamp(now),
            "account": self.account,
            "epoch": "",  # known when it is written: a login raises it
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
        """Upstream answered, with so many events."""
        self._figures["last_poll"] = timestamp(now)
        if events:
            self._figures["last_event"] = self._figures["last_poll"]

    def set_paused(self, *, paused: bool) -> None:
        """Sends are held, or released."""
        self._figures["paused"] = "1" if paused else "0"
        self._wakeup.set()

    async def run(self, stop: anyio.Event) -> None:
        """Keep the figures fresh until stopped."""
        counted = 0.0
        while not stop.is_set():
            try:
                if self._wall() - counted >= COUNT_EVERY:
                    counted = self._wall()
                    pending = await self._bus.outbound_pending()
                    self._figures["outbound_pending"] = str(pending)
                    oldest = (await self._bus.oldest_pending()).partition("-")[0]
                    self._figures["outbound_oldest"] = timestamp(int(oldest) / 1000) if oldest else ""
            except BusUnavailable as exc:
                log.debug("status: %s", exc)
            await self._write()
            await self._wakeup.wait(EVERY)

    def wake(self) -> None:
        """Let `keep` notice that it was stopped."""
        self._wakeup.set()

    async def _write(self) -> None:
        """Write what is new; while Redis is away it stays new."""
        async with self._lock:
            fence = self._lease.fence
            self._figures |= {"epoch": str(fence.epoch), "holder": fence.holder}
            self._figures["inbound_seq"] = str(self._journal.seq)
            self._figures["disk"] = replace_surrogates(self._stuck())
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
