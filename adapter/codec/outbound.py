"""Decode requests of `qq:outbound`, encode results for `qq:results` (contract). Pure."""

import hashlib
import math
import re
from datetime import datetime
from typing import TypeVar

from adapter.codec.address import chat_from_event_id, parse_address
from adapter.codec.faststream import unwrap
from adapter.codec.inbound import replace_surrogates, timestamp
from adapter.codec.request_body import (
    DEFAULT_LIMITS,
    Fields,
    RequestLimits,
    decode_content,
    decode_operation,
    operation_target,
    text_field,
)
from adapter.errors import SchemaError
from adapter.events import (
    CONTRACT_VERSION,
    Address,
    Delivery,
    Priority,
    SendRequest,
    SendResult,
)
from adapter.i18n import N_

# Characters of `detail` and `cause`: a reason to read, not a log.
MAX_DETAIL = 500

_ID = re.compile(r"[A-Za-z0-9._:/@-]{1,128}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)
# Seconds for which a request may wait for its time: the account may be another one by then.
MAX_DELAY = 30 * 86_400.0
# Seconds, a century: a longer time to live is a mistake.
_MAX_TTL = 3_200_000_000.0

# The fields that say what is asked, beside `to` and `delivery`: a repeat of an id has the same ones.
_ASKED = (b"text", b"body", b"message_id", b"event")
# Hexadecimal digits of a digest: 128 bits, in each ledger entry.
_DIGEST_DIGITS = 32

# The start of a `to` that names an event instead of an address.
_REPLY = "reply:"

_Choice = TypeVar("_Choice", Delivery, Priority)


def request_id(entry: str, fields: Fields) -> str:
    """Return the idempotency key of an entry, also of an entry that is no request."""
    value = unwrapped(fields).get(b"id", b"").decode("ascii", "replace")
    return value if _ID.fullmatch(value) else f"entry:{entry}"


def result_stream(fields: Fields, prefix: str) -> str:
    """Return the stream for the result of an entry: its valid `results`, else the default."""
    name = unwrapped(fields).get(b"results", b"").decode("ascii", "replace")
    head = f"{prefix}:results:"
    return name if name.startswith(head) and _NAME.fullmatch(name[len(head) :]) else f"{prefix}:results"


def scheduled_entry(fields: Fields) -> str:
    """Return the entry that asked for this one with `at`; "" if none did."""
    value = fields.get(b"scheduled", b"").decode("ascii", "replace")
    return value if _ENTRY.fullmatch(value) else ""


def decode_request(
    entry: str,
    fields: Fields,
    prefix: str,
    limits: RequestLimits = DEFAULT_LIMITS,
    now: float = math.inf,
) -> SendRequest:
    """Decode an entry of `qq:outbound`. Raises SchemaError that names what to change.

    `now`: the time by the clock of Redis. An entry counts as added then if its id says that it is younger.
    """
    fields = unwrap(fields)
    if not fields:
        raise SchemaError("the entry was deleted before it could be read")
    given_id = text_field(fields, "id")
    if given_id and not _ID.fullmatch(given_id):
        raise SchemaError(N_("id is not 1 to 128 characters of A-Z a-z 0-9 . _ : / @ -"))
    results = text_field(fields, "results")
    if results and results != result_stream(fields, prefix):
        raise SchemaError(f"results is not {prefix}:results:<name> with a name of A-Z a-z 0-9 . _ -")
    to, cause = text_field(fields, "to"), text_field(fields, "cause")[:MAX_DETAIL]
    operation = decode_operation(fields, limits)
    added = min(int(entry.partition("-")[0]) / 1000, now)
    at = _at(added, text_field(fields, "at"))
    address = _target(to) if operation is None or to else operation_target(operation)
    segments, font = decode_content(fields, limits) if operation is None else ((), None)
    delivery = _one_of(fields, "delivery", Delivery, Delivery.AT_MOST_ONCE)
    return SendRequest(
        entry=entry,
        id=request_id(entry, fields),
        to=address,
        segments=segments,
        font=font,
        expires=_expires(added, text_field(fields, "expires"), at),
        cause=cause,
        delivery=delivery,
        priority=_one_of(fields, "priority", Priority, Priority.NORMAL),
        results=result_stream(fields, prefix),
        traceparent=_trace(fields),
        operation=operation,
        at=at,
        scheduled=scheduled_entry(fields),
        answers=to[len(_REPLY) :] if to.startswith(_REPLY) else cause,
        digest=_digest(fields, address, delivery),
    )


def _digest(fields: Fields, to: Address | None, delivery: Delivery) -> str:
    digest = hashlib.sha256()
    op = fields.get(b"op", b"").removeprefix(b"send")  # the default
    for value in (str(to).encode(), delivery.encode(), op, *(fields.get(name, b"") for name in _ASKED)):
        digest.update(len(value).to_bytes(8, "big") + value)
    return digest.hexdigest()[:_DIGEST_DIGITS]


def encode_result(result: SendResult, account: str, epoch: int, now: float) -> list[str]:
    """Encode a result as names and values in turn, in the contract's order."""
    return [
        *("v", CONTRACT_VERSION),
        *("id", result.id),
        *("entry", result.entry),
        *("time", timestamp(now)),
        *("account", account),
        *("epoch", str(epoch)),
        *("to", replace_surrogates(result.to)),
        *("status", result.status.value),
        *("code", result.code),
        *("detail", replace_surrogates(result.detail[:MAX_DETAIL])),
        *("attempts", str(result.attempts)),
        *("parts", f"{result.sent}/{result.total}"),
        *("message_id", result.message_id),
        *("replayed", "1" if result.replayed else "0"),
        *(("traceparent", result.traceparent) if result.traceparent else ()),
        *(("data", replace_surrogates(result.data)) if result.data else ()),
    ]


def unwrapped(fields: Fields) -> Fields:
    """Return the fields without a frame, as they are if the frame is broken."""
    try:
        return unwrap(fields)
    except SchemaError:
        return fields


def _target(to: str) -> Address:
    if not to:
        raise SchemaError("to is missing: give an address, or reply:<event id>")
    return chat_from_event_id(to[len(_REPLY) :]) if to.startswith(_REPLY) else parse_address(to)


def _one_of(fields: Fields, name: str, kind: type[_Choice], default: _Choice) -> _Choice:
    value = text_field(fields, name)
    try:
        return kind(value) if value else default
    except ValueError as exc:
        raise SchemaError(f"{name} is not one of {', '.join(kind)}") from exc


def _at(added: float, text: str) -> float | None:
    if not text:
        return None
    at = _time_of("at", text, added)
    if at > added + MAX_DELAY:
        raise SchemaError(f"at is more than {MAX_DELAY / 86_400:g} days away")
    return at


def _expires(added: float, text: str, at: float | None) -> float | None:
    """Return when a request expires; seconds count from its `at`, if it has one."""
    if not text:
        return None
    expires = _time_of("expires", text, added if at is None else at)
    if at is not None and expires < at:
        raise SchemaError(N_("expires is before at: the request could never be sent"))
    return expires


def _time_of(name: str, text: str, base: float) -> float:
    """Read an RFC 3339 time, or seconds after `base`."""
    try:
        seconds = float(text)
    except ValueError:
        return _timestamp_seconds(name, text)
    if not (math.isfinite(seconds) and 0 <= seconds <= _MAX_TTL):
        raise SchemaError(N_("{name} is not a number of seconds from 0 up"), name=name)
    return base + seconds


def _timestamp_seconds(name: str, text: str) -> float:
    try:
        time = datetime.fromisoformat(text.upper())  # RFC 3339 allows `t` and `z`
        if time.tzinfo is None:
            raise SchemaError(N_("{name} has no time zone: end it in Z"), name=name)
        return time.timestamp()
    except (ValueError, OverflowError) as exc:
        text = N_("{name} is neither an RFC 3339 time nor a number of seconds")
        raise SchemaError(text, name=name) from exc


def _trace(fields: Fields) -> str:
    # A bad trace context is dropped, not rejected: tracing must not stop a message.
    value = fields.get(b"traceparent", b"").decode("ascii", "replace")
    return value if _TRACE.fullmatch(value) else ""
