"""Raise one alarm when Redis does not serve this adapter, and clear it when it does again. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Final

from adapter.i18n import N_
from adapter.ops.alerts.disk_monitor import DiskMonitor

REDIS: Final = "redis"


@dataclass
class RedisMonitor(DiskMonitor):
    """Watch whether Redis serves: it may be away, or refuse the credentials.

    Seconds: a restart or a failover takes less than the grace, and events wait on disk.
    """

    reason: ClassVar = REDIS
    grace: ClassVar = 60.0
    calm: ClassVar = 10.0
    consequence: ClassVar = N_("events wait on disk, and requests in Redis")
    all_clear: ClassVar = N_("Redis serves again")
