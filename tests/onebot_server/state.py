"""The state that all parts share: options, world, messages, requests, files, record, switches."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .dialects import Dialect
from .messages import MessageStore
from .options import Options
from .pictures import Pictures
from .record import Record
from .requests import Requests
from .world import World

MUTE_STATES = ("", "lost", "delivered")
# Uploads in chunks that are kept at a time, and the bytes of one; the oldest go first.
MAX_UPLOADS = 16
MAX_UPLOAD_BYTES = 64 * 1024 * 1024
# Temporary sessions whose group is remembered; the oldest go first.
MAX_TEMP_GROUPS = 10_000


@dataclass
class Switches:
    """The ways in which the implementation or QQ is broken at present."""

    is_down: bool = False  # the port is closed
    is_online: bool = True  # QQ itself
    is_deaf: bool = False  # events stop, heartbeats and actions go on
    mute: str = ""  # sends time out; the message is lost or delivered
    # Events that came while QQ was offline, for LLBot's report of them.
    lifted: deque[Any] = field(default_factory=lambda: deque(maxlen=10_000))


class State:
    """One implementation with its one account."""

    def __init__(self, options: Options, world: World, clock: Callable[[], float] = time.time) -> None:
        self.options = options
        self.world = world
        self.clock = clock
        self.started = int(clock())
        self.record = Record()
        self.switches = Switches()
        self.messages = MessageStore(lambda: self.traits)
        self.requests = Requests()
        self.pictures = Pictures(clock, lambda: self.options.rkey_seconds)
        self.uploads: dict[str, list[bytes]] = {}
        self.temp_groups: dict[int, int] = {}
        self._traits: tuple[Options, Dialect] = (options, options.traits)

    @property
    def traits(self) -> Dialect:
        """Return the dialect as the options override it."""
        if self._traits[0] is not self.options:
            self._traits = (self.options, self.options.traits)
        return self._traits[1]

    @property
    def account(self) -> int:
        """Return the own QQ number."""
        return self.world.account

    @property
    def looks_online(self) -> bool:
        """Return what heartbeats and get_status say."""
        return self.switches.is_online or self.options.heartbeat_lies

    def remember_temp(self, user: int, group: int) -> None:
        """Remember the group of a temporary session."""
        self.temp_groups[user] = group
        while len(self.temp_groups) > MAX_TEMP_GROUPS:
            del self.temp_groups[next(iter(self.temp_groups))]

    def now(self) -> int:
        """Return the time of an event in seconds."""
        return int(self.clock())

    def stamped(self, post_type: str, moment: int | None = None, **fields: Any) -> dict[str, Any]:
        """Return an event with the fields that all events have."""
        seconds = self.now() if moment is None else moment
        stamp = seconds * 1000 if self.options.milliseconds else seconds
        return {"time": stamp, "self_id": self.account, "post_type": post_type, **fields}
