"""Conversations: what the generators of the logins yield, are sent, and share. Pure.

A conversation yields a `Request` and is sent its `Answer`; yields a `Wait` and is sent whether
`login` was asked for meanwhile; yields an `Ask` and is sent what a person typed, or None; yields
a `SessionChange` for the world to see. client.py and network.py do what it yields.
"""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from adapter.errors import ProtocolError
from adapter.events import SessionChange
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Answer, Request
from adapter.networks.smartqq.session.credentials import Tokens


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Wait at most so long for a person to type what the challenge shows."""

    seconds: float


Step = Request | Wait | Ask | SessionChange
Reply = Answer | bool | str | None

T = TypeVar("T")
Talk = Generator[Step, Reply, T]


class Rejected(Exception):  # noqa: N818 – a state of the login, not a mistake
    """Upstream does not accept these cookies or this session; another way in may work."""


@dataclass(slots=True)
class Desk:
    """What a conversation works with. `codes`: QR codes shown since anybody cared."""

    tokens: Tokens
    limits: Limits
    clock: Callable[[], float]
    chance: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    by_password: bool = False
    account: str = ""
    password: str = field(default="", repr=False)
    codes: int = 0


def call(request: Request) -> Talk[Answer]:
    """One request, one answer."""
    answer = yield request
    if not isinstance(answer, Answer):
        raise TypeError("a request is answered by an Answer")
    return answer


def wait(seconds: float) -> Talk[bool]:
    """Let time pass; True if somebody asked for a login meanwhile."""
    return (yield Wait(seconds)) is True


def ask(seconds: float) -> Talk[str | None]:
    """What a person typed, or None."""
    typed = yield Ask(seconds)
    return typed if isinstance(typed, str) else None


_CALL: Final = re.compile(r"(ptuiCB|ptui_checkVC|ptui_auth_CB)\s*\(\s*'(.*)'\s*\)", re.DOTALL)
_COMMA: Final = re.compile(r"'\s*,\s*'")
_FIELDS: Final = {"ptuiCB": 6, "ptui_checkVC": 6, "ptui_auth_CB": 2}


def arguments(answer: Answer) -> tuple[str, ...]:
    """The arguments of the JavaScript call that an answer of ptlogin2 is, six at least (1.4, 2.2).

    The last one goes on to the closing bracket, so that a quote in a nick disturbs nothing.
    Raises ProtocolError for anything else.
    """
    found = _CALL.search(answer.text)
    if found is None:
        raise ProtocolError(f"no call in the answer: status {answer.status}, {len(answer.body)} bytes")
    parts = _COMMA.split(found[2], maxsplit=_FIELDS[found[1]] - 1)
    return (*parts, *[""] * (6 - len(parts)))
