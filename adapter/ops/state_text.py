"""The text of a state: how urgent it is, what it means, what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How urgent a state is; on the page a colour."""

    GOOD = "good"
    BUSY = "busy"  # passes without help
    ACT = "act"  # waits for the operator
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class StateText:
    """What a state means, and what to do about it: at a terminal, on the page."""

    level: Level
    headline: str
    cli_hint: str = ""
    page_hint: str = ""
