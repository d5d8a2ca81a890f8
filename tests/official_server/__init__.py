"""Stand in for Tencent's official QQ bot API; shares no code with the adapter."""

from .faults import Answer, FaultError, Rule
from .options import OptionError, Options
from .record import Event, Received, Request
from .server import OfficialServer
from .waiting import WaitTimeoutError

__all__ = [
    "Answer",
    "Event",
    "FaultError",
    "OfficialServer",
    "OptionError",
    "Options",
    "Received",
    "Request",
    "Rule",
    "WaitTimeoutError",
]
