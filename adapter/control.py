"""Execute the operator's commands from the stream `qq:control`; COMMANDS names them."""

import logging
from collections.abc import Callable, Mapping
from functools import partial

import anyio
from anyio.abc import TaskGroup

from adapter.aio import STEP_TIMEOUT
from adapter.bus.bus import Bus
from adapter.bus.lease import Lease
from adapter.bus.retention import Retention
from adapter.codec.address import parse_address
from adapter.errors import BusUnavailable, Fenced, QQBusError
from adapter.failpoints import Failpoint, inject
from adapter.networks.upstream import SupportsContacts, SupportsLogin, SupportsMembers, Upstream, require
from adapter.ops.status_reporter import StatusReporter
from adapter.ops.supervisor import Supervisor
from adapter.outbound.pipeline import OutboundPipeline
from adapter.rpc import ControlRpc

log = logging.getLogger(__name__)

STREAM = "control"
# Commands of one read: an operator gives one at a time.
READ_COUNT = 10
# Seconds: a command that waited longer for an adapter is no longer meant.
MAX_COMMAND_AGE = 60.0
# Characters of a foreign value that the log shows.
MAX_SHOWN = 64
COMMANDS = (
    *("login", "logout", "refresh", "pause", "resume"),
    *("captcha", "lapse", "restore", "presence", "image"),
)


class Control:
    """The service that reads `qq:control`.

    A command is acknowledged before it is executed: one that cannot be executed is logged and skipped, and
    is not repeated at the next start.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        upstream: Upstream,
        outbound: OutboundPipeline,
        status_reporter: StatusReporter,
        retention: Retention,
        rpc: ControlRpc,
        supervisor: Supervisor,
        *,
        wall: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._upstream = upstream
        self._outbound = outbound
        self._status_reporter = status_reporter
        self._retention = retention
        self._rpc = rpc
        self._supervisor = supervisor
        self._wall = wall
        self._is_refreshing = False

    async def run(self, stop: anyio.Event) -> None:
        """Execute commands until stopped. Raises BusUnavailable, and Fenced."""
        async with anyio.create_task_group() as tasks:
            await self._serve(stop, tasks)
            tasks.cancel_scope.cancel()

    def wake(self) -> None:
        """Do nothing: a read ends by itself, after half a second at most."""

    async def _serve(self, stop: anyio.Event, tasks: TaskGroup) -> None:
        await self._bus.ensure_group(STREAM)
        is_recovered = False
        while not stop.is_set():
            with anyio.fail_after(STEP_TIMEOUT):
                await inject(Failpoint.CONTROL)
                if is_recovered:
                    entries = await self._bus.read_new(STREAM, READ_COUNT, self._lease.fence)
                else:
                    entries = await self._bus.read_pending(STREAM, "0", READ_COUNT)
                    is_recovered = not entries
            for entry, fields in entries:
                await self._bus.xack(STREAM, entry)
                await self._supervisor.attempt("control", partial(self._execute, entry, fields, tasks))

    async def _execute(self, entry: str, given: Mapping[bytes, bytes], tasks: TaskGroup) -> None:
        fields = {
            name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in given.items()
        }
        command, by = fields.get("cmd", ""), fields.get("by", "")
        age = self._wall() - int(entry.partition("-")[0]) / 1000
        if age > MAX_COMMAND_AGE:
            log.warning("command %.20r skipped: it is %.0f s old, give it again", command, age)
        elif command not in COMMANDS:
            log.warning("command %.20r skipped: it is none of %s", command, ", ".join(COMMANDS))
        else:
            try:
                await self._dispatch(command, entry, fields, given, tasks)
            except (BusUnavailable, Fenced):
                raise
            except QQBusError as exc:
                log.warning("command %s of entry %s failed: %s", command, entry, exc)
            else:
                log.info("command %s%s", command, f" by {by[:MAX_SHOWN]!r}" if by else "")

    async def _dispatch(
        self,
        command: str,
        entry: str,
        fields: Mapping[str, str],
        given: Mapping[bytes, bytes],
        tasks: TaskGroup,
    ) -> None:
        match command:
            case "login":
                await require(self._upstream, SupportsLogin, command).login()
            case "logout":
                await require(self._upstream, SupportsLogin, command).logout()
            case "refresh" if "to" in fields:
                members = require(self._upstream, SupportsMembers, "refresh of a group")
                load = partial(members.load_members, parse_address(fields["to"]))
                tasks.start_soon(self._supervisor.attempt, "control", load)
            case "refresh":
                contacts = require(self._upstream, SupportsContacts, command)
                if not self._is_refreshing:
                    tasks.start_soon(self._supervisor.attempt, "control", partial(self._refresh, contacts))
            case "captcha":
                captcha = require(self._upstream, SupportsLogin, command)
                await captcha.submit_captcha(fields.get("text", "").strip())
                await self._bus.xdel(STREAM, entry)  # what a captcha says need not stay readable
            case "pause" | "resume":
                self.set_paused(paused=command == "pause")
            case "lapse" | "restore":
                # Group names are bytes of other programs.
                await self._retention.lapse(given.get(b"group", b""), lapsed=command == "lapse")
            case "presence" | "image":
                tasks.start_soon(self._rpc.call, command, fields)

    async def _refresh(self, contacts: SupportsContacts) -> None:
        """Load all contacts in a task of its own: a crowded account takes half a minute."""
        self._is_refreshing = True
        try:
            await contacts.refresh_contacts()
        finally:
            self._is_refreshing = False

    def set_paused(self, *, paused: bool) -> None:
        """Hold sends, or release them."""
        self._outbound.paused = paused
        self._outbound.wake()
        self._status_reporter.set_paused(paused=paused)
