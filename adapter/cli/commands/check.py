"""`qqbus check`: compare the streams, or a worker, with the contract."""

import argparse

from adapter.bus.admin import AdminClient
from adapter.bus.entries import Entry
from adapter.bus.keys import GROUP
from adapter.cli.conformance import open_worker_test
from adapter.cli.terminal import Paint, as_json, say, show_progress
from adapter.config import Config
from adapter.contract.lint import Linter
from adapter.errors import ConfigError
from adapter.i18n import _, translate_sentence
from adapter.plain_text import harmless

# Result streams of workers that are read: more would be those of a broken worker.
_MAX_RESULT_STREAMS = 100


async def check(config: Config, arguments: argparse.Namespace) -> int:
    """Exit code 0 if nothing is wrong, else 1."""
    if arguments.worker:
        return await _check_worker(config, arguments)
    if arguments.program:
        raise ConfigError("a program is tested with --worker GROUP")
    async with AdminClient.open(config.redis_url, config.prefix) as admin:
        with show_progress(_("reading the streams")):
            linter = await _lint(admin)
    if arguments.json:
        say(as_json({"entries": linter.seen, "wrong": linter.found, "notes": linter.notes}))
    else:
        _print(linter, Paint(arguments.colour))
    return 1 if linter.found else 0


async def _lint(admin: AdminClient) -> Linter:
    """Read the whole bus."""
    linter = Linter(admin.keys.prefix)
    async for entry, fields in admin.entries("inbound"):
        linter.inbound(entry, fields)
    # Before the results: a request that is acknowledged by now has its result by the time they are read.
    delivered, pending = await admin.group_progress("outbound", GROUP)
    requests = [entry async for entry in admin.entries("outbound")]
    for name in ["results", *_result_streams(admin, requests)]:
        async for entry, fields in admin.entries(name):
            linter.result(entry, fields, name)
    for entry, fields in requests:
        answered = _entry_number(entry) <= _entry_number(delivered) and entry not in pending
        linter.outbound(entry, fields, answered=answered)
    async for entry, fields in admin.entries("dead"):
        linter.dead(entry, fields)
    async for entry, fields in admin.entries("session"):
        linter.session(entry, fields)
    linter.status({name.encode(): value for name, value in (await admin.hgetall("status")).items()})
    return linter


def _result_streams(admin: AdminClient, requests: list[Entry]) -> list[str]:
    """Return the result streams that requests name, without the prefix."""
    prefix = admin.keys("")
    named = {fields.get(b"results", b"").decode("utf-8", "replace") for _, fields in requests}
    streams = sorted(name[len(prefix) :] for name in named if name.startswith(admin.keys("results:")))
    return streams[:_MAX_RESULT_STREAMS]


def _entry_number(entry: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry.partition("-")
    return int(milliseconds), int(sequence or "0")


def _print(linter: Linter, paint: Paint) -> None:
    note, wrong = paint(_("note "), "dim"), paint(_("wrong"), "red")
    for sentence in linter.notes:
        say(f"{note} {harmless(translate_sentence(sentence))}")
    for sentence in linter.found:
        say(f"{wrong} {harmless(translate_sentence(sentence))}")
    counts = ", ".join(f"{count} {stream}" for stream, count in sorted(linter.seen.items()))
    verdict = paint(_("something is wrong"), "red") if linter.found else paint(_("nothing is wrong"), "green")
    say(_("{verdict}: read {counts}").format(verdict=verdict, counts=counts or _("an empty bus")))


async def _check_worker(config: Config, arguments: argparse.Namespace) -> int:
    paint = Paint(arguments.colour)
    failed = 0
    async with open_worker_test(config, arguments.worker, arguments.program, arguments.timeout) as worker:
        async for result in worker.run():
            failed += not result.passed
            mark = paint(_("pass"), "green") if result.passed else paint(_("FAIL"), "red")
            if arguments.json:
                say(as_json(result._asdict()))
            else:
                what, detail = translate_sentence(result.what), translate_sentence(result.detail)
                say(f"{mark}  {what}" + (f": {harmless(detail)}" if detail else ""))
    return 1 if failed else 0
