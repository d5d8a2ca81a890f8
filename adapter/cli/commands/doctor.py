"""`qqbus doctor`: look at Redis, this machine and the network, and say what to change."""

import argparse
import os
import shlex
import shutil
import stat
import time
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio

from adapter.bus.admin import AdminClient
from adapter.bus.aof import COPIES, ends_within_a_command, newest_file
from adapter.bus.connection import redact_url
from adapter.bus.embedded_access import DATA, URL_FILE
from adapter.bus.inspection import inspect_bus
from adapter.bus.spool.checkpoint import Checkpoint
from adapter.cli.diagnostics import Check, Facts, Level, run_checks
from adapter.cli.surroundings import check_append_only_file, check_findings
from adapter.cli.terminal import as_json, say, show_progress, wrap_rows
from adapter.config import Config, ignored_settings
from adapter.errors import AccessRefused, BusError
from adapter.i18n import N_, _, translate_error
from adapter.networks.open import examine_network
from adapter.networks.upstream import Finding
from adapter.ops.state_dir import SECRET_FILES, find_unwritable, is_writable

_CONNECT_TIMEOUT_SECONDS = 3.0
_PORTS = {"http": 80, "https": 443}
# Levels as they are shown; in JSON they are English.
_LABELS = {Level.GOOD: N_("ok"), Level.WARN: N_("warn"), Level.BAD: N_("bad")}
_STYLES = {Level.WARN: "yellow", Level.BAD: "red"}
_NO_REDIS = 3
# Results and events in which a message that was sent and came back is looked for.
_RESULTS, _SENT, _EVENTS = 20, 3, 1_000

_Answer = TypeVar("_Answer")


async def doctor(config: Config, arguments: argparse.Namespace) -> int:
    """Print all findings.

    Exit code 0 if nothing is bad, 1 if something is, 3 if there is no Redis and none to start.
    """
    facts = await _ask_redis(config, await _inspect_machine(config))
    checks = [*run_checks(facts), *check_append_only_file(*_inspect_data(config.state_dir / DATA))]
    checks += await _ask_findings(config) if not facts.redis_error else []
    if arguments.json:
        say(*[as_json({"level": one.level, "what": one.what, "change": one.change}) for one in checks])
    else:
        say(*_lines(checks, colour=arguments.colour))
    if facts.redis_error and not facts.embedded:
        return _NO_REDIS
    return 1 if any(one.level is Level.BAD for one in checks) else 0


async def _ask_findings(config: Config) -> list[Check]:
    try:
        async with AdminClient.open(config.redis_url, config.prefix) as admin:
            return list(check_findings(await inspect_bus(admin.client, admin.keys, await admin.time())))
    except BusError as exc:
        return [Check(Level.BAD, translate_error(exc), _("look at the server, then again here"))]


def _inspect_data(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Return the append-only file if its end is damaged, and copies of damaged ones."""
    copies = tuple(map(str, sorted(folder.glob(COPIES))))
    # A running server may be in the middle of a command.
    is_running = _exists(folder / URL_FILE)
    try:
        file = None if is_running else newest_file(folder)
        return str(file) if file and ends_within_a_command(file) else "", copies
    except OSError:
        return "", copies


def _lines(checks: list[Check], *, colour: bool) -> list[str]:
    rows: list[tuple[str, str]] = []
    styles: dict[int, str] = {}
    for one in checks:
        if one.level in _STYLES:
            styles[len(rows)] = _STYLES[one.level]
        rows.append((_(_LABELS[one.level]), one.what))
        if one.change:
            rows.append(("", f"→ {one.change}"))
    return wrap_rows(rows, colour=colour, styles=styles)


async def _ask_redis(config: Config, facts: Facts) -> Facts:
    try:
        async with AdminClient.open(config.redis_url, config.prefix) as admin:
            held = await admin.lease_held()
            skew, info, status, dead = await _look(admin)
            names = ("time", "info", "status", "dead letters")
            answers = (skew, info, status, dead)
            return replace(
                facts,
                info=info or {},
                server_config=await admin.config_get("bind", "requirepass", "protected-mode", "appendfsync"),
                skew_seconds=skew,
                is_lease_held=held,
                failing=(status or {}).get("failing", "") if held else "",
                dead_letters=dead or 0,
                lacks_own_messages=config.network == "onebot"
                and bool(await _allowed(_lacks_own_messages(admin))),
                page_port="ours" if held and facts.page_port == "taken" else facts.page_port,
                denied=tuple(name for name, answer in zip(names, answers, strict=True) if answer is None),
            )
    except BusError as exc:
        return replace(facts, redis_error=translate_error(exc))


async def _look(
    admin: AdminClient,
) -> tuple[float | None, dict[str, Any] | None, dict[str, str] | None, int | None]:
    """Return the clock's difference, INFO, status and dead letters; None for what this user may not see."""
    return (
        await _allowed(_skew_seconds(admin)),
        await _allowed(admin.info()),
        await _allowed(admin.status()),
        await _allowed(admin.xlen("dead")),
    )


async def _allowed(answer: Awaitable[_Answer]) -> _Answer | None:
    try:
        return await answer
    except AccessRefused:
        return None


async def _skew_seconds(admin: AdminClient) -> float:
    before = time.time()
    server_time = await admin.time()
    return server_time - (before + time.time()) / 2


async def _inspect_machine(config: Config) -> Facts:
    folder = config.state_dir
    existing = next(path for path in (folder, *folder.parents) if _exists(path))
    exposed = [path for name in SECRET_FILES if _exists(path := folder / name) and _mode(path) & 0o077]
    is_page_free = config.http_bind is None or bool(await _connect_error(*config.http_bind))
    return Facts(
        redis_url=redact_url(config.redis_url),
        embedded=config.redis_url is None,
        prefix=config.prefix,
        state_dir=str(folder),
        state_mode=_mode(folder) if _exists(folder) else None,
        unwritable=_find_unwritable(folder, existing),
        exposed_files=tuple(map(str, exposed)),
        free_bytes=shutil.disk_usage(existing).free,
        unpublished_bytes=_unpublished_bytes(folder / "spool"),
        page_address="{}:{}".format(*config.http_bind) if config.http_bind else "",
        page_port="free" if is_page_free else "taken",
        network=config.network,
        findings=await _examine(config),
        ignored_settings=tuple(ignored_settings(os.environ, config.network)),
        unknown_command=_unknown_command(config.alarm_command),
        upstream=config.smartqq_url or "",
        upstream_error=await _upstream_error(config.smartqq_url) if config.smartqq_url else "",
    )


async def _examine(config: Config) -> tuple[Finding, ...]:
    with show_progress(_("looking at the network, half a minute at most")):
        return await examine_network(config)


async def _lacks_own_messages(admin: AdminClient) -> bool:
    """Return whether the newest messages that were sent have not come back as events."""
    results = [fields for _, fields in await admin.last_entries("results", _RESULTS)]
    sent = [one for one in results if one.get(b"status") == b"sent" and one.get(b"message_id")][-_SENT:]
    events = [fields.get(b"id", b"") for _, fields in await admin.last_entries("inbound", _EVENTS)]
    return bool(sent) and not any(
        b"." + one[b"message_id"] + b"." in event for one in sent for event in events
    )


def _unknown_command(line: str) -> str:
    """Return the program of the alarm command if this user cannot run it; empty if it can."""
    program = shlex.split(line)[0] if line else ""
    return program if program and shutil.which(program) is None else ""


def _exists(path: Path) -> bool:
    """Return whether this user can see the path.

    `Path.exists` raises PermissionError in a folder that the user cannot open.
    """
    return os.access(path, os.F_OK)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _find_unwritable(folder: Path, existing: Path) -> str:
    """Return what this user cannot write; before the first start that is where the folder will be made."""
    path = find_unwritable(folder) if existing == folder else None if is_writable(existing) else existing
    return str(path or "")


def _unpublished_bytes(spool: Path) -> int:
    """Return the bytes behind the spool's checkpoint; 0 if there is none."""
    try:
        position = Checkpoint.read((spool / "cursor").read_bytes()).cursor
        segments = [path for path in spool.glob("*.spool") if path.stem.isdecimal()]
        sizes = {int(path.stem): path.stat().st_size for path in segments}
    except (OSError, ValueError):
        return 0
    total = sum(size for number, size in sizes.items() if number >= position.segment)
    return max(0, total - position.offset)


async def _upstream_error(origin: str) -> str:
    parts = urlsplit(origin)
    return await _connect_error(parts.hostname or "", parts.port or _PORTS[parts.scheme])


async def _connect_error(host: str, port: int) -> str:
    """Return why no program accepts a connection there; empty if one does."""
    try:
        with anyio.fail_after(_CONNECT_TIMEOUT_SECONDS):
            stream = await anyio.connect_tcp(host, port)
    except TimeoutError:
        return _("no answer within {seconds:g} s").format(seconds=_CONNECT_TIMEOUT_SECONDS)
    except OSError as exc:
        return str(exc) or type(exc).__name__
    await stream.aclose()
    return ""
