"""`python -m tests.bench`: every benchmark, or those named; a table, a JSON file and a plot."""

import argparse
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import anyio

from tests.bench import report
from tests.bench.figures import Findings
from tests.bench.stage import staged

ALL = ("inbound", "latency", "roundtrip", "outbound", "workers", "scaling", "cost")
# Only where named: `killed` takes minutes, and its figures are counts; `lanes` wants more cores than two;
# `gateway` and `onebot` install nonebot2.
BY_NAME = ("gateway", "killed", "lanes", "onebot")
RESULTS = Path(".bench")


async def server() -> str:
    """Which server the figures are of."""
    with tempfile.TemporaryDirectory(prefix="qqbus-bench-") as name:
        async with staged(Path(name)) as stage:
            info = await stage.client.info("server")
            valkey = info.get("valkey_version")
            return f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}"


async def run(names: list[str], findings: Findings) -> None:
    """One after the other: each has the machine for itself."""
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="qqbus-bench-") as folder:
            await import_module(f"tests.bench.{name}").run(findings, Path(folder))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and tell; 1 if something that is wanted was not reached (never where quick)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(ALL)}; {', '.join(BY_NAME)} only where named"
    )
    parser.add_argument("--quick", action="store_true", help="little of everything: does it run at all?")
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder for bench.json and bench.svg")
    arguments = parser.parse_args()
    names = arguments.names or list(ALL)
    if unknown := set(names) - {*ALL, *BY_NAME}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join((*ALL, *BY_NAME))}")
    if arguments.into == RESULTS:
        own_folder()
    findings = Findings(arguments.quick)
    facts = report.environment(anyio.run(server), arguments.quick)
    anyio.run(run, names, findings)
    print(report.table(findings.rows))
    kept, drawn = report.save(arguments.into, findings.rows, facts)
    print(
        f"\n{facts['server']}, Python {facts['python']}, {facts['cores']} cores, load {facts['load'][0]} at the start"
    )
    print(f"{kept}  {drawn}")
    missed = [row for row in findings.rows if row.met is False]
    sys.exit(bool(missed) and not arguments.quick and "BENCH_STRICT" in os.environ)


def own_folder() -> None:
    """Return a folder that git does not see."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ".gitignore").write_text("*\n", encoding="utf-8")


if __name__ == "__main__":
    main()
