"""`qqbus tail`: print events as they arrive. It reads without a group and takes no event from a worker."""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import msgpack

from adapter.bus.admin import AdminClient
from adapter.cli.commands.send import entry_texts
from adapter.cli.terminal import Paint, as_json, say
from adapter.config import Config
from adapter.contract.tables import TYPES
from adapter.errors import ConfigError
from adapter.ops.wording import clock, moment, start_id
from adapter.plain_text import harmless

_STYLES = {"message": "bold", "session": "yellow", "notice": "dim"}


async def tail(config: Config, arguments: argparse.Namespace) -> int:
    """Print events until Ctrl-C."""
    since = None if arguments.since is None else start_id(arguments.since, time.time())
    if arguments.since is not None and since is None:
        raise ConfigError(
            f"--since {arguments.since!r} is neither an entry id, a time nor an age such as 10m"
        )
    for name in arguments.type:
        if not any(_matches(known, [name]) for known in TYPES):
            raise ConfigError(f"--type {name!r} matches no event: give one of {', '.join(TYPES)}")
    paint = Paint(arguments.colour)
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        after = since or await admin.last_id("inbound")
        while True:
            for entry, fields in await admin.tail("inbound", after):
                after = entry
                event = _decode(fields)
                if _matches(str(event.get("type", "")), arguments.type):
                    say(as_json({"entry": entry} | event) if arguments.json else _line(event, paint))


def _matches(event_type: str, wanted: list[str]) -> bool:
    """Return whether a type is wanted: by its whole name or its first word."""
    return not wanted or any(event_type == one or event_type.startswith(f"{one}.") for one in wanted)


def _decode(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
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


def _line(event: Mapping[str, Any], paint: Paint) -> str:
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
        speaker = f"{speaker} (self)".strip()
    text = harmless(str(event.get("text", "")))
    head = [
        paint(clock(when) if when else "?", "dim"),
        paint(harmless(event_type), _STYLES.get(event_type.partition(".")[0], "dim")),
        paint(harmless(chat), "cyan"),
    ]
    return "  ".join([*filter(None, head), f"{harmless(speaker)}: {text}" if speaker else text])


def _named(address: str, contact: object) -> str:
    if not isinstance(contact, dict):
        return address
    name = str(contact.get("card") or contact.get("name") or "")
    return " ".join(filter(None, (address, name))) or str(contact.get("id", ""))
