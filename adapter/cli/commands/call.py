"""`qqbus call`: call an action of the network by its own name, and print what it answers."""

import argparse
import json
import secrets
import sys
from contextlib import suppress

from adapter.bus.admin import AdminClient
from adapter.cli.commands.send import describe_result, no_result, wait_result
from adapter.cli.terminal import Paint, as_json, say, show_progress
from adapter.codec.outbound import decode_request
from adapter.codec.request_body import LARGEST_LIMITS
from adapter.config import Config
from adapter.errors import AccessRefused, ConfigError, SchemaError
from adapter.events import Status
from adapter.i18n import _
from adapter.outbound.call_guard import KEY, confirmation


async def call(config: Config, arguments: argparse.Namespace) -> int:
    """Append the request, and print the answer as JSON. Exit code 1 if the action was not executed."""
    text = sys.stdin.read() if arguments.params == "-" else arguments.params
    request = f"qqbus-call/{secrets.token_hex(8)}"
    fields = {"op": "call", "id": request, "body": _body(arguments.action, text)}
    try:
        given = {name.encode(): value.encode() for name, value in fields.items()}
        decode_request("0-0", given, config.prefix, LARGEST_LIMITS)
    except SchemaError as exc:
        raise ConfigError(exc.text, **exc.values) from exc
    except UnicodeEncodeError as exc:
        raise ConfigError(str(exc)) from exc
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        after = await admin.last_id("results")
        # Where calls are guarded only a user that may write this key may call; elsewhere none is asked for.
        with suppress(AccessRefused):
            await admin.hset(KEY, request, confirmation(fields["body"].encode()))
        entry = await admin.xadd("outbound", fields)
        with show_progress(_("waiting for the result")):
            result = await wait_result(admin, entry, after, arguments.wait)
        if result is None:
            raise await no_result(admin, entry, arguments.wait)
    is_done = result.get("status") == Status.SENT
    if arguments.json:
        say(as_json(result))
    elif is_done and result.get("data"):
        say(_answer(result["data"]))
    else:
        say(describe_result(result, Paint(arguments.colour)))
    return 0 if is_done else 1


def _body(action: str, text: str) -> str:
    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError("PARAMS is not JSON: {error}", error=exc) from exc
    if not isinstance(params, dict):
        raise ConfigError("PARAMS is not a JSON object: give for example '{\"group_id\": 30001}'")
    return json.dumps({"action": action, "params": params}, ensure_ascii=False)


def _answer(data: str) -> str:
    """Return the answer in one harmless line."""
    try:
        return as_json(json.loads(data))
    except (ValueError, RecursionError):
        return as_json(data)
