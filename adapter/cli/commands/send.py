"""`qqbus send`: append a request, and follow it to its result."""

import argparse
import sys
import time
from collections.abc import Mapping

from adapter.bus.admin import AdminClient
from adapter.cli.commands.status import read_status, session_text
from adapter.cli.errors import CommandError
from adapter.cli.terminal import Paint, as_json, say, show_progress
from adapter.codec.outbound import decode_request
from adapter.codec.request_body import DEFAULT_LIMITS, LARGEST_LIMITS, RequestLimits
from adapter.config import Config
from adapter.errors import ConfigError, SchemaError
from adapter.events import Status
from adapter.i18n import N_, _
from adapter.ops.contact_lookup import find_address
from adapter.plain_text import harmless

# Milliseconds of one XREAD: short enough for --wait to end in time.
_BLOCK_MS = 500


async def send(config: Config, arguments: argparse.Namespace) -> int:
    """Append the request; with --wait print its result.

    Exit code 1 if the result is another one than `sent`.
    """
    fields = _fields(arguments)
    _check(fields | {"to": "friend:1"}, config.prefix)
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        await _resolve(admin, fields)
        takes_more = (await admin.status()).get("network") == "onebot"
        _check(fields, config.prefix, LARGEST_LIMITS if takes_more else DEFAULT_LIMITS)
        after = await admin.last_id("results")
        entry = await admin.xadd("outbound", fields)
        if arguments.wait is None:
            say(as_json({"entry": entry}) if arguments.json else _("queued as {entry}").format(entry=entry))
            return 0
        with show_progress(_("waiting for the result")):
            result = await wait_result(admin, entry, after, arguments.wait)
        if result is None:
            raise await no_result(admin, entry, arguments.wait)
    say(as_json(result) if arguments.json else describe_result(result, Paint(arguments.colour)))
    return 0 if result.get("status") == Status.SENT else 1


def _check(fields: Mapping[str, str], prefix: str, limits: RequestLimits = LARGEST_LIMITS) -> None:
    """Decode the request as the adapter does, to say at once what is wrong. Raises ConfigError."""
    try:
        given = {name.encode(): value.encode() for name, value in fields.items()}
        decode_request("0-0", given, prefix, limits)
    except SchemaError as exc:
        raise ConfigError(exc.text, **exc.values) from exc
    except UnicodeEncodeError as exc:
        raise ConfigError(str(exc)) from exc


async def _resolve(admin: AdminClient, fields: dict[str, str]) -> None:
    """Put an address in the place of a name or a QQ number, and say so. Raises ConfigError."""
    given = fields["to"]
    try:
        fields["to"] = await find_address(admin, given)
    except SchemaError as exc:
        raise ConfigError(exc.text, **exc.values) from exc
    if fields["to"] != given:
        print(_("{given} is {to}").format(given=harmless(given), to=fields["to"]), file=sys.stderr)


def _fields(arguments: argparse.Namespace) -> dict[str, str]:
    text = " ".join(arguments.text)
    if arguments.text == ["-"]:
        text = sys.stdin.read().rstrip("\n")
    fields = {
        "to": arguments.to,
        "text": text,
        "id": arguments.id,
        "expires": arguments.expires,
        "delivery": arguments.delivery,
        "priority": arguments.priority,
    }
    return {name: value for name, value in fields.items() if value is not None}


async def wait_result(admin: AdminClient, entry: str, after: str, seconds: float) -> dict[str, str] | None:
    """Return the result of a request; None if there is none in time."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        for result, fields in await admin.tail("results", after, max(1, min(_BLOCK_MS, int(left * 1000)))):
            after = result
            if fields.get(b"entry") == entry.encode():
                return entry_texts(fields)
    return None


async def no_result(admin: AdminClient, entry: str, seconds: float) -> CommandError:
    """Return the error that there was no result in time, and what may be the reason."""
    status = await read_status(admin)
    text = N_("no result of {entry} after {seconds:g} s; session: {session}")
    if status.figures.get("paused") == "1":
        text = N_(
            "no result of {entry} after {seconds:g} s; session: {session}; sends are held: `qqbus resume`"
        )
    return CommandError(text, entry=entry, seconds=seconds, session=session_text(status))


def entry_texts(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Decode the fields of an entry."""
    return {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields.items()
    }


def describe_result(result: Mapping[str, str], paint: Paint) -> str:
    """Return status, code and detail of a result in one line."""
    status = result.get("status", "?")
    style = "green" if status == Status.SENT else "red"
    words = [paint(status, style), result.get("code", ""), harmless(result.get("detail", ""))]
    if result.get("replayed") == "1":
        words.append(_("(the result of an earlier request with this id)"))
    if result.get("parts") not in {"1/1", "0/0", None}:
        words.append(_("{parts} parts").format(parts=result["parts"]))
    return "  ".join(filter(None, words))
