"""`qqbus image` and `qqbus presence`: what the adapter does for the operator and tells the outcome of."""

import argparse
import secrets
import sys
from pathlib import Path
from typing import Any

from adapter.bus.admin import AdminClient
from adapter.cli.commands.login import caller
from adapter.cli.terminal import harmless, say
from adapter.codec.reader import read_map
from adapter.config import Config
from adapter.contract.tables import PRESENCES
from adapter.errors import ConfigError, SchemaError

# The adapter gives a call of SmartQQ's a minute, and follows redirects.
_PATIENCE = 90.0
# How far back an event is looked for, first here and then in the whole stream: events are looked at fresh.
_NEAR = 500
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/bmp": ".bmp"}


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    one = subs.add_parser("image", help="fetch a picture of a message to a file, while the session lasts")
    add = one.add_argument
    add("event", metavar="EVENT-ID", help="the event's id, or its entry id on qq:inbound")
    add("--number", type=int, default=1, metavar="N", help="which picture of the message; default the first")
    add("--out", metavar="FILE", help="where to; - is standard output; default picture-MESSAGE-N.png or so")
    one.set_defaults(command=image)
    one = subs.add_parser("presence", help="be seen by others as online, busy, hidden, …")
    one.add_argument("status", choices=PRESENCES, metavar="STATUS", help=", ".join(PRESENCES))
    one.set_defaults(command=presence)


async def image(config: Config, arguments: argparse.Namespace) -> int:
    """Fetch it and write it."""
    if arguments.number < 1:
        raise ConfigError("--number counts from 1")
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        entry = await _entry(desk, arguments.event)
        if entry is None:
            return _cannot(
                f"no event {arguments.event} on {desk.keys('inbound')}: `qqbus tail --json` shows ids"
            )
        answer = await _ask(desk, "image", entry=entry, number=str(arguments.number))
    body = answer.get("body")
    if not isinstance(body, bytes):
        return _cannot(str(answer.get("error", "the adapter's answer cannot be read")))
    kind = str(answer.get("type", ""))
    if arguments.out == "-":
        sys.stdout.buffer.write(body)
        return 0
    out = Path(arguments.out or f"picture-{entry}-{arguments.number}{_SUFFIXES.get(kind, '')}")
    try:
        out.write_bytes(body)
    except OSError as exc:
        return _cannot(f"cannot write {out}: {exc.strerror}")
    say(f"{out}: {len(body)} bytes, {harmless(kind)}")
    return 0


async def presence(config: Config, arguments: argparse.Namespace) -> int:
    """Ask for it and tell what came of it."""
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        answer = await _ask(desk, "presence", status=arguments.status)
    if "error" in answer:
        return _cannot(str(answer["error"]))
    say(f"seen as {arguments.status} from now on, in later sessions too")
    return 0


async def _ask(desk: AdminClient, command: str, **details: str) -> dict[str, Any]:
    """The adapter's answer to a command; words under `error` where it gave none."""
    if await desk.lease_held() is False:
        return {"error": "no adapter is running: start one with `qqbus run`"}
    nonce = secrets.token_hex(16)
    await desk.send_command(command, caller(), **details, reply=nonce)
    packed = await desk.wait_reply(nonce, _PATIENCE)
    if packed is None:
        return {"error": f"the adapter gave no answer in {_PATIENCE:g} s; its log may say why"}
    try:
        return read_map(packed)
    except SchemaError as exc:
        return {"error": str(exc)}


async def _entry(desk: AdminClient, event: str) -> str | None:
    """The entry id of an event on the stream, newest first; None where it is not there (any more)."""
    first, dash, second = event.partition("-")
    if dash and first.isdecimal() and second.isdecimal():
        return event
    wanted = event.encode()
    for count in (_NEAR, await desk.length("inbound")):
        for entry, fields in reversed(await desk.last_entries("inbound", max(1, count))):
            if fields.get(b"id") == wanted:
                return entry
    return None


def _cannot(words: str) -> int:
    print(f"qqbus: {harmless(words)}", file=sys.stderr)
    return 1
