"""`qqbus tail`: print events, requests and results as they arrive.

It reads without a group and takes no event from a worker.
"""

import argparse
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import msgpack

from adapter.bus.admin import AdminClient
from adapter.bus.cursors import rewound_cursors
from adapter.cli.commands.send import entry_texts
from adapter.cli.terminal import Paint, as_json, complain, say
from adapter.codec.outbound import decode_request, result_stream
from adapter.codec.request_body import LARGEST_LIMITS
from adapter.config import Config
from adapter.content import render
from adapter.contract.tables import TYPES
from adapter.errors import AccessRefused, BusUnavailable, ConfigError, SchemaError
from adapter.events import Status
from adapter.i18n import _
from adapter.ops.contact_lookup import find_address
from adapter.ops.wording import before, clock, entry_time, moment, start_id
from adapter.plain_text import harmless

_STYLES = {"message": "bold", "session": "yellow", "notice": "dim", "request": "yellow"}
# Seconds between two tries while Redis is away.
_RETRY_SECONDS = 1.0
# Streams with results of their own that requests named, the newest.
_MAX_RESULT_STREAMS = 16
# Requests that were printed: their events come within moments.
_MAX_PRINTED = 1_000
_SENT = ("outbound", "results")

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class _Filter:
    """What is printed: types of events by whole name or first word, one chat; empty for all."""

    types: Sequence[str]
    chat: str

    def fits(self, stream: str, row: Mapping[str, Any]) -> bool:
        if self.types and stream == "inbound" and not _matches(str(row.get("type", "")), self.types):
            return False
        return not self.chat or self.chat in {row.get("chat"), row.get("to")}


async def tail(config: Config, arguments: argparse.Namespace) -> int:
    """Print entries until Ctrl-C. A Redis that is away is waited for."""
    since = _since(arguments)
    streams = ("inbound", *_SENT) if arguments.all else _SENT if arguments.sent else ("inbound",)
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        follower = _Follower(admin, arguments, await _filter(admin, arguments))
        await follower.begin(streams, since, arguments.n)
        while True:
            await follower.follow()


def _since(arguments: argparse.Namespace) -> str | None:
    since = None if arguments.since is None else start_id(arguments.since, time.time())
    if arguments.since is not None and since is None:
        raise ConfigError(
            "--since {since!r} is neither an entry id, a time (11:00, yesterday, 2026-11-30 11:00) "
            "nor an age such as 10m",
            since=arguments.since,
        )
    if arguments.n is not None and arguments.n < 0:
        raise ConfigError("-n is not a number from 0 up")
    return since


async def _filter(admin: AdminClient, arguments: argparse.Namespace) -> _Filter:
    for name in arguments.type:
        if not any(_matches(known, [name]) for known in TYPES):
            raise ConfigError(
                "--type {name!r} matches no event: give one of {names}", name=name, names=", ".join(TYPES)
            )
    try:
        chat = await find_address(admin, arguments.chat) if arguments.chat else ""
    except SchemaError as exc:
        raise ConfigError(exc.text, **exc.values) from exc
    return _Filter(arguments.type, chat)


class _Follower:
    """Reads streams from their cursors on, and prints what fits."""

    def __init__(self, admin: AdminClient, arguments: argparse.Namespace, wanted: _Filter) -> None:
        self._admin = admin
        self._wanted = wanted
        self._is_json: bool = arguments.json
        self._paint = Paint(arguments.colour)
        self._cursors: dict[str, str] = {}
        self._is_away = False
        self._printed: OrderedDict[str, None] = OrderedDict()

    async def begin(self, streams: Sequence[str], since: str | None, newest: int | None) -> None:
        """Set the cursors, and print the newest entries if some are wanted."""
        past: list[tuple[str, str, Fields]] = []
        for stream in streams:
            self._cursors[stream] = since or await self._admin.last_id(stream)
            if newest:
                entries = await self._admin.last_entries(stream, newest, since or "")
                past += [(entry, stream, fields) for entry, fields in entries]
                self._cursors[stream] = entries[-1][0] if entries else self._cursors[stream]
        if sys.stderr.isatty():
            names = ", ".join(self._admin.keys(stream) for stream in streams)
            print(_("following {names}; Ctrl-C ends it").format(names=names), file=sys.stderr)
        if newest:
            self._print(sorted(past, key=_order)[-newest:])

    async def follow(self) -> None:
        """Wait for entries once, and print them."""
        try:
            found = await self._admin.read_streams(self._cursors)
            self._cursors |= {} if found else await rewound_cursors(self._admin, self._cursors)
        except AccessRefused:
            raise
        except BusUnavailable as exc:
            if not self._is_away:
                complain("{error}; trying again", error=exc)
            self._is_away = True
            await anyio.sleep(_RETRY_SECONDS)
            return
        if self._is_away:
            complain("Redis serves again")
        self._is_away = False
        rows = [(entry, stream, fields) for stream, entries in found.items() for entry, fields in entries]
        for entry, stream, fields in rows:
            self._cursors[stream] = entry
            if stream == "outbound":
                self._name_result_stream(entry, fields)
        self._print(sorted(rows, key=_order))

    def _name_result_stream(self, entry: str, fields: Fields) -> None:
        """Follow the result stream that a request names, from the request on."""
        name = result_stream(fields, self._admin.keys.prefix)[len(self._admin.keys("")) :]
        named = [one for one in self._cursors if one.startswith("results:")]
        if name not in self._cursors:
            self._cursors[name] = before(entry)
            if len(named) >= _MAX_RESULT_STREAMS:
                del self._cursors[named[0]]

    def _print(self, rows: Sequence[tuple[str, str, Fields]]) -> None:
        for entry, stream, fields in rows:
            row = _decode(fields)
            if stream == "outbound":
                row |= self._target(entry, fields)
            if not self._wanted.fits(stream.partition(":")[0], row) or self._was_printed(stream, entry, row):
                continue
            if self._is_json:
                say(as_json({"entry": entry, **({} if stream == "inbound" else {"stream": stream}), **row}))
            elif stream == "inbound":
                say(_event_line(row, self._paint))
            elif stream == "outbound":
                say(_request_line(entry, row, self._paint))
            else:
                say(_result_line(entry, row, self._paint))

    def _was_printed(self, stream: str, entry: str, row: Mapping[str, Any]) -> bool:
        """Return whether an event is about what was sent, and the request was printed: one line is enough.

        JSON has all entries.
        """
        if stream == "outbound":
            self._printed[entry] = None
            if len(self._printed) > _MAX_PRINTED:
                self._printed.popitem(last=False)
        match row:
            case {"self": "1", "body": {"entry": str(request)}} if stream == "inbound" and not self._is_json:
                return request in self._printed
            case _:
                return False

    def _target(self, entry: str, fields: Fields) -> dict[str, Any]:
        """Return address and text of a request as the adapter reads them."""
        try:
            request = decode_request(entry, fields, self._admin.keys.prefix, LARGEST_LIMITS)
        except SchemaError as exc:
            return {"note": str(exc)}
        target = {} if request.to is None else {"to": str(request.to)}
        return target if request.operation else target | {"text": render(request.segments)}


def _order(row: tuple[str, str, Fields]) -> tuple[float, bool]:
    """Return what entries are sorted by: their time, and a request before what became of it."""
    entry, stream, _ = row
    return entry_time(entry), stream != "outbound"


def _matches(event_type: str, wanted: Sequence[str]) -> bool:
    """Return whether a type is wanted: by its whole name or its first word."""
    return not wanted or any(event_type == one or event_type.startswith(f"{one}.") for one in wanted)


def _decode(fields: Fields) -> dict[str, Any]:
    """Decode an entry by any writer. A body that is not msgpack stays bytes."""
    event: dict[str, Any] = dict(
        entry_texts({name: value for name, value in fields.items() if name != b"body"})
    )
    if b"body" in fields:
        try:
            event["body"] = msgpack.unpackb(fields[b"body"])
        except (ValueError, msgpack.UnpackException):
            event["body"] = fields[b"body"]
    return event


def _event_line(event: Mapping[str, Any], paint: Paint) -> str:
    """Return time, type, chat, speaker and text in one line."""
    body = event.get("body")
    body = body if isinstance(body, dict) else {}
    when = moment(str(event.get("time", "")))
    event_type = str(event.get("type", "?"))
    chat = str(event.get("chat", ""))
    if not chat.startswith("friend:"):  # a friend is the speaker
        chat = _named(chat, body.get("chat"))
    speaker = _named("", body.get("sender")) or str(event.get("sender", ""))
    if event.get("self") == "1":
        speaker = _("{speaker} (self)").format(speaker=speaker).strip()
    text = harmless(str(event.get("text", "")))
    head = [
        paint(clock(when) if when else "?", "dim"),
        paint(harmless(event_type), _STYLES.get(event_type.partition(".")[0], "dim")),
        paint(harmless(chat), "cyan"),
    ]
    return "  ".join([*filter(None, head), f"{harmless(speaker)}: {text}" if speaker else text])


def _request_line(entry: str, row: Mapping[str, Any], paint: Paint) -> str:
    """Return time, operation, address, text and id of a request in one line."""
    words = _texts(row, "text", "event", "message_id", "note")
    head = (paint(clock(entry_time(entry)), "dim"), paint(f"→ {row.get('op') or 'send'}", "bold"))
    return "  ".join([*head, *_target_and_id(row, paint), *words])


def _result_line(entry: str, row: Mapping[str, Any], paint: Paint) -> str:
    """Return time, status, address, code and detail of a result in one line."""
    status = str(row.get("status", "?"))
    head = (
        paint(clock(entry_time(entry)), "dim"),
        paint(f"← {harmless(status)}", "green" if status == Status.SENT else "red"),
    )
    return "  ".join([*head, *_target_and_id(row, paint), *_texts(row, "code", "detail")])


def _target_and_id(row: Mapping[str, Any], paint: Paint) -> Iterator[str]:
    if row.get("to"):
        yield paint(harmless(str(row["to"])), "cyan")
    if row.get("id"):
        yield paint(harmless(str(row["id"])), "dim")


def _texts(row: Mapping[str, Any], *names: str) -> list[str]:
    return [harmless(str(row[name])) for name in names if row.get(name)]


def _named(address: str, contact: object) -> str:
    if not isinstance(contact, dict):
        return address
    name = str(contact.get("card") or contact.get("name") or "")
    return " ".join(filter(None, (address, name))) or str(contact.get("id", ""))
