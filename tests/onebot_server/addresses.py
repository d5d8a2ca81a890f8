"""Addresses of chats as the control interface spells them."""

from dataclasses import dataclass
from typing import Literal

from .errors import ControlError


@dataclass(frozen=True)
class Chat:
    """A chat: `friend:<QQ>`, `group:<number>` or `temp:<QQ>@group:<number>` (0: group unknown)."""

    kind: Literal["friend", "group", "temp"]
    peer: int
    group: int = 0

    def __str__(self) -> str:
        if self.kind == "temp":
            return f"temp:{self.peer}@group:{self.group}"
        return f"{self.kind}:{self.peer}"

    @property
    def is_private(self) -> bool:
        """Whether one person alone reads the chat."""
        return self.kind != "group"


def parse_chat(text: object) -> Chat:
    """Return the chat that a text names; raise ControlError for anything else."""
    kind, _, rest = str(text).partition(":")
    if kind in {"friend", "group"} and rest.isdecimal():
        return Chat("friend" if kind == "friend" else "group", int(rest))
    peer, _, group = rest.partition("@group:")
    if kind == "temp" and peer.isdecimal() and group.isdecimal():
        return Chat("temp", int(peer), int(group))
    raise ControlError(f"{text!r} is not a chat: friend:QQ, group:NUMBER or temp:QQ@group:NUMBER")
