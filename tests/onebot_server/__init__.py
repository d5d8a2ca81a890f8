"""A OneBot 11 implementation for tests; it shares no code with the adapter."""

from .dialects import DIALECTS
from .errors import ControlError
from .faults import Fault, Rule
from .options import Options
from .record import Action, Closing, Delivery, Emission, Handshake
from .server import OneBotServer
from .world import Group, Member, Person, World, sample_world

__all__ = [
    "DIALECTS",
    "Action",
    "Closing",
    "ControlError",
    "Delivery",
    "Emission",
    "Fault",
    "Group",
    "Handshake",
    "Member",
    "OneBotServer",
    "Options",
    "Person",
    "Rule",
    "World",
    "sample_world",
]
