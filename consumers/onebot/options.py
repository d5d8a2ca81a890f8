"""Options of the gateway, from the command line and the environment."""

import argparse
import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from adapter import ConfigError
from adapter.i18n import _
from consumers.runtime.connection import application_name

_LISTEN: Final = "127.0.0.1:3001"
# Characters of a consumer's name.
_MAX_CONSUMER: Final = 120
# A name for a request id begins with the application: the contract allows 128 characters in all.
_MAX_SECONDS: Final = 3_200_000_000.0
_LOCAL_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Options:
    """How a gateway runs. Times are in seconds."""

    connect: tuple[str, ...] = ()
    # Empty: it does not listen.
    listen: str = ""
    token: str = field(default="", repr=False)
    app: str = "onebot"
    is_text_format: bool = False
    # 0: no event is too old.
    max_age: float = 600.0
    expires: float = 60.0
    reports_self: bool = False
    may_call: bool = False
    # After which the oldest unconfirmed frame ends a connection; a test passes less.
    confirm_seconds: float = 30.0

    @property
    def consumer(self) -> str:
        """Return a name in the consumer group that is the same after a restart."""
        place = self.listen or ",".join(_without_query(url) for url in self.connect)
        host = socket.gethostname() or "host"
        return re.sub(r"[^A-Za-z0-9.:/,_\[\]-]", "", f"{host}-{place}")[:_MAX_CONSUMER]

    @property
    def listen_address(self) -> tuple[str, int]:
        """Return host and port. Raises ConfigError."""
        return parse_address(self.listen)


def parse_options(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> Options:
    """Return the options. Raises ConfigError; argparse ends the process for bad use."""
    parser = _parser()
    given = parser.parse_args(arguments)

    def choose(value: str | None, name: str, default: str) -> str:
        return value if value is not None else env.get(name, "").strip() or default

    connect = tuple(given.connect or env.get("QQBUS_GATEWAY_CONNECT", "").split())
    listen = choose(given.listen, "QQBUS_GATEWAY_LISTEN", "" if connect else _LISTEN)
    style = choose(given.format, "QQBUS_GATEWAY_FORMAT", "array")
    if style not in {"array", "string"}:
        raise ConfigError("QQBUS_GATEWAY_FORMAT={style} is neither array nor string", style=style)
    try:
        app = application_name(choose(given.app, "QQBUS_GATEWAY_APP", "onebot"))
    except ValueError as exc:
        raise ConfigError("{name}: {error}", name="QQBUS_GATEWAY_APP", error=exc) from exc
    options = Options(
        connect=connect,
        listen=listen,
        token=read_token(env, "QQBUS_GATEWAY_TOKEN"),
        app=app,
        is_text_format=style == "string",
        max_age=_seconds(choose(given.max_age, "QQBUS_GATEWAY_MAX_AGE", "600"), "QQBUS_GATEWAY_MAX_AGE"),
        expires=_seconds(choose(given.expires, "QQBUS_GATEWAY_EXPIRES", "60"), "QQBUS_GATEWAY_EXPIRES"),
        reports_self=given.report_self,
        may_call=given.call,
    )
    _check(options)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m consumers.onebot",
        description=_("Run bots of OneBot 11 as workers: the gateway plays the part of the implementation."),
        epilog=_("The token stands in QQBUS_GATEWAY_TOKEN, or in the file QQBUS_GATEWAY_TOKEN_FILE."),
    )
    parser.add_argument(
        "--connect", action="append", metavar="URL", help=_("reverse WebSocket: dial this bot; repeatable")
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help=_("forward WebSocket and HTTP ({address} without --connect)").format(address=_LISTEN),
    )
    parser.add_argument("--app", metavar="NAME", help=_("consumer group, start of request ids (onebot)"))
    parser.add_argument("--format", choices=("array", "string"), help=_("of `message` (array)"))
    parser.add_argument(
        "--max-age", metavar="SECONDS", help=_("events older than this are dropped; 0: none is (600)")
    )
    parser.add_argument("--expires", metavar="SECONDS", help=_("a send not begun by then is not sent (60)"))
    parser.add_argument("--report-self", action="store_true", help=_("own messages as message_sent"))
    parser.add_argument(
        "--call", action="store_true", help=_("pass actions that the gateway does not know to the network")
    )
    return parser


def read_token(env: Mapping[str, str], name: str) -> str:
    """Return a token from the variable, or from the file that NAME_FILE names. Raises ConfigError."""
    path = env.get(f"{name}_FILE", "").strip()
    if not path:
        return env.get(name, "").strip()
    try:
        token = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            "{name}_FILE: {path} cannot be read: {error}", name=name, path=path, error=exc
        ) from exc
    if not token:
        raise ConfigError("{name}_FILE: {path} is empty", name=name, path=path)
    return token


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not (host and port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):  # noqa: PLR2004
        raise ConfigError("{text!r} is not host:port, such as {address}", text=text, address=_LISTEN)
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether a host name is this machine and can be nothing else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in _LOCAL_NAMES


def _check(options: Options) -> None:
    for url in options.connect:
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"} or not parts.hostname:
            raise ConfigError("--connect {url}: not a ws:// or wss:// address", url=_without_query(url))
    if any(character in options.token for character in "\r\n\0"):
        raise ConfigError("QQBUS_GATEWAY_TOKEN holds a line break: it could not stand in a header")
    if options.listen and not is_loopback(options.listen_address[0]) and not options.token:
        raise ConfigError(
            "--listen {address} is reached from other machines: set QQBUS_GATEWAY_TOKEN or "
            "QQBUS_GATEWAY_TOKEN_FILE, or listen on 127.0.0.1",
            address=options.listen,
        )


def _seconds(text: str, name: str) -> float:
    try:
        seconds = float(text)
    except ValueError as exc:
        raise ConfigError("{name}={text} is not a number of seconds", name=name, text=text) from exc
    if not 0 <= seconds <= _MAX_SECONDS:
        raise ConfigError("{name}={text} is not a number of seconds from 0 up", name=name, text=text)
    return seconds


def _without_query(url: str) -> str:
    return url.partition("?")[0].rpartition("@")[2]
