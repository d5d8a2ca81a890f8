"""`qqbus image` and `qqbus presence`: commands that the adapter replies to."""

import argparse
import secrets
from pathlib import Path
from typing import Any

from adapter.bus.admin import AdminClient
from adapter.cli.commands.control import caller, require_adapter
from adapter.cli.errors import CommandError
from adapter.cli.terminal import say, show_progress, write_bytes
from adapter.codec.reader import read_map
from adapter.config import Config
from adapter.errors import ConfigError, SchemaError
from adapter.i18n import _
from adapter.plain_text import harmless

# Seconds: the adapter gives one call of SmartQQ a minute, and follows redirects.
_REPLY_TIMEOUT_SECONDS = 90.0
# Entries searched for an event id before the whole stream: most images are of new events.
_NEWEST = 500
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/bmp": ".bmp"}


async def image(config: Config, arguments: argparse.Namespace) -> int:
    """Fetch the picture and write it to a file or to standard output."""
    if arguments.number < 1:
        raise ConfigError("--number counts from 1")
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        entry = await _find_entry(admin, arguments.event)
        if entry is None:
            raise CommandError(
                "no event {event} on {keys}: `qqbus tail --json` shows ids",
                event=arguments.event,
                keys=admin.keys("inbound"),
            )
        reply = await _call(admin, "image", entry=entry, number=str(arguments.number))
    body, mime_type = reply.get("body"), str(reply.get("type", ""))
    if not isinstance(body, bytes):
        raise CommandError("the adapter's reply cannot be read: it has no picture")
    if arguments.out == "-":
        write_bytes(body)
        return 0
    path = Path(arguments.out or f"picture-{entry}-{arguments.number}{_SUFFIXES.get(mime_type, '')}")
    try:
        path.write_bytes(body)
    except OSError as exc:
        raise CommandError("cannot write {path}: {strerror}", path=path, strerror=exc.strerror) from exc
    say(
        _("{path}: {count} bytes, {mime_type}").format(
            path=path, count=len(body), mime_type=harmless(mime_type)
        )
    )
    return 0


async def presence(config: Config, arguments: argparse.Namespace) -> int:
    """Change the presence."""
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        await _call(admin, "presence", status=arguments.status)
    say(_("seen as {status} from now on, in later sessions too").format(status=arguments.status))
    return 0


async def _call(admin: AdminClient, command: str, **details: str) -> dict[str, Any]:
    """Send a command and return the adapter's reply.

    Raises CommandError if the reply is an error, or if there is none.
    """
    await require_adapter(admin)
    nonce = secrets.token_hex(16)
    await admin.send_command(command, caller(), **details, reply=nonce)
    with show_progress(_("waiting for the adapter")):
        packed = await admin.wait_reply(nonce, _REPLY_TIMEOUT_SECONDS)
    if packed is None:
        raise CommandError(
            "no reply from the adapter in {seconds:g} s: see its log",
            seconds=_REPLY_TIMEOUT_SECONDS,
        )
    try:
        reply = read_map(packed)
    except SchemaError as exc:
        raise CommandError(exc.text, **exc.values) from exc
    if "error" in reply:
        raise CommandError(str(reply["error"]))
    return reply


async def _find_entry(admin: AdminClient, event: str) -> str | None:
    """Return the entry id of an event; None if the stream has it no more."""
    milliseconds, dash, sequence = event.partition("-")
    if dash and milliseconds.isdecimal() and sequence.isdecimal():
        return event
    event_id = event.encode()
    for count in (_NEWEST, await admin.xlen("inbound")):
        for entry, fields in reversed(await admin.last_entries("inbound", max(1, count))):
            if fields.get(b"id") == event_id:
                return entry
    return None
