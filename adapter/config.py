"""Read every setting of the adapter from a mapping such as os.environ."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from adapter.errors import ConfigError

DEFAULT_PORT = 6379
PREFIX = re.compile(r"(\w[\w.-]*|\{\w[\w.-]*\})\Z", re.ASCII)
REDIS_SCHEMES = (
    *("redis", "rediss", "unix"),
    *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)
MIN_KEY_LENGTH = 16
# Those that `Config.read` looks for; a test holds them against it.
SETTINGS = (
    *("QQBUS_PREFIX", "QQBUS_STATE_DIR", "QQBUS_SMARTQQ_URL", "QQBUS_LEASE", "QQBUS_REPLICAS"),
    *("QQBUS_LOGIN", "QQBUS_ACCOUNT", "QQBUS_PASSWORD", "QQBUS_PASSWORD_FILE", "QQBUS_SESSION_KEY"),
    *("QQBUS_SEND_INTERVAL", "QQBUS_CHAT_INTERVAL", "QQBUS_HTTP", "QQBUS_HTTP_TOKEN"),
    *("QQBUS_ALARM_COMMAND", "QQBUS_ALARM_URL", "QQBUS_SILENCE_ALARM"),
    *("QQBUS_RAW", "QQBUS_LOG", "QQBUS_LOG_LEVEL"),
)
SIMILARITY = 0.85
# Seconds: a longer silence than a month is no alarm.
MAX_SILENCE_SECONDS = 31 * 86_400.0
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of the adapter; the README lists the variables."""

    redis_url: str | None
    prefix: str
    state_dir: Path
    login: str
    account: str
    password: str = field(repr=False)
    smartqq_url: str | None
    send_interval: float
    chat_interval: float
    lease_seconds: float
    min_replicas: int
    session_key: str = field(repr=False)
    http_bind: tuple[str, int] | None
    http_token: str = field(repr=False)
    alarm_command: str = field(repr=False)
    alarm_url: str = field(repr=False)
    silence_alarm_seconds: float
    include_raw: bool
    log_format: str
    log_level: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read all settings. Raises ConfigError naming the variable that is wrong."""
        login = _choice(env, "QQBUS_LOGIN", "qr", ("qr", "password"))
        account = _text(env, "QQBUS_ACCOUNT", "")
        if account and not re.fullmatch(r"[1-9]\d{4,10}", account, re.ASCII):
            raise ConfigError("QQBUS_ACCOUNT is not a QQ number: give 5 to 11 digits")
        password = _password(env)
        if login == "password" and not (account and password):
            raise ConfigError(
                "QQBUS_LOGIN=password needs QQBUS_ACCOUNT, and QQBUS_PASSWORD_FILE or QQBUS_PASSWORD"
            )
        return cls(
            redis_url=_redis_url(env),
            prefix=_matching(
                env, "QQBUS_PREFIX", "qq", PREFIX, "letters, digits and . _ -, or {one such tag}"
            ),
            state_dir=_state_dir(env),
            login=login,
            account=account,
            password=password,
            smartqq_url=_http_origin(env, "QQBUS_SMARTQQ_URL"),
            send_interval=_number(env, "QQBUS_SEND_INTERVAL", 3.0, 0.0, 3600.0),
            chat_interval=_number(env, "QQBUS_CHAT_INTERVAL", 0.0, 0.0, 3600.0),
            lease_seconds=_number(env, "QQBUS_LEASE", 15.0, 1.0, 3600.0),
            min_replicas=int(_number(env, "QQBUS_REPLICAS", 0, 0, 16)),
            session_key=_session_key(env),
            http_bind=_http(env),
            http_token=_text(env, "QQBUS_HTTP_TOKEN", ""),
            alarm_command=_alarm_command(env),
            alarm_url=_alarm_url(env),
            silence_alarm_seconds=_number(env, "QQBUS_SILENCE_ALARM", 0.0, 0.0, MAX_SILENCE_SECONDS),
            include_raw=_choice(env, "QQBUS_RAW", "0", ("0", "1")) == "1",
            log_format=_choice(env, "QQBUS_LOG", "text", ("text", "json")),
            log_level=_choice(env, "QQBUS_LOG_LEVEL", "INFO", LOG_LEVELS, fold=str.upper),
        )


def suggest_settings(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return misspelt settings as pairs: (name, the setting that may be meant)."""
    found = [
        (name, get_close_matches(name, SETTINGS, 1, SIMILARITY))
        for name in sorted(env)
        if name.startswith("QQBUS") and name not in SETTINGS
    ]
    return [(name, near[0]) for name, near in found if near]


def _text(env: Mapping[str, str], name: str, default: str) -> str:
    return env.get(name, "").strip() or default


def _choice(
    env: Mapping[str, str],
    name: str,
    default: str,
    choices: tuple[str, ...],
    fold: Callable[[str], str] = str,
) -> str:
    value = fold(_text(env, name, default))
    if value not in choices:
        raise ConfigError(f"{name}={value!r} is not known: give one of {', '.join(choices)}")
    return value


def _matching(env: Mapping[str, str], name: str, default: str, form: re.Pattern[str], words: str) -> str:
    value = _text(env, name, default)
    if not form.match(value):
        raise ConfigError(f"{name}={value!r} cannot be used: give {words}")
    return value


def _number(env: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = _text(env, name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ConfigError(f"{name}={text!r} is not a number from {least:g} to {most:g}")
    return value


def _redis_url(env: Mapping[str, str]) -> str | None:
    url = _text(env, "REDIS_URL", "")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        if "+" not in parts.scheme:  # of several hosts
            _ = parts.port  # raises ValueError for a bad one
    except ValueError as exc:
        # The address may hold a password: it is never repeated.
        raise ConfigError("REDIS_URL has a port that is not a number from 1 to 65535") from exc
    if parts.scheme not in REDIS_SCHEMES or not (parts.netloc or parts.path):
        raise ConfigError(
            "REDIS_URL is not understood: give redis://host:port, rediss://…, unix:///path, "
            "redis+sentinel://host:port,host:port/name or redis+cluster://host:port,host:port"
        )
    return url


def _http_origin(env: Mapping[str, str], name: str) -> str | None:
    url = _text(env, name, "")
    if not url:
        return None
    parts = urlsplit(url)
    try:
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.path.strip("/") or parts.query:
        raise ConfigError(f"{name} is not an origin: give http://host:port without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _state_dir(env: Mapping[str, str]) -> Path:
    given = _text(env, "QQBUS_STATE_DIR", "")
    if given:
        return Path(given).expanduser().absolute()
    base = _text(env, "XDG_STATE_HOME", "")
    # An XDG path that is not absolute is to be ignored (XDG base directory specification).
    root = (
        Path(base)
        if base and Path(base).is_absolute()
        else Path(_text(env, "HOME", "~")).expanduser() / ".local/state"
    )
    return root / "qqbus"


def _http(env: Mapping[str, str]) -> tuple[str, int] | None:
    text = _text(env, "QQBUS_HTTP", "127.0.0.1:8710")
    if text == "off":
        return None
    host, colon, port = text.rpartition(":")
    name, port = ("PORT", env["PORT"].strip()) if env.get("PORT", "").strip() else ("QQBUS_HTTP", port)
    if not colon or not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 – the highest port
        raise ConfigError(
            f"{name} is not an address: give host:port (PORT: the port alone), or QQBUS_HTTP=off"
        )
    return host.strip("[]"), int(port)


def _alarm_command(env: Mapping[str, str]) -> str:
    command = _text(env, "QQBUS_ALARM_COMMAND", "")
    try:
        shlex.split(command)
    except ValueError as exc:
        # It may hold a secret: it is not repeated.
        raise ConfigError(f"QQBUS_ALARM_COMMAND is not a command line: {exc}") from exc
    return command


def _alarm_url(env: Mapping[str, str]) -> str:
    url = _text(env, "QQBUS_ALARM_URL", "")
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        is_usable = parts.scheme in {"http", "https"} and host and parts.port != 0
    except ValueError:
        is_usable = False
    # The HTTP client would encode a blank, but it is rather a slip; the others it refuses.
    if not is_usable or not url.isprintable() or " " in url:
        # It may hold a secret: it is not repeated.
        raise ConfigError(
            "QQBUS_ALARM_URL is not an address: give http://… or https://… without blanks (write them %20)"
        )
    return url


def _session_key(env: Mapping[str, str]) -> str:
    key = _text(env, "QQBUS_SESSION_KEY", "")
    if key and len(key) < MIN_KEY_LENGTH:
        raise ConfigError(
            f"QQBUS_SESSION_KEY is too short to be a key: give {MIN_KEY_LENGTH} characters or more"
        )
    return key


def _password(env: Mapping[str, str]) -> str:
    path = _text(env, "QQBUS_PASSWORD_FILE", "")
    if not path:
        return env.get("QQBUS_PASSWORD", "")
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"QQBUS_PASSWORD_FILE={path!r} cannot be read: {type(exc).__name__}") from exc
