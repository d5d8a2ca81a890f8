"""One action under way: its parameters, the state, and the ways in which it can speak."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .params import Params
from .state import State


@dataclass(frozen=True)
class Call:
    """One action of a client."""

    state: State
    action: str
    params: Params
    connection: int
    number: int  # of the action in the record
    emit: Callable[[dict[str, Any]], object]
    send_part: Callable[[Any], None]  # sends a frame of a stream action before the answer


Handler = Callable[[Call], Awaitable[object]]
