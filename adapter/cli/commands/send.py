"""`qqbus send`: ask for a message to be sent, and see what became of it."""

import argparse
import sys
import time

from adapter.bus.admin import AdminClient
from adapter.bus.entries import Entry
from adapter.cli.commands.status import session_words, take
from adapter.cli.terminal import Paint, as_json, harmless, say
from adapter.codec.outbound import decode_request
from adapter.config import Config
from adapter.errors import ConfigError, SchemaError
from adapter.events import Delivery, Priority, Status

_WAIT = 30.0
_BLOCK = 500


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("send", help="send a message to a friend, group or discussion")
    add = one.add_argument
    add("to", metavar="TO", help="friend:1, group:2, discuss:3, temp:4@group:2 or reply:EVENT-ID")
    add("text", metavar="TEXT", nargs="+", help="what to say; - reads it from standard input")
    add("--id", help="idempotency key: a second request with it is not sent again")
    add("--expires", metavar="SECONDS|TIME", help="not begun by then: not sent")
    add("--delivery", choices=[kind.value for kind in Delivery])
    add("--priority", choices=[kind.value for kind in Priority])
    add(
        "--wait",
        type=_seconds,
        nargs="?",
        const=_WAIT,
        metavar="SECONDS",
        help=f"wait for the result (default {_WAIT:g} s); exit code 0 if it was sent, else 1",
    )
    add("--json", action="store_true", help="print the result as JSON")
    one.set_defaults(command=send)


async def send(config: Config, arguments: argparse.Namespace) -> int:
    """Append the request; with --wait follow it to its end."""
    fields = _fields(arguments)
    try:
        # The adapter's own reading: what passes here is understood there.
        decode_request(
            "0-0", {name.encode(): value.encode() for name, value in fields.items()}, config.prefix
        )
    except (SchemaError, UnicodeEncodeError) as exc:
        raise ConfigError(str(exc)) from exc
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        after = await desk.last_id("results")
        entry = await desk.append("outbound", fields)
        if arguments.wait is None:
            say(as_json({"entry": entry}) if arguments.json else f"queued as {entry}")
            return 0
        result = await _result(desk, entry, after, arguments.wait)
        if result is None:
            words = session_words(await take(desk))
            if (await desk.status()).get("paused") == "1":
                words += "; sends are held: `qqbus resume`"
            print(
                f"qqbus: no result of {entry} after {arguments.wait:g} s; session: {words}", file=sys.stderr
            )
            return 1
    if arguments.json:
        say(as_json(result))
    else:
        say(shown(result, Paint(arguments.colour)))
    return 0 if result.get("status") == Status.SENT else 1


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of seconds; give the text before it"
        ) from exc


def _fields(arguments: argparse.Namespace) -> dict[str, str]:
    text = " ".join(arguments.text)
    if arguments.text == ["-"]:
        text = sys.stdin.read().rstrip("\n")
    given = {
        "to": arguments.to,
        "text": text,
        "id": arguments.id,
        "expires": arguments.expires,
        "delivery": arguments.delivery,
        "priority": arguments.priority,
    }
    return {name: value for name, value in given.items() if value is not None}


async def _result(desk: AdminClient, entry: str, after: str, seconds: float) -> dict[str, str] | None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for name, fields in await desk.tail("results", after, max(1, min(_BLOCK, int(left * 1000)))):
            after = name
            if fields.get(b"entry") == entry.encode():
                return texts((name, fields))
    return None


def texts(entry: Entry) -> dict[str, str]:
    """The fields of an entry as text."""
    return {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in entry[1].items()
    }


def shown(result: dict[str, str], paint: Paint) -> str:
    """A result for people."""
    status = result.get("status", "?")
    style = "green" if status == Status.SENT else "red"
    words = [paint(status, style), result.get("code", ""), harmless(result.get("detail", ""))]
    if result.get("replayed") == "1":
        words.append("(the answer to an earlier request of this id)")
    if result.get("parts") not in {"1/1", "0/0", None}:
        words.append(f"{result['parts']} parts")
    return "  ".join(filter(None, words))
