"""Requests for `qq:outbound`: what handlers ask for, checked by the adapter's own rules."""

import hashlib
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, get_args

from adapter import (
    DEFAULT_LIMITS,
    LARGEST_LIMITS,
    Delivery,
    Priority,
    RequestLimits,
    SchemaError,
    Segment,
    decode_request,
    pack,
    parse_address,
    replace_surrogates,
    segment_to_dict,
)

# Characters of a request id that the contract allows.
MAX_ID: Final = 128
_ID: Final = re.compile(r"[A-Za-z0-9._:/@-]+", re.ASCII)

Content = str | Sequence[Segment]
# A time, or seconds from the request's own; as text in the form of RFC 3339.
Time = float | str | datetime | timedelta | None
_SEGMENTS: Final = get_args(Segment)
_DELIVERIES: Final = frozenset(Delivery)
_PRIORITIES: Final = frozenset(Priority)


class ContentError(SchemaError, ValueError):
    """The adapter would reject this request. `code` is that of its result."""


@dataclass(frozen=True, slots=True)
class Request:
    """An entry for `qq:outbound`. Text may hold faces as `[名称]`; segments are literal.

    `op`, `event`, `message_id`, `action` and `params` are those of an operation, which has no content.
    """

    to: str
    content: Content
    id: str
    cause: str = ""
    expires: Time = None
    delivery: Delivery = Delivery.AT_MOST_ONCE
    priority: Priority = Priority.NORMAL
    results: str = ""
    op: str = ""
    event: str = ""
    message_id: str = ""
    action: str = ""
    at: Time = None
    params: Mapping[str, object] = field(default_factory=dict)

    def fields(self) -> list[str | bytes]:
        """Return names and values in the contract's order, without those at their default."""
        named: tuple[tuple[str, str | bytes], ...] = (
            ("to", self.to),
            *self._content(),
            ("id", self.id),
            ("expires", _time(self.expires)),
            ("at", _time(self.at)),
            ("cause", self.cause),
            ("delivery", "" if self.delivery == Delivery.AT_MOST_ONCE else str(self.delivery)),
            ("priority", "" if self.priority == Priority.NORMAL else str(self.priority)),
            ("results", self.results),
            ("op", self.op),
            ("event", self.event),
            ("message_id", self.message_id),
        )
        return [item for name, value in named if value for item in (name, value)]

    def _content(self) -> tuple[tuple[str, str | bytes], ...]:
        if self.action:
            return (("body", pack({"action": self.action, "params": self.params})),)
        if isinstance(self.content, str):
            # A lone surrogate has no place in UTF-8: it would end the connection, not the request.
            return (("text", replace_surrogates(self.content)),)
        return (("body", pack({"segments": [segment_to_dict(segment) for segment in self.content]})),)

    def check(self, limits: RequestLimits = LARGEST_LIMITS) -> None:
        """Raise what the adapter would answer: TypeError or ContentError."""
        check_content(self.content)
        if not isinstance(self.to, str):
            raise TypeError(f"to is an address such as 'group:1', not {_name(self.to)}")
        if self._is_plain(limits):
            return
        flat = [item.encode() if isinstance(item, str) else item for item in self.fields()]
        try:
            decode_request(
                f"{int(time.time() * 1000)}-0", dict(zip(flat[::2], flat[1::2], strict=True)), "qq", limits
            )
        except SchemaError as exc:
            raise ContentError(str(exc), exc.code) from None

    def _is_plain(self, limits: RequestLimits) -> bool:
        """Whether there is nothing to check but a text and an address: the case of most replies."""
        # A character has four bytes at most.
        return (
            isinstance(self.content, str)
            and not self.op
            and self.expires is None
            and self.at is None
            and self.delivery in _DELIVERIES
            and self.priority in _PRIORITIES
            and len(self.content) * 4 <= limits.content_bytes
            and bool(self.content.strip())
            and _is_address(self.to)
            and is_request_id(self.id)
        )


def _time(value: Time) -> str:
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    # A time without a zone is that of this machine, as everywhere in Python.
    return value.astimezone().isoformat() if isinstance(value, datetime) else str(value)


def check_content(content: object) -> None:
    """Raise TypeError for what is neither text nor segments."""
    if isinstance(content, str):
        return
    if isinstance(content, _SEGMENTS):
        raise TypeError(f"content is text or segments: put this {_name(content)} into a list")
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise TypeError(f"content is text or segments, not {_name(content)}")
    for item in content:
        if not isinstance(item, _SEGMENTS):
            raise TypeError(f"content is text or segments, not a {_name(content)} of {_name(item)}")


def _name(item: Any) -> str:
    return type(item).__name__


@lru_cache(maxsize=1024)
def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except SchemaError:
        return False
    return True


def is_request_id(text: str) -> bool:
    """Return whether the contract allows it as the `id` of a request."""
    return len(text) <= MAX_ID and _ID.fullmatch(text) is not None


def request_id(application: str, event: str, number: int = 1) -> str:
    """Return the id of the `number`-th reply to an event: the same after a redelivery."""
    tail = "" if number == 1 else f"/{number}"
    ident = f"{application}/{event}{tail}"
    if is_request_id(ident):
        return ident
    return f"{application}/{hashlib.sha256(event.encode()).hexdigest()}{tail}"


def fresh_id(application: str) -> str:
    """Return a random id for a request that no event caused; it makes a repeated XADD harmless."""
    return f"{application}/{secrets.token_hex(12)}"


__all__ = ["DEFAULT_LIMITS", "LARGEST_LIMITS", "Content", "ContentError", "Request", "fresh_id", "request_id"]
