"""The steps between which a process may die. Tests hang a hook here and kill at each; nothing else does."""

from collections.abc import Callable
from enum import StrEnum


class Failpoint(StrEnum):
    """What has just been done."""

    ARRIVED = "arrived"  # an answer to a poll has begun to come: upstream will not give it again
    BROUGHT = "brought"  # … and it is no empty one
    RECEIVED = "received"  # a batch is in memory only: the one window that SmartQQ leaves
    HELD = "held"  # … where it takes time to learn who speaks: told as it is, if the process ends here
    SPOOLED = "spooled"  # the system has it: it outlives the process
    SYNCED = "synced"  # the disk has it: it outlives the machine's power
    APPENDED = "appended"
    ADVANCED = "advanced"
    DRAINED = "drained"  # nothing waits any more
    READ = "read"
    BEGUN = "begun"
    ANSWERED = "answered"
    STEPPED = "stepped"
    SETTLED = "settled"


handler: Callable[[Failpoint], None] | None = None


def hit(step: Failpoint) -> None:
    """Tell the hook, if there is one."""
    if handler is not None:
        handler(step)
