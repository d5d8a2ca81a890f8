"""Keep over a restart which alarms are raised and which alerts are not delivered yet."""

import json
import logging
import os
from collections import deque
from pathlib import Path
from typing import Any, Final

from adapter.ops.alerts.alert import Alert
from adapter.ops.alerts.disk_monitor import DISK
from adapter.ops.alerts.mute_monitor import MUTE
from adapter.ops.alerts.redis_monitor import REDIS

log = logging.getLogger(__name__)

FILE: Final = "alerts.json"
# Undelivered alerts of one channel: four alarms and their all-clears. Older ones are dropped.
MAX_UNDELIVERED: Final = 8


class AlertStore:
    """The raised alarms and the outbox of each channel, as a JSON file that is replaced as a whole.

    A file that is missing or cannot be read is begun anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.alarm = ""
        self.disk_alarm = ""
        self.redis_alarm = ""
        self.mute_alarm = ""
        self.bus_alarms: tuple[str, ...] = ()
        self._loaded: dict[str, list[Alert]] = {}
        self._outboxes: dict[str, deque[Alert]] = {}
        self._load()

    def outbox(self, channel: str) -> deque[Alert]:
        """Return the undelivered alerts of a channel, oldest first; a channel not asked for is dropped."""
        if channel not in self._outboxes:
            self._outboxes[channel] = deque(self._loaded.pop(channel, ()), maxlen=MAX_UNDELIVERED)
        return self._outboxes[channel]

    def save(self) -> None:
        """Write the file; a disk that takes nothing is logged."""
        value = {
            "alarm": self.alarm,
            "disk": bool(self.disk_alarm),
            "redis": bool(self.redis_alarm),
            "mute": bool(self.mute_alarm),
            "bus": list(self.bus_alarms),
            "undelivered": {name: [alert.as_row() for alert in box] for name, box in self._outboxes.items()},
        }
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(value), encoding="ascii")
            os.replace(temporary, self._path)  # noqa: PTH105 – the same, and the name says it replaces
        except OSError as exc:
            log.warning("%s cannot be written: %s", self._path.name, exc.strerror)

    def _load(self) -> None:
        try:
            value: Any = json.loads(self._path.read_text(encoding="ascii"))
            loaded = {
                str(name): list(map(Alert.from_row, rows)) for name, rows in value["undelivered"].items()
            }
            alarm, is_disk_full = str(value["alarm"]), value["disk"] is True
            is_mute = value.get("mute") is True
            bus_alarms = tuple(map(str, value.get("bus", ())))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return
        # A file of an older version has no such field.
        self.redis_alarm = REDIS if value.get("redis") is True else ""
        self.alarm, self.disk_alarm, self._loaded = alarm, DISK if is_disk_full else "", loaded
        self.mute_alarm = MUTE if is_mute else ""
        self.bus_alarms = bus_alarms
