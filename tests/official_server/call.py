"""One HTTP request and its answer, as plain values between `front` and the handlers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError

# "12002": the body of a request cannot be read.
WRONG_BODY = 12002


@dataclass(frozen=True)
class Call:
    """A request. `parts` are the variable pieces of its path."""

    endpoint: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    parts: Mapping[str, str]

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body; raise ApiError if none."""
        try:
            value = json.loads(self.body)
        except ValueError as exc:
            raise ApiError(WRONG_BODY) from exc
        if not isinstance(value, dict):
            raise ApiError(WRONG_BODY)
        return value

    def shown_body(self) -> Any:
        """Return the body for the record."""
        try:
            return json.loads(self.body)
        except ValueError:
            return f"{len(self.body)} bytes"


@dataclass
class Reply:
    """An answer. `code` is for the record."""

    body: bytes = b""
    status: int = 200
    code: int = 0
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_reply(value: Any, status: int = 200, code: int = 0) -> Reply:
    """Return an answer with a JSON body."""
    return Reply(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"), status, code)
