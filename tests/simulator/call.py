"""One request and one answer, as plain values between `server` and the handlers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from . import wire
from .codes import CLOSED, KICKED
from .faults import Answer
from .mailbox import Letter
from .options import Options


class FormError(ValueError):
    """The body is no form, or has no `r` that is a JSON object."""


@dataclass(frozen=True)
class Call:
    """A request. `host` is the Host header without port, lower case."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @cached_property
    def form(self) -> dict[str, str]:
        """Return the fields of a form body, whatever Content-Type it comes with."""
        text = self.body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True))

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies; of two with one name the first non-empty one counts."""
        found: dict[str, str] = {}
        for pair in self.headers.get("Cookie", "").split(";"):
            name, separator, value = pair.strip().partition("=")
            if separator and not found.get(name):
                found[name] = value
        return found

    def params(self) -> dict[str, str]:
        """Query and form together."""
        return {**self.query, **self.form}

    def r(self) -> dict[str, Any]:
        """Return the JSON object in the field `r`; raw control characters inside strings are accepted."""
        text = self.form.get("r", self.query.get("r"))
        if text is None:
            raise FormError("no field r")
        try:
            value = json.loads(text, strict=False)
        except ValueError as exc:
            raise FormError(f"r is not JSON: {exc}") from exc
        if not isinstance(value, dict):
            raise FormError("r is not an object")
        return value


@dataclass(frozen=True)
class Reply:
    """An answer. `code` is for the log; `letters` go back to the mailbox if the client is gone.

    With `planned` the answer a test asked for takes the place of this one.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    code: int | None = None
    letters: list[Letter] = field(default_factory=list)
    planned: Answer | None = None


def json_reply(value: Mapping[str, Any], options: Options, *, ampersand: str = "\\u0026") -> Reply:
    """Return an answer of the API hosts, spelled as in the era."""
    text = wire.dumps(value, ascii_only=options.ascii_json, ampersand=ampersand)
    return text_reply(text, options, code_of(value))


def text_reply(text: str, options: Options, code: int | None) -> Reply:
    """Return JSON text as an answer of the API hosts."""
    if options.profile == "e1":
        return Reply(wire.encode(text + "\r\n"), content_type="text/plain; charset=utf-8", code=code)
    return Reply(wire.encode(text), content_type="application/json; charset=utf-8", code=code)


def ok(result: Any, options: Options) -> Reply:
    """Return a success with its result."""
    if options.profile == "e1":
        return json_reply({"retcode": 0, "result": result}, options)
    return json_reply({"result": result, "retcode": 0}, options)


def failure(code: int, options: Options) -> Reply:
    """Return a refusal."""
    if code in {CLOSED, KICKED}:
        return json_reply({"retcode": code, "t": "0"}, options)
    if options.profile == "e1":
        return json_reply({"retcode": code, "errmsg": ""}, options)
    return json_reply({"errmsg": "error!!!", "retcode": code}, options)


def error_page(status: int, server: str = "nginx") -> Reply:
    """Return the page of a gateway."""
    return Reply(wire.page(status, server), status, "text/html")


def code_of(value: Mapping[str, Any]) -> int | None:
    """Return the return code an answer carries, under whichever of the three names."""
    for name in ("retcode", "errCode", "ec"):
        if isinstance(code := value.get(name), int):
            return code
    return None
