"""Read every setting of the adapter from a mapping such as os.environ."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from adapter.errors import ConfigError
from adapter.i18n import N_

# The port of the embedded server, and of a Redis that is found without REDIS_URL.
DEFAULT_PORT = 6379
PREFIX = re.compile(r"(\w[\w.-]*|\{\w[\w.-]*\})\Z", re.ASCII)
REDIS_SCHEMES = (
    *("redis", "rediss", "unix"),
    *("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)
# Characters: a shorter QQBUS_SESSION_KEY could be guessed.
MIN_KEY_LENGTH = 16
# The variables that `Config.from_env` reads; a test compares them.
SETTINGS = (
    *("QQBUS_PREFIX", "QQBUS_STATE_DIR", "QQBUS_SMARTQQ_URL", "QQBUS_LEASE", "QQBUS_REPLICAS"),
    *("QQBUS_LOGIN", "QQBUS_ACCOUNT", "QQBUS_PASSWORD", "QQBUS_PASSWORD_FILE", "QQBUS_SESSION_KEY"),
    *("QQBUS_SEND_INTERVAL", "QQBUS_CHAT_INTERVAL", "QQBUS_HTTP", "QQBUS_HTTP_TOKEN"),
    *("QQBUS_ALARM_COMMAND", "QQBUS_ALARM_URL", "QQBUS_SILENCE_ALARM"),
    *("QQBUS_RAW", "QQBUS_PUBLISH_SENT", "QQBUS_LOG", "QQBUS_LOG_LEVEL"),
    *("QQBUS_NETWORK", "QQBUS_ONEBOT_URL", "QQBUS_ONEBOT_TOKEN", "QQBUS_ONEBOT_TOKEN_FILE"),
    "QQBUS_ONEBOT_HISTORY",
    *("QQBUS_OFFICIAL_APPID", "QQBUS_OFFICIAL_SECRET", "QQBUS_OFFICIAL_SECRET_FILE"),
    *("QQBUS_OFFICIAL_API_URL", "QQBUS_OFFICIAL_TOKEN_URL", "QQBUS_OFFICIAL_PORTAL_URL"),
    "QQBUS_OFFICIAL_INTENTS",
)
NETWORKS = ("smartqq", "onebot", "official")
# Where Tencent's API and the portal of its bots are. The API gives tokens, too.
OFFICIAL_API_URL = "https://api.bot.qq.com"
OFFICIAL_PORTAL_URL = "https://q.qq.com"
_TOKEN_PATH = "/app/getAppAccessToken"  # noqa: S105 – a path
# Bit 25 of the intents: groups and private messages. The gateway knows 31 bits.
GROUP_AND_C2C = 1 << 25
_MAX_INTENTS = (1 << 31) - 1
# Messages of a chat that are asked for after a gap: more look like a scraper.
MAX_HISTORY = 100
_NETWORK_SETTING = re.compile(r"QQBUS_(SMARTQQ|ONEBOT|OFFICIAL)_")
# Ratio of difflib from which a name counts as misspelt: one letter of a usual name.
SIMILARITY = 0.85
# Seconds: a longer silence than a month is no alarm.
MAX_SILENCE_SECONDS = 31 * 86_400.0
MAX_PORT = 65_535
# Digits of an AppID; empty for a bot that is bound by a QR code.
_APPID = re.compile(r"(?:[1-9]\d{4,19})?\Z", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class OneBotConfig:
    """The settings of OneBot. `url` may hold a token in its query, so neither is shown."""

    url: str = field(repr=False)
    token: str = field(repr=False)
    history: int = 0


@dataclass(frozen=True, slots=True)
class OfficialConfig:
    """The settings of the official API. Without AppID and secret the bot is bound by scanning a QR code."""

    appid: str = ""
    secret: str = field(repr=False, default="")
    api_url: str = OFFICIAL_API_URL
    token_url: str = OFFICIAL_API_URL + _TOKEN_PATH
    portal_url: str = OFFICIAL_PORTAL_URL
    intents: int = GROUP_AND_C2C


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of the adapter; the README lists the variables."""

    # May hold a password.
    redis_url: str | None = field(repr=False)
    prefix: str
    state_dir: Path
    login: str
    account: str
    password: str = field(repr=False)
    smartqq_url: str | None
    # None: as the network takes it.
    send_interval_seconds: float | None
    chat_interval_seconds: float
    lease_seconds: float
    min_replicas: int
    session_key: str = field(repr=False)
    http_bind: tuple[str, int] | None
    http_token: str = field(repr=False)
    alarm_command: str = field(repr=False)
    alarm_url: str = field(repr=False)
    silence_alarm_seconds: float
    include_raw: bool
    publishes_sent: bool
    log_format: str
    log_level: str
    network: str = "smartqq"
    onebot: OneBotConfig | None = None
    official: OfficialConfig | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read all settings. Raises ConfigError, which names the wrong variable."""
        login = _choice(env, "QQBUS_LOGIN", "qr", ("qr", "password"))
        account = _text(env, "QQBUS_ACCOUNT", "")
        if account and not re.fullmatch(r"[1-9]\d{4,10}", account, re.ASCII):
            raise ConfigError("QQBUS_ACCOUNT is not a QQ number: give 5 to 11 digits")
        password = _secret(env, "QQBUS_PASSWORD")
        network = _choice(env, "QQBUS_NETWORK", "smartqq", NETWORKS)
        if login == "password" and network == "smartqq" and not (account and password):
            raise ConfigError(
                "QQBUS_LOGIN=password needs QQBUS_ACCOUNT, and QQBUS_PASSWORD_FILE or QQBUS_PASSWORD"
            )
        return cls(
            redis_url=_redis_url(env),
            prefix=_matching(
                env, "QQBUS_PREFIX", "qq", PREFIX, N_("letters, digits and . _ -, or a tag such as {tag}")
            ),
            state_dir=state_folder(env),
            login=login,
            account=account,
            password=password,
            smartqq_url=_http_origin(env, "QQBUS_SMARTQQ_URL") if network == "smartqq" else None,
            send_interval_seconds=_optional_number(env, "QQBUS_SEND_INTERVAL", 0.0, 3600.0),
            chat_interval_seconds=_number(env, "QQBUS_CHAT_INTERVAL", 0.0, 0.0, 3600.0),
            lease_seconds=_number(env, "QQBUS_LEASE", 15.0, 1.0, 3600.0),
            min_replicas=int(_number(env, "QQBUS_REPLICAS", 0, 0, 16, is_whole=True)),
            session_key=_session_key(env),
            http_bind=_http(env),
            http_token=_text(env, "QQBUS_HTTP_TOKEN", ""),
            alarm_command=_alarm_command(env),
            alarm_url=_alarm_url(env),
            silence_alarm_seconds=_number(env, "QQBUS_SILENCE_ALARM", 0.0, 0.0, MAX_SILENCE_SECONDS),
            include_raw=_choice(env, "QQBUS_RAW", "0", ("0", "1")) == "1",
            publishes_sent=_choice(env, "QQBUS_PUBLISH_SENT", "0", ("0", "1")) == "1",
            log_format=_choice(env, "QQBUS_LOG", "text", ("text", "json")),
            log_level=_choice(env, "QQBUS_LOG_LEVEL", "INFO", LOG_LEVELS, fold=str.upper),
            network=network,
            onebot=_onebot(env) if network == "onebot" else None,
            official=_official(env, login) if network == "official" else None,
        )


def suggest_settings(env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return misspelt settings as pairs: (name, the setting that may be meant)."""
    found = [
        (name, get_close_matches(name, SETTINGS, 1, SIMILARITY))
        for name in sorted(env)
        if name.startswith("QQBUS") and name not in SETTINGS
    ]
    return [(name, near[0]) for name, near in found if near]


def ignored_settings(env: Mapping[str, str], network: str) -> list[str]:
    """Return the settings that are given for another network than the configured one."""
    named = ((name, _NETWORK_SETTING.match(name)) for name in sorted(env))
    return [name for name, found in named if found and found[1].lower() != network and env[name].strip()]


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
        raise ConfigError(
            "{name}={value!r} is not valid: give one of {names}",
            name=name,
            value=value,
            names=", ".join(choices),
        )
    return value


def _matching(env: Mapping[str, str], name: str, default: str, form: re.Pattern[str], expected: str) -> str:
    value = _text(env, name, default)
    if not form.match(value):
        raise ConfigError(
            "{name}={value!r} cannot be used: give {expected}", name=name, value=value, expected=expected
        )
    return value


def _number(
    env: Mapping[str, str], name: str, default: float, least: float, most: float, *, is_whole: bool = False
) -> float:
    text = _text(env, name, str(default))
    try:
        value = int(text) if is_whole else float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ConfigError(
            "{name}={text!r} is not valid: give a number from {least:g} to {most:g}",
            name=name,
            text=text,
            least=least,
            most=most,
        )
    return value


def _optional_number(env: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    return _number(env, name, least, least, most) if _text(env, name, "") else None


def _redis_url(env: Mapping[str, str]) -> str | None:
    url = _secret(env, "REDIS_URL").strip()
    if not url:
        return None
    try:
        parts = urlsplit(url)
        if "+" not in parts.scheme:  # a list of hosts has a port each
            _ = parts.port  # raises ValueError if it is none
    except ValueError as exc:
        # The URL may hold a password: it is not repeated.
        raise ConfigError(
            "REDIS_URL has an invalid port: give a number from 1 to 65535; in a password write / "
            "as %2F, ? as %3F, # as %23 and @ as %40"
        ) from exc
    if parts.scheme not in REDIS_SCHEMES or not (parts.netloc or parts.path):
        raise ConfigError(
            "REDIS_URL is not valid: give redis://host:port, rediss://…, unix:///path, "
            "redis+sentinel://host:port,host:port/name or redis+cluster://host:port,host:port"
        )
    return url


def _http_origin(env: Mapping[str, str], name: str) -> str | None:
    url = _text(env, name, "")
    if not url:
        return None
    if not _is_address(url, "http", "https") or (parts := urlsplit(url)).path.strip("/") or parts.query:
        raise ConfigError("{name} is not valid: give http://host:port without a path", name=name)
    return f"{parts.scheme}://{parts.netloc}"


def state_folder(env: Mapping[str, str]) -> Path:
    """Return the folder for session, spool and embedded data. Raises ConfigError."""
    given, base = _text(env, "QQBUS_STATE_DIR", ""), _text(env, "XDG_STATE_HOME", "")
    try:
        if given:
            return Path(given).expanduser().absolute()
        # The XDG base directory specification ignores a path that is not absolute.
        if base and Path(base).is_absolute():
            return Path(base) / "qqbus"
        return Path(_text(env, "HOME", "~")).expanduser() / ".local/state/qqbus"
    except RuntimeError as exc:
        raise ConfigError(
            "QQBUS_STATE_DIR: no home directory ({error}): give an absolute path", error=exc
        ) from exc


def _http(env: Mapping[str, str]) -> tuple[str, int] | None:
    text = _text(env, "QQBUS_HTTP", "127.0.0.1:8710")
    if text == "off":
        return None
    host, colon, port = text.rpartition(":")
    name, port = ("PORT", env["PORT"].strip()) if env.get("PORT", "").strip() else ("QQBUS_HTTP", port)
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > MAX_PORT:
        raise ConfigError(
            "{name} is not valid: give host:port (for PORT the port alone), or QQBUS_HTTP=off", name=name
        )
    return host.strip("[]"), int(port)


def _alarm_command(env: Mapping[str, str]) -> str:
    command = _text(env, "QQBUS_ALARM_COMMAND", "")
    try:
        shlex.split(command)
    except ValueError as exc:
        # It may hold a secret: it is not repeated.
        raise ConfigError("QQBUS_ALARM_COMMAND is not a command line: {error}", error=exc) from exc
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
            "QQBUS_SESSION_KEY is too short: give {length} characters or more",
            length=MIN_KEY_LENGTH,
        )
    return key


def _secret(env: Mapping[str, str], name: str) -> str:
    """Return a secret: the content of the file that `<name>_FILE` names, else the setting itself."""
    path = _text(env, f"{name}_FILE", "")
    if not path:
        return env.get(name, "")
    try:
        # Editors put a byte order mark in front and a line break behind: neither belongs to the secret.
        return Path(path).expanduser().read_text(encoding="utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise ConfigError(
            "{name}_FILE={path!r} is not UTF-8: save it as UTF-8", name=name, path=path
        ) from exc
    except (OSError, RuntimeError, ValueError) as exc:  # no such user in ~user; a NUL in the path
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(
            "{name}_FILE={path!r} cannot be read: {reason}", name=name, path=path, reason=reason
        ) from exc


def _is_address(url: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.scheme in schemes and parts.hostname and parts.port != 0)
    except ValueError:
        return False
    return is_whole and url.isprintable() and " " not in url


def _onebot(env: Mapping[str, str]) -> OneBotConfig:
    url, token = _text(env, "QQBUS_ONEBOT_URL", ""), _secret(env, "QQBUS_ONEBOT_TOKEN").strip()
    if not _is_address(url, "ws", "wss"):
        # It may hold a token: it is not repeated.
        raise ConfigError(
            "QQBUS_ONEBOT_URL is not the address of a WebSocket: give that of the implementation, "
            "ws://host:port/ or wss://…, with its path and query"
        )
    if not (token.isascii() and (token.isprintable() or not token)):
        raise ConfigError("QQBUS_ONEBOT_TOKEN cannot be sent: give printable ASCII characters")
    return OneBotConfig(
        url, token, int(_number(env, "QQBUS_ONEBOT_HISTORY", 0, 0, MAX_HISTORY, is_whole=True))
    )


def _official(env: Mapping[str, str], login: str) -> OfficialConfig:
    appid = _matching(env, "QQBUS_OFFICIAL_APPID", "", _APPID, N_("the digits of the AppID at q.qq.com"))
    secret = _secret(env, "QQBUS_OFFICIAL_SECRET").strip()
    if not (secret.isascii() and (secret.isprintable() or not secret)):
        raise ConfigError("QQBUS_OFFICIAL_SECRET cannot be sent: give the printable characters of q.qq.com")
    if bool(appid) != bool(secret):
        missing = (
            "QQBUS_OFFICIAL_APPID" if secret else N_("QQBUS_OFFICIAL_SECRET_FILE or QQBUS_OFFICIAL_SECRET")
        )
        raise ConfigError(
            "{missing} is missing: give AppID and secret, or neither to bind by QR code", missing=missing
        )
    if not appid and login != "qr":
        raise ConfigError(
            "QQBUS_NETWORK=official needs QQBUS_OFFICIAL_APPID, and QQBUS_OFFICIAL_SECRET_FILE or "
            "QQBUS_OFFICIAL_SECRET; or set QQBUS_LOGIN=qr to bind a bot by scanning a QR code"
        )
    api_url = _http_origin(env, "QQBUS_OFFICIAL_API_URL") or OFFICIAL_API_URL
    return OfficialConfig(
        appid,
        secret,
        api_url,
        _token_url(env, api_url),
        _http_origin(env, "QQBUS_OFFICIAL_PORTAL_URL") or OFFICIAL_PORTAL_URL,
        int(_number(env, "QQBUS_OFFICIAL_INTENTS", GROUP_AND_C2C, 1, _MAX_INTENTS, is_whole=True)),
    )


def _token_url(env: Mapping[str, str], api_url: str) -> str:
    """Return the address of the token endpoint: as it is given, or below its origin."""
    url = _text(env, "QQBUS_OFFICIAL_TOKEN_URL", api_url)
    if not _is_address(url, "http", "https"):
        raise ConfigError("QQBUS_OFFICIAL_TOKEN_URL is not valid: give http://host:port or the whole address")
    parts = urlsplit(url)
    return url if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}{_TOKEN_PATH}"
