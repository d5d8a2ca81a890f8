"""`qqbus doctor`: looks at Redis, this machine and the way to SmartQQ, and says what to change."""

import argparse
import os
import shutil
import stat
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from adapter.bus.admin import AdminClient
from adapter.bus.connection import redact_url
from adapter.cli.diagnostics import Facts, Level, run_checks
from adapter.cli.terminal import Paint, as_json, say
from adapter.config import Config
from adapter.errors import BusError

_LIMIT = 3.0
_PORTS = {"http": 80, "https": 443}
_SECRETS = ("smartqq.json", "http-token")
_STYLES = {Level.GOOD: "green", Level.WARN: "yellow", Level.BAD: "red"}


def add_to(subs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    one = subs.add_parser(
        "doctor", help="look for what is wrong with this installation, and say what to change"
    )
    one.add_argument("--json", action="store_true", help="one JSON object a line")
    one.set_defaults(command=doctor)


async def doctor(config: Config, arguments: argparse.Namespace) -> int:
    """Exit code 0 if nothing is bad, 1 if something is, 3 if there is no Redis and none of ours to start."""
    facts = await _redis(config, await _machine(config))
    paint = Paint(arguments.colour)
    worst = Level.GOOD
    for one in run_checks(facts):
        worst = Level.BAD if one.level is Level.BAD else worst
        if arguments.json:
            say(as_json({"level": one.level, "what": one.what, "change": one.change}))
        else:
            say(f"{paint(f'{one.level.value:<4}', _STYLES[one.level])}  {one.what}")
            if one.change:
                say(f"      → {one.change}")
    if facts.away and not facts.embedded:
        return 3
    return 1 if worst is Level.BAD else 0


async def _redis(config: Config, facts: Facts) -> Facts:
    try:
        async with AdminClient.open(config.redis_url, config.prefix) as desk:
            began = time.time()
            theirs = await desk.time()
            ours = (began + time.time()) / 2
            held = await desk.lease_held()
            return replace(
                facts,
                info=await desk.info(),
                settings=await desk.config("bind", "requirepass", "protected-mode", "appendfsync"),
                skew=theirs - ours,
                held=held,
                failing=(await desk.status()).get("failing", "") if held else "",
                dead=await desk.length("dead"),
                port="ours" if held and facts.port == "taken" else facts.port,
            )
    except BusError as exc:
        return replace(facts, away=str(exc))


async def _machine(config: Config) -> Facts:
    folder = config.state_dir
    there = next(path for path in (folder, *folder.parents) if path.exists())
    loose = [path for name in _SECRETS if (path := folder / name).exists() and _mode(path) & 0o077]
    return Facts(
        address=redact_url(config.redis_url),
        embedded=config.redis_url is None,
        prefix=config.prefix,
        state_dir=str(folder),
        state_mode=_mode(folder) if folder.exists() else None,
        writable=os.access(there, os.W_OK | os.X_OK),
        loose=tuple(map(str, loose)),
        free=shutil.disk_usage(there).free,
        waiting=_waiting(folder / "spool"),
        http="{}:{}".format(*config.http_bind) if config.http_bind else "",
        port="taken" if config.http_bind and not await _away(*config.http_bind) else "free",
        upstream=config.smartqq_url or "",
        upstream_away=await _unreachable(config.smartqq_url) if config.smartqq_url else "",
    )


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _waiting(spool: Path) -> int:
    """Bytes behind the position up to which all is published."""
    try:
        segment, offset, *_ = (spool / "cursor").read_text(encoding="ascii").split()
        sizes = {int(path.stem): path.stat().st_size for path in spool.glob("*.spool")}
    except (OSError, ValueError):
        return 0
    behind = sum(size for number, size in sizes.items() if number >= int(segment))
    return max(0, behind - int(offset))


async def _unreachable(origin: str) -> str:
    parts = urlsplit(origin)
    return await _away(parts.hostname or "", parts.port or _PORTS[parts.scheme])


async def _away(host: str, port: int) -> str:
    """Why nothing answers there; empty if something does."""
    try:
        with anyio.fail_after(_LIMIT):
            stream = await anyio.connect_tcp(host, port)
    except TimeoutError:
        return f"no answer within {_LIMIT:g} s"
    except OSError as exc:
        return str(exc) or type(exc).__name__
    await stream.aclose()
    return ""
