"""200,000 cases of what other programs and people can write: nothing but the product's own errors comes of it.

Pure functions and a fast generator of its own: a case takes some 50 µs. The seed is fixed, and printed.
"""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgpack
import pytest

from adapter.codec.address import parse_address, parse_event_id
from adapter.codec.dead_letters import DeadLetter, encode_dead_letter, original_fields, restored_fields
from adapter.codec.nesting import NestingError, load_bounded, unpack_bounded
from adapter.codec.outbound import decode_request, encode_result, request_id, result_stream
from adapter.codec.reader import read_event, read_result
from adapter.errors import QQBusError
from adapter.events import SendResult, Status
from adapter.networks.onebot.protocol.frames import decode_frame
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.protocol.parsing import parse_json
from adapter.ops.page.auth import PageAuth
from adapter.ops.page.tokens import PageToken
from adapter.ops.page.views import event_view, letter_view, request_view, result_view, session_view

SEED = 20151024
Fields = dict[bytes, bytes]
NAMES = (
    *("to", "text", "body", "id", "expires", "cause", "delivery", "priority", "results", "traceparent", "op"),
    *("message_id", "event", "__data__", "v", "type", "time", "account", "epoch", "seq", "chat", "sender"),
    *(
        "self",
        "entry",
        "status",
        "code",
        "detail",
        "attempts",
        "parts",
        "replayed",
        "data",
        "fields",
        "stream",
    ),
    *("group", "consumer", "reason", "clipped", "state", "png", "cmd", "number", "nick"),
)
WORDS = (
    *(b"", b"1", b"0", b"-1", b"friend:1", b"group:5", b"reply:1.g5.2.3.4.ab", b"temp:1@group:2", b"send"),
    *(b"recall", b"approve", b"call", b"bulk", b"high", b"at-least-once", b"qq:results:mine", b"9" * 5000),
    *(b"1" * 400 + b".5", b"nan", b"inf", b"-0", b"1e400", b"2015-10-24T02:25:07.000Z", b"9999-99-99"),
    *(
        b"\xff\xfe",
        "😀[微笑]".encode(),
        b"\xed\xa0\x80",
        b"\x00",
        b"a/1",
        b"1/2",
        b"message.group",
        b"x" * 700,
    ),
    *(b"18446744073709551616-1", b"1-1", b"-", b"{", b"[" * 2000, b"\x81\xa1a" + b"\x91" * 900 + b"\xc0"),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        2**63,
        -(2**63),
        1.5,
        float("inf"),
        "",
        "text",
        "image",
        "\u0000",
        "9" * 5000,
        b"\xff",
        b"",
    ),
    *("segments", "data", "type", "face", "at", "action", "params", "node", "😀"),
)


class Generator:
    """Values that are nearly right: a random one is refused at its first byte."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def nested(self, depth: int = 4) -> Any:
        """Return a value of maps, lists and odd scalars."""
        kind = self.chance.random()
        if depth == 0 or kind < 0.4:
            return self.chance.choice(VALUES)
        if kind < 0.6:
            return [self.nested(depth - 1) for _ in range(self.chance.randrange(4))]
        names = (
            "segments",
            "type",
            "data",
            "text",
            "id",
            "font",
            "name",
            "size",
            "style",
            "action",
            "params",
        )
        return {self.chance.choice(names): self.nested(depth - 1) for _ in range(self.chance.randrange(4))}

    def packed(self) -> bytes:
        """Return msgpack or JSON, often damaged."""
        value = self.nested()
        try:
            made = json.dumps(value).encode() if self.chance.random() < 0.4 else msgpack.packb(value)
        except (TypeError, ValueError):
            made = msgpack.packb(value, default=str)
        return self.damaged(made) if self.chance.random() < 0.3 else made

    def damaged(self, data: bytes) -> bytes:
        """Cut or change some bytes."""
        at = self.chance.randrange(len(data) + 1)
        return (
            data[:at]
            + self.chance.randbytes(self.chance.randrange(3))
            + data[at + self.chance.randrange(2) :]
        )

    def value(self) -> bytes:
        """Return the value of a field."""
        kind = self.chance.random()
        if kind < 0.55:
            return self.chance.choice(WORDS)
        return self.packed() if kind < 0.9 else self.chance.randbytes(self.chance.randrange(20))

    def fields(self, *wanted: str) -> Fields:
        """Return the fields of an entry; `wanted` are more likely."""
        names = [*self.chance.sample(NAMES, 3), *(name for name in wanted if self.chance.random() < 0.8)]
        return {name.encode(): self.value() for name in names}


def requests(make: Generator) -> None:
    """Decode, answer and show an entry of `qq:outbound`."""
    fields = make.fields("to", "text", "body")
    if make.chance.random() < 0.1:
        fields = {b"__data__": make.value()} | fields
    ident, results = request_id("1-1", fields), result_stream(fields, "qq")
    assert results.startswith("qq:results")
    try:
        decode_request("1-1", fields, "qq")
    except QQBusError as exc:
        result = SendResult("1-1", ident, "", Status.REJECTED, "schema.invalid", str(exc))
        assert all(word.encode() is not None for word in encode_result(result, "1", 1, 0.0))
    request_view("1-1", fields, "qq")


def letters(make: Generator) -> None:
    """Read a dead letter of the adapter and one of another program."""
    letter = DeadLetter("qq:inbound", "1-1", make.fields(), make.value(), make.value(), "r", "\ud800")
    flat = [item if isinstance(item, bytes) else item.encode() for item in encode_dead_letter(letter, 0.0)]
    own = dict(zip(flat[::2], flat[1::2], strict=True))
    for fields in (own, make.fields("fields", "stream", "entry", "detail")):
        original_fields(fields)
        restored_fields(fields)
        json.dumps(letter_view("1-1", fields))


def shown(make: Generator) -> None:
    """Show entries of the other streams."""
    for view, wanted in (
        (event_view, ("v", "type", "time", "body", "seq", "epoch")),
        (result_view, ("status",)),
        (session_view, ("state", "png")),
    ):
        json.dumps(view("1-1", make.fields(*wanted)))


def readers(make: Generator) -> None:
    """Read as a worker does."""
    names = ("v", "id", "type", "time", "account", "epoch", "seq", "chat", "sender", "self", "text", "body")
    results = (
        "id",
        "entry",
        "time",
        "account",
        "epoch",
        "to",
        "status",
        "code",
        "detail",
        "attempts",
        "parts",
    )
    for read in (lambda: read_event("1-1", make.fields(*names)), lambda: read_result(make.fields(*results))):
        with suppress(QQBusError):
            read()


def values(make: Generator) -> None:
    """Read packed values, addresses and ids."""
    for read in (unpack_bounded, load_bounded):
        with suppress(NestingError):
            read(make.packed())
    for parse in (parse_address, parse_event_id):
        with suppress(QQBusError):
            parse(make.value().decode("utf-8", "surrogateescape"))


def answers(make: Generator) -> None:
    """Parse answers of SmartQQ and frames of OneBot."""
    for parse in (lambda body: parse_json(Response(200, body)), lambda body: decode_frame(body, 0.0)):
        with suppress(QQBusError):
            parse(make.packed() if make.chance.random() < 0.8 else make.value())


AUTH = PageAuth(PageToken("token"), 8710, answers_local_names_alone=True)
HEADERS = ("host", "cookie", "authorization", "origin", "sec-fetch-site", "sec-fetch-mode", "x-qqbus")
TEXTS = (
    *(
        "",
        "localhost",
        "localhost:8710",
        "[",
        "http://[",
        "[::1]:1",
        "Bearer ",
        "Bearer token",
        "same-origin",
    ),
    *(
        "qqbus-8710=page.aaaaaa.bbbb",
        "qqbus-8710=",
        "a=b; =;;",
        'qqbus-8710="\\777',
        "\xff",
        "navigate",
        "null",
    ),
)


def pages(make: Generator) -> None:
    """Judge the headers of a request to the page: HTTP gives them as Latin-1."""
    chance = make.chance
    headers = {
        name: chance.choice(TEXTS) if chance.random() < 0.7 else make.value().decode("latin-1")
        for name in chance.sample(HEADERS, 4)
    }
    AUTH.host_error(headers)
    AUTH.foreign_site_error(chance.choice(("GET", "POST")), "/", headers)
    assert AUTH.is_authenticated(headers) == (headers.get("authorization") == "Bearer token")


@pytest.mark.parametrize(
    ("entry_point", "cases"),
    [
        *((requests, 70_000), (letters, 30_000), (shown, 20_000), (readers, 20_000)),
        *((values, 20_000), (answers, 20_000), (pages, 20_000)),
    ],
)
@pytest.mark.timeout(300)
def test_only_errors_of_the_product(entry_point: Callable[[Generator], None], cases: int) -> None:
    make = Generator(SEED)
    for case in range(cases):
        try:
            entry_point(make)
        except Exception as exc:
            raise AssertionError(f"seed {SEED}, case {case}: {exc!r}") from exc
