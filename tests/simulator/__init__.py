"""A SmartQQ to talk to, the network having closed in 2019; it shares no code with the adapter."""

from .content import AT, PICTURE
from .faults import Answer, FaultError, Rule
from .journal import Received, RequestLog
from .options import OptionError, Options
from .pulse import WaitTimeoutError
from .sample import ACCOUNT, sample_world
from .simulator import Simulator, SimulatorError
from .world import Discussion, Friend, Group, Member, Person, World

__all__ = [
    "ACCOUNT",
    "AT",
    "PICTURE",
    "Answer",
    "Discussion",
    "FaultError",
    "Friend",
    "Group",
    "Member",
    "OptionError",
    "Options",
    "Person",
    "Received",
    "RequestLog",
    "Rule",
    "Simulator",
    "SimulatorError",
    "WaitTimeoutError",
    "World",
    "sample_world",
]
