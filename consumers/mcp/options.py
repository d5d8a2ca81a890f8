"""Options of the MCP server, from the command line and the environment."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapter import ConfigError, SchemaError, parse_address
from adapter.i18n import _
from consumers.onebot.options import parse_address as parse_host_port
from consumers.onebot.options import read_token
from consumers.runtime.connection import application_name

ANY: Final = "*"
# Sends a minute and chat: a person who types gets no further.
_RATE: Final = 6


@dataclass(frozen=True, slots=True)
class Options:
    """What an agent may do. An empty set of chats allows none; `*` in it allows all."""

    app: str = "mcp"
    # host:port of streamable HTTP; empty for standard input and output.
    http: str = ""
    token: str = field(default="", repr=False)
    chats: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()
    # Numbers of people; empty for everyone.
    senders: frozenset[str] = frozenset()
    needs_mention: bool = False
    rate: int = _RATE
    is_read_only: bool = False


def parse_options(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> Options:
    """Return the options. Raises ConfigError; argparse ends the process for bad use."""
    given = _parser().parse_args(arguments)
    try:
        app = application_name(given.app)
    except ValueError as exc:
        raise ConfigError("{name}: {error}", name="--app", error=exc) from exc
    token = ""
    if given.http:
        parse_host_port(given.http)
        token = read_token(env, "QQBUS_MCP_TOKEN")
        if not token:
            raise ConfigError("--http needs QQBUS_MCP_TOKEN or QQBUS_MCP_TOKEN_FILE, also on loopback")
    if given.rate < 0:
        raise ConfigError("--rate is not a number of sends a minute from 0 up")
    return Options(
        app,
        given.http or "",
        token,
        _addresses(given.chats, "--chats"),
        _addresses(given.read, "--read"),
        frozenset(_person(one) for one in given.senders),
        given.mentions,
        given.rate,
        given.read_only,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m consumers.mcp",
        description=_("Let agents read and send through the Model Context Protocol."),
    )
    parser.add_argument("--app", default="mcp", help=_("consumer group, start of request ids (mcp)"))
    parser.add_argument(
        "--http", metavar="HOST:PORT", help=_("streamable HTTP at /mcp, with QQBUS_MCP_TOKEN")
    )
    chats = "ADDRESS"
    parser.add_argument(
        "--chats", nargs="+", default=[], metavar=chats, help=_("may be read and written; * for all (none)")
    )
    parser.add_argument(
        "--read", nargs="+", default=[], metavar=chats, help=_("may be read; * for all (none)")
    )
    parser.add_argument(
        "--senders",
        nargs="+",
        default=[],
        metavar=chats,
        help=_("tell only what these people wrote (everyone)"),
    )
    parser.add_argument(
        "--mentions", action="store_true", help=_("in groups tell only what mentions the account")
    )
    parser.add_argument(
        "--rate", type=int, default=_RATE, help=_("sends a minute and chat ({rate})").format(rate=_RATE)
    )
    parser.add_argument("--read-only", action="store_true", help=_("no tool sends"))
    return parser


def _addresses(texts: Sequence[str], name: str) -> frozenset[str]:
    try:
        return frozenset(one if one == ANY else str(parse_address(one)) for one in texts)
    except SchemaError as exc:
        raise ConfigError("{name}: {error}", name=name, error=exc) from exc


def _person(text: str) -> str:
    number = text.removeprefix("friend:")
    if not (number.isascii() and number.isdecimal()):
        raise ConfigError("--senders: {text!r} is not friend:<id>", text=text)
    return number
