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
from adapter.networks.smartqq.protocol.http import Request, Response
from adapter.networks.smartqq.session.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitCaptcha:
    """Wait at most so long for a person to type what the challenge shows."""

    seconds: float


Action = Request | Sleep | AwaitCaptcha | SessionChange
Input = Response | bool | str | None

T = TypeVar("T")
LoginFlow = Generator[Action, Input, T]


class SessionRejected(Exception):  # noqa: N818 – a state of the login, not a mistake
    """Upstream does not accept these cookies or this session; another way in may work."""


@dataclass(slots=True)
class LoginContext:
    """What a conversation works with. `codes`: QR codes shown since anybody cared."""

    tokens: Credentials
    limits: Limits
    clock: Callable[[], float]
    random: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    by_password: bool = False
    account: str = ""
    password: str = field(default="", repr=False)
    qr_shown: int = 0


def send(request: Request) -> LoginFlow[Response]:
    """One request, one answer."""
    answer = yield request
    if not isinstance(answer, Response):
        raise TypeError("a request is answered by an Answer")
    return answer


def sleep(seconds: float) -> LoginFlow[bool]:
    """Let time pass; True if somebody asked for a login meanwhile."""
    return (yield Sleep(seconds)) is True


def await_captcha(seconds: float) -> LoginFlow[str | None]:
    """What a person typed, or None."""
    typed = yield AwaitCaptcha(seconds)
    return typed if isinstance(typed, str) else None


_CALL: Final = re.compile(r"(ptuiCB|ptui_checkVC|ptui_auth_CB)\s*\(\s*'(.*)'\s*\)", re.DOTALL)
_COMMA: Final = re.compile(r"'\s*,\s*'")
_FIELDS: Final = {"ptuiCB": 6, "ptui_checkVC": 6, "ptui_auth_CB": 2}


def parse_ptui_callback(answer: Response) -> tuple[str, ...]:
    """The arguments of the JavaScript call that an answer of ptlogin2 is, six at least (1.4, 2.2).

    The last one goes on to the closing bracket, so that a quote in a nick disturbs nothing.
    Raises ProtocolError for anything else.
    """
    found = _CALL.search(answer.text)
    if found is None:
        raise ProtocolError(f"no call in the answer: status {answer.status}, {len(answer.body)} bytes")
    parts = _COMMA.split(found[2], maxsplit=_FIELDS[found[1]] - 1)
    return (*parts, *[""] * (6 - len(parts)))
