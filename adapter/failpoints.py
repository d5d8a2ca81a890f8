"""Failpoints: steps between which a process may die. Only tests set a handler, and kill at each step."""

from collections.abc import Awaitable, Callable
from enum import StrEnum


class Failpoint(StrEnum):
    """The step that has just been done."""

    ARRIVED = "arrived"  # an answer to a poll has begun to come: upstream will not give it again
    BROUGHT = "brought"  # … and it has events
    RECEIVED = "received"  # a batch is in memory only: a kill loses it, as SmartQQ gives it once
    SPOOLED = "spooled"  # the operating system has it: it outlives the process
    SYNCED = "synced"  # the disk has it: it outlives a power cut
    APPENDED = "appended"  # Redis has it, and the checkpoint does not know
    ADVANCED = "advanced"  # the checkpoint has passed it
    DRAINED = "drained"  # nothing waits any more
    READ = "read"  # a request is read, and nothing is written down
    BEGUN = "begun"  # the ledger knows that it is about to be sent
    ANSWERED = "answered"  # upstream has answered to a part
    STEPPED = "stepped"  # the ledger knows that answer
    SETTLED = "settled"  # the result is written
    # A background service is at work; see `inject`.
    STATUS = "status"
    RETENTION = "retention"
    WATCHDOG = "watchdog"
    REPLICATION = "session replication"
    CONTROL = "control"
    RPC = "rpc"
    PAGE = "page"
    PAGE_SERVER = "page server"


handler: Callable[[Failpoint], Awaitable[None] | None] | None = None


def hit(step: Failpoint) -> None:
    """Call the handler, if there is one."""
    if handler is not None:
        handler(step)


async def inject(step: Failpoint) -> None:
    """Call the handler and await what it returns: a test may let a service raise or hang here."""
    if handler is not None and (fault := handler(step)) is not None:
        await fault
