"""Define login flows: generators that yield actions and are sent their results. Pure.

A flow yields a `Request` and is sent the `Response`. It yields `Sleep` and is sent whether a login was
requested during it. It yields `AwaitCaptcha` and is sent the text, or None. It yields a `SessionChange` to
be published. `LoginRunner` performs what a flow yields.
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
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitCaptcha:
    """Wait until a person has typed what the challenge shows."""

    seconds: float


Action = Request | Sleep | AwaitCaptcha | SessionChange
Input = Response | bool | str | None

T = TypeVar("T")
LoginFlow = Generator[Action, Input, T]


class SessionRejected(Exception):  # noqa: N818 – a state of the login, not an error
    """The server does not accept the cookies or the session; a later stage may work."""


@dataclass(slots=True)
class LoginContext:
    """Hold what flows share. `qr_shown`: QR codes shown since a person last acted."""

    credentials: Credentials
    limits: Limits
    clock: Callable[[], float]
    random: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    by_password: bool = False
    account: str = ""
    password: str = field(default="", repr=False)
    qr_shown: int = 0


def send(request: Request) -> LoginFlow[Response]:
    """Send a request and return its response."""
    response = yield request
    if not isinstance(response, Response):
        raise TypeError("a flow that yields a Request is sent a Response")
    return response


def sleep(seconds: float) -> LoginFlow[bool]:
    """Let time pass. Returns whether a login was requested during it."""
    return (yield Sleep(seconds)) is True


def await_captcha(seconds: float) -> LoginFlow[str | None]:
    """Return what a person typed, or None after a time-out."""
    text = yield AwaitCaptcha(seconds)
    return text if isinstance(text, str) else None


_CALL: Final = re.compile(r"(ptuiCB|ptui_checkVC|ptui_auth_CB)\s*\(\s*'(.*)'\s*\)", re.DOTALL)
_COMMA: Final = re.compile(r"'\s*,\s*'")
_FIELDS: Final = {"ptuiCB": 6, "ptui_checkVC": 6, "ptui_auth_CB": 2}


def parse_ptui_callback(response: Response) -> tuple[str, ...]:
    """Return the arguments of ptlogin2's JavaScript call, padded to six (1.4, 2.2).

    The last argument extends to the closing bracket: a nick may hold quotes.
    Raises ProtocolError for anything else.
    """
    found = _CALL.search(response.text)
    if found is None:
        raise ProtocolError(
            f"no ptui call in the answer: status {response.status}, {len(response.body)} bytes"
        )
    parts = _COMMA.split(found[2], maxsplit=_FIELDS[found[1]] - 1)
    return (*parts, *[""] * (6 - len(parts)))
