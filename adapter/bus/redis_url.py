"""Parse a REDIS_URL without ever repeating what it says: it may hold a password."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from adapter.errors import ConfigError
from adapter.i18n import N_

# An unescaped `/`, `?`, `#` in a password leaves an `@` behind the host: such an address does not match.
_FORM: Final = re.compile(
    r"(?P<scheme>redis|rediss|unix)(?P<kind>\+sentinel|\+cluster|)://(?:(?P<user>[^/?#]*)@)?"
    r"(?P<hosts>[^@/?#]*)(?P<path>/[^@?#]*)?(?:\?(?P<query>[^@#]*))?"
)
_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^:\[\]\s]*))(?::(?P<port>\d{1,5}))?")
_DEFAULT_PORTS: Final = {"": 6379, "cluster": 6379, "sentinel": 26379}
_MAX_PORT: Final = 65_535
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_CREDENTIALS: Final = ("username", "password")
_TLS_OPTIONS: Final = (
    *("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"),
    *("ssl_cert_reqs", "ssl_check_hostname"),
)
_CERT_REQS: Final = ("none", "optional", "required")
_FORMS: Final = N_(
    "REDIS_URL is not understood: give redis://host:port/db, rediss://…, unix:///path, "
    "redis+sentinel://host:port,host:port/name or redis+cluster://host:port,host:port; "
    "in a password write / as %2F, ? as %3F, # as %23 and @ as %40"
)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A REDIS_URL in its parts. `kind` is empty, `sentinel` or `cluster`; `shown` holds no secret."""

    kind: str
    tls: bool
    hosts: tuple[Address, ...]
    path: str = ""
    master: str = ""
    db: int = 0
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sentinel_credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Names of options that have no meaning here: one address serves clients of several languages.
    ignored: tuple[str, ...] = ()
    shown: str = ""

    @classmethod
    def parse(cls, url: str) -> "RedisUrl":
        """Parse and check the whole address. Raises ConfigError."""
        match = _FORM.fullmatch(url.strip())
        if match is None or (match["scheme"] == "unix" and match["kind"]):
            raise ConfigError(_FORMS)
        kind, tls, path = match["kind"].removeprefix("+"), match["scheme"] == "rediss", match["path"] or ""
        options, ignored = _options(match["query"] or "", kind, tls=tls)
        user, colon, password = (match["user"] or "").partition(":")
        credentials = {"username": unquote(user)} if user else {}
        if colon and password:
            credentials["password"] = unquote(password)
        credentials = {name: options[name] for name in _CREDENTIALS if name in options} | credentials
        made: dict[str, Any] = {
            "credentials": credentials,
            "tls_options": {name: options[name] for name in _TLS_OPTIONS if name in options},
            "sentinel_credentials": {
                name.removeprefix("sentinel_"): options[name] for name in _SENTINEL_OPTIONS if name in options
            },
            "ignored": ignored,
            "shown": f"{match['scheme']}{match['kind']}://{match['hosts']}{path}",
        }
        if match["scheme"] == "unix":
            if not path or match["hosts"]:
                raise ConfigError(_FORMS)
            return cls(kind, tls, (), path=unquote(path), db=_database(options.get("db", "")), **made)
        hosts = tuple(_address(host.strip(), _DEFAULT_PORTS[kind]) for host in match["hosts"].split(","))
        if not kind and len(hosts) > 1:
            raise ConfigError(_FORMS)
        if kind != "sentinel":
            return cls(kind, tls, hosts, db=_database(path.strip("/") or options.get("db", "")), **made)
        master, _, db = path.strip("/").partition("/")
        if not master:
            raise ConfigError("REDIS_URL names no Sentinel master: give redis+sentinel://host:port,…/name")
        return cls(kind, tls, hosts, master=unquote(master), db=_database(db), **made)


def redact_url(url: str) -> str:
    """Return the address without user, password and options; no part of a malformed one."""
    try:
        return RedisUrl.parse(url).shown
    except ConfigError:
        return "the address in REDIS_URL"


def _address(host: str, default_port: int) -> Address:
    match = _HOST.fullmatch(host)
    if match is None or not 1 <= int(match["port"] or default_port) <= _MAX_PORT:
        raise ConfigError("REDIS_URL has a port that is not a number from 1 to 65535, or a malformed host")
    return match["ipv6"] or unquote(match["name"]) or "localhost", int(match["port"] or default_port)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ConfigError("REDIS_URL names a database that is not a number")
    return int(text or 0)


def _options(query: str, kind: str, *, tls: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options that mean something here, and the names of the others."""
    given: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    known = [
        *_CREDENTIALS,
        *(_TLS_OPTIONS if tls else ()),
        *(_SENTINEL_OPTIONS if kind == "sentinel" else ()),
        *(() if kind else ("db",)),
    ]
    options = {name: value for name, value in given.items() if name in known}
    if "ssl_cert_reqs" in options:
        # Celery and Heroku write CERT_NONE, redis-py none.
        level = str(options["ssl_cert_reqs"]).lower().removeprefix("cert_")
        if level not in _CERT_REQS:
            raise ConfigError("REDIS_URL: ssl_cert_reqs is one of {names}", names=", ".join(_CERT_REQS))
        options["ssl_cert_reqs"] = level
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() not in {
            "0",
            "f",
            "false",
            "no",
            "n",
        }
    return options, tuple(name for name in given if name not in options)
