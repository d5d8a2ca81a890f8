"""`qqbus check`: whether what stands on the bus, or what a worker does, agrees with the contract."""

import argparse

from adapter.bus.admin import AdminClient
from adapter.bus.entries import Entry
from adapter.bus.keys import GROUP
from adapter.cli import conformance
from adapter.cli.terminal import Paint, as_json, harmless, say
from adapter.config import Config
from adapter.contract.lint import Linter
from adapter.errors import ConfigError

_OWN_STREAMS = 100  # so many result streams of workers are looked at


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser("check", help="lint the live streams, or a worker, against the contract")
    add = one.add_argument
    add("--json", action="store_true", help="one JSON object")
    add("--worker", metavar="GROUP", help="try a worker: the name of its consumer group")
    add(
        "--timeout",
        type=float,
        default=conformance.PATIENCE,
        metavar="SECONDS",
        help=f"how long the worker may take for one answer (default {conformance.PATIENCE:g})",
    )
    add(
        "program",
        nargs="*",
        metavar="PROGRAM",
        help="after --: start this worker on keys of its own; else one that runs already, without adapter",
    )
    one.set_defaults(command=check)


async def check(config: Config, arguments: argparse.Namespace) -> int:
    """Exit code 0 if nothing is wrong, else 1."""
    if arguments.worker:
        return await _worker(config, arguments)
    if arguments.program:
        raise ConfigError("a program is tried with --worker GROUP")
    async with AdminClient.open(config.redis_url, config.prefix) as desk:
        linter = await lint(desk)
    if arguments.json:
        say(as_json({"entries": linter.seen, "wrong": linter.found, "notes": linter.notes}))
    else:
        _tell(linter, Paint(arguments.colour))
    return 1 if linter.found else 0


async def lint(desk: AdminClient) -> Linter:
    """Read the whole bus."""
    linter = Linter(desk.keys.prefix)
    async for entry, fields in desk.entries("inbound"):
        linter.inbound(entry, fields)
    # What is acknowledged now must have a result by the time the results are read.
    given, open_ones = await desk.group_progress("outbound", GROUP)
    requests = [entry async for entry in desk.entries("outbound")]
    for name in ["results", *_own_streams(desk, requests)]:
        async for entry, fields in desk.entries(name):
            linter.result(entry, fields, name)
    for entry, fields in requests:
        answered = _number(entry) <= _number(given) and entry not in open_ones
        linter.outbound(entry, fields, answered=answered)
    async for entry, fields in desk.entries("dead"):
        linter.dead(entry, fields)
    async for entry, fields in desk.entries("session"):
        linter.session(entry, fields)
    linter.status({name.encode(): value for name, value in (await desk.hash("status")).items()})
    return linter


def _own_streams(desk: AdminClient, requests: list[Entry]) -> list[str]:
    head = desk.keys("")
    named = {fields.get(b"results", b"").decode("utf-8", "replace") for _, fields in requests}
    return sorted(name[len(head) :] for name in named if name.startswith(desk.keys("results:")))[
        :_OWN_STREAMS
    ]


def _number(entry: str) -> tuple[int, int]:
    milliseconds, _, turn = entry.partition("-")
    return int(milliseconds), int(turn or "0")


def _tell(linter: Linter, paint: Paint) -> None:
    counted = ", ".join(f"{count} {stream}" for stream, count in sorted(linter.seen.items()))
    for sentence in linter.notes:
        say(f"{paint('note ', 'dim')} {harmless(sentence)}")
    for sentence in linter.found:
        say(f"{paint('wrong', 'red')} {harmless(sentence)}")
    verdict = paint("nothing is wrong", "green") if not linter.found else paint("something is wrong", "red")
    say(f"{verdict}: looked at {counted or 'an empty bus'}")


async def _worker(config: Config, arguments: argparse.Namespace) -> int:
    paint = Paint(arguments.colour)
    failed = 0
    async with conformance.stage(config, arguments.worker, arguments.program, arguments.timeout) as stage:
        async for finding in stage.run():
            failed += not finding.passed
            mark = paint("pass", "green") if finding.passed else paint("FAIL", "red")
            if arguments.json:
                say(as_json(finding._asdict()))
            else:
                say(f"{mark}  {finding.what}" + (f": {harmless(finding.detail)}" if finding.detail else ""))
    return 1 if failed else 0
