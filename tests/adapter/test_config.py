"""Test adapter/config.py."""

from pathlib import Path

import pytest

from adapter.config import SETTINGS, Config, OfficialConfig, OneBotConfig, ignored_settings, suggest_settings
from adapter.errors import ConfigError


def test_nothing_needs_to_be_set() -> None:
    config = Config.from_env({"HOME": "/home/somebody"})
    assert config.redis_url is None
    assert (config.prefix, config.login, config.send_interval_seconds) == ("qq", "qr", None)
    assert config.state_dir == Path("/home/somebody/.local/state/qqbus")
    assert config.http_bind == ("127.0.0.1", 8710)
    assert (config.include_raw, config.log_format, config.log_level) == (False, "text", "INFO")


def test_settings_are_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("\ufeffhunter2\r\n", encoding="utf-8")
    config = Config.from_env(
        {
            "REDIS_URL": "rediss://user:pw@example.org:6380/2",
            "QQBUS_PREFIX": "{qq}",
            "QQBUS_STATE_DIR": str(tmp_path),
            "QQBUS_LOGIN": "password",
            "QQBUS_ACCOUNT": "305419896",
            "QQBUS_PASSWORD_FILE": str(secret),
            "QQBUS_SMARTQQ_URL": "http://127.0.0.1:8080/",
            "QQBUS_SEND_INTERVAL": "0",
            "QQBUS_LOG_LEVEL": "debug",
            "PORT": "5000",
        }
    )
    assert (config.password, config.smartqq_url) == ("hunter2", "http://127.0.0.1:8080")
    assert (config.send_interval_seconds, config.log_level, config.http_bind) == (
        0.0,
        "DEBUG",
        ("127.0.0.1", 5000),
    )
    assert "hunter2" not in repr(config)


def test_no_address_and_no_command_is_shown() -> None:
    secret = {
        "REDIS_URL": "redis://u:hunter2@r.example:6379/0",
        "QQBUS_ALARM_URL": "https://alarm.example/hunter2",
        "QQBUS_ALARM_COMMAND": "notify --key hunter2",
        "QQBUS_HTTP_TOKEN": "hunter2-hunter2-hunter2",
    }
    assert "hunter2" not in repr(Config.from_env(secret))


class Asked(dict[str, str]):
    """An environment that knows what it was asked for."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.names: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.names.add(name)
        return super().get(name, default)


def test_what_is_read_is_what_is_known_as_a_setting() -> None:
    onebot = {"HOME": "/home/somebody", "QQBUS_NETWORK": "onebot", "QQBUS_ONEBOT_URL": "ws://127.0.0.1/"}
    names: set[str] = set()
    others = ({"HOME": "/home/somebody", "QQBUS_NETWORK": name} for name in ("smartqq", "official"))
    for env in map(Asked, (onebot, *others)):
        Config.from_env(env)
        names |= env.names
    assert {name for name in names if name.startswith("QQBUS")} == set(SETTINGS)


def test_a_misspelt_setting_is_found_and_somebody_elses_is_not() -> None:
    env = {"QQBUS_STATEDIR": "x", "QQBUS_SEND_INTERVALL": "1", "QQBUS_HTTP": "off", "HOME": "x"}
    env |= {"QQBUS_WORKER_HTTP": "1", "QQBUS_CLAIM_MS": "1", "QQBUS_WEBHOOK_SECRET": "1"}
    assert suggest_settings(env) == [
        ("QQBUS_SEND_INTERVALL", "QQBUS_SEND_INTERVAL"),
        ("QQBUS_STATEDIR", "QQBUS_STATE_DIR"),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://x"),
        ("REDIS_URL", "redis://127.0.0.1:banana"),
        ("QQBUS_PREFIX", "a b"),
        ("QQBUS_PREFIX", "qq:x"),
        ("QQBUS_LOGIN", "telepathy"),
        ("QQBUS_ACCOUNT", "me"),
        ("QQBUS_PASSWORD_FILE", "/nowhere/at/all"),
        ("QQBUS_PASSWORD_FILE", "~nowhere/at/all"),
        ("QQBUS_SMARTQQ_URL", "127.0.0.1:80"),
        ("QQBUS_SMARTQQ_URL", "http://x/path"),
        ("QQBUS_SMARTQQ_URL", "http://[x"),
        ("QQBUS_STATE_DIR", "~nowhere/at/all"),
        ("QQBUS_SEND_INTERVAL", "fast"),
        ("QQBUS_SEND_INTERVAL", "-1"),
        ("QQBUS_SEND_INTERVAL", "nan"),
        ("QQBUS_LEASE", "0"),
        ("QQBUS_HTTP", "8710"),
        ("PORT", "99999"),
        ("QQBUS_ALARM_COMMAND", "notify 'secret"),
        ("QQBUS_ALARM_URL", "example.org/secret"),
        ("QQBUS_ALARM_URL", "ftp://example.org/secret"),
        ("QQBUS_ALARM_URL", "https:///secret"),
        ("QQBUS_ALARM_URL", "https://example.org:99999/secret"),
        ("QQBUS_ALARM_URL", "https://[secret"),
        ("QQBUS_ALARM_URL", "https://example..org/secret"),
        ("QQBUS_ALARM_URL", "https://example.org/secret path"),
        ("QQBUS_ALARM_URL", "https://example.org/secret\x7f"),
        ("QQBUS_REPLICAS", "1.5"),
        ("QQBUS_SILENCE_ALARM", "-1"),
        ("QQBUS_SILENCE_ALARM", "1d"),
        ("PORT", "9" * 5_000),
        ("QQBUS_RAW", "yes"),
        ("QQBUS_LOG", "xml"),
        ("QQBUS_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        Config.from_env({name: value})
    assert "secret" not in str(caught.value)


def test_where_alarms_go_is_read_and_not_shown() -> None:
    url = "https://user:secret@例子.测试:8443/机器人?key=secret"
    given = {"QQBUS_ALARM_URL": url, "QQBUS_ALARM_COMMAND": "notify --token secret"}
    config = Config.from_env(given | {"QQBUS_SILENCE_ALARM": "3600"})
    assert (config.alarm_url, config.silence_alarm_seconds) == (url, 3600.0)
    assert "secret" not in repr(config)
    assert Config.from_env({}).silence_alarm_seconds == 0.0


def test_a_password_login_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="QQBUS_ACCOUNT"):
        Config.from_env({"QQBUS_LOGIN": "password"})


def test_an_address_with_a_password_is_never_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env({"REDIS_URL": "redis://:hunter2@127.0.0.1:banana"})
    assert "hunter2" not in str(caught.value)


def test_a_network_has_its_own_settings_and_pace(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("\ufeffs3cret\n", encoding="utf-8")
    env = {
        "QQBUS_STATE_DIR": str(tmp_path),
        "QQBUS_NETWORK": "onebot",
        "QQBUS_ONEBOT_URL": "wss://example.org/bot?x=1",
        "QQBUS_ONEBOT_TOKEN_FILE": str(secret),
        "QQBUS_ONEBOT_HISTORY": "20",
    }
    config = Config.from_env(env)
    assert config.onebot == OneBotConfig("wss://example.org/bot?x=1", "s3cret", 20)
    assert (config.network, config.send_interval_seconds) == ("onebot", None)
    assert "s3cret" not in repr(config)
    assert "example.org" not in repr(config)
    assert Config.from_env(env | {"QQBUS_SEND_INTERVAL": "2"}).send_interval_seconds == 2.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QQBUS_ONEBOT_URL", ""),
        ("QQBUS_ONEBOT_URL", "http://127.0.0.1/"),
        ("QQBUS_ONEBOT_URL", "ws://:3001/"),
        ("QQBUS_ONEBOT_URL", "ws://h:port/"),
        ("QQBUS_ONEBOT_URL", "ws://h/a b"),
        ("QQBUS_ONEBOT_TOKEN", "a\nb"),
        ("QQBUS_ONEBOT_TOKEN", "密"),
        ("QQBUS_ONEBOT_HISTORY", "1000"),
        ("QQBUS_ONEBOT_HISTORY", "2.5"),
        ("QQBUS_ONEBOT_TOKEN_FILE", "/nowhere/token"),
        ("QQBUS_NETWORK", "icq"),
    ],
)
def test_a_wrong_setting_of_onebot_is_named_and_not_repeated(name: str, value: str) -> None:
    env = {"HOME": "/", "QQBUS_NETWORK": "onebot", "QQBUS_ONEBOT_URL": "ws://127.0.0.1:3001/"}
    with pytest.raises(ConfigError, match=name) as caught:
        Config.from_env(env | {name: value})
    assert "密" not in str(caught.value)


def test_the_official_api_has_hosts_and_credentials(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("\ufeffs3cret\n", encoding="utf-8")
    env = {"HOME": "/", "QQBUS_NETWORK": "official"}
    assert Config.from_env(env).official == OfficialConfig()
    assert OfficialConfig().token_url == "https://api.bot.qq.com/app/getAppAccessToken"
    given = Config.from_env(
        env
        | {
            "QQBUS_OFFICIAL_APPID": "102000001",
            "QQBUS_OFFICIAL_SECRET_FILE": str(secret),
            "QQBUS_OFFICIAL_API_URL": "http://127.0.0.1:8000/",
            "QQBUS_OFFICIAL_PORTAL_URL": "http://127.0.0.1:8001",
            "QQBUS_OFFICIAL_INTENTS": "50331648",
        }
    )
    assert given.official == OfficialConfig(
        "102000001",
        "s3cret",
        "http://127.0.0.1:8000",
        "http://127.0.0.1:8000/app/getAppAccessToken",
        "http://127.0.0.1:8001",
        50331648,
    )
    assert "s3cret" not in repr(given)
    for url in ("http://h:1/", "http://h:1/app/getAppAccessToken"):
        found = Config.from_env(env | {"QQBUS_OFFICIAL_TOKEN_URL": url}).official
        assert found is not None
        assert found.token_url == "http://h:1/app/getAppAccessToken"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("QQBUS_OFFICIAL_APPID", {"QQBUS_OFFICIAL_APPID": "bot"}),
        ("QQBUS_OFFICIAL_APPID", {"QQBUS_OFFICIAL_SECRET": "s3cret"}),
        ("QQBUS_OFFICIAL_SECRET_FILE", {"QQBUS_OFFICIAL_APPID": "102000001"}),
        ("QQBUS_OFFICIAL_SECRET", {"QQBUS_OFFICIAL_APPID": "102000001", "QQBUS_OFFICIAL_SECRET": "s3\ncret"}),
        ("QQBUS_OFFICIAL_API_URL", {"QQBUS_OFFICIAL_API_URL": "api.bot.qq.com"}),
        ("QQBUS_OFFICIAL_TOKEN_URL", {"QQBUS_OFFICIAL_TOKEN_URL": "ws://h/"}),
        ("QQBUS_OFFICIAL_PORTAL_URL", {"QQBUS_OFFICIAL_PORTAL_URL": "http://h/path"}),
        ("QQBUS_OFFICIAL_INTENTS", {"QQBUS_OFFICIAL_INTENTS": "0"}),
        ("QQBUS_OFFICIAL_INTENTS", {"QQBUS_OFFICIAL_INTENTS": "all"}),
        ("QQBUS_OFFICIAL_INTENTS", {"QQBUS_OFFICIAL_INTENTS": "33554432.5"}),
        ("QQBUS_OFFICIAL_APPID", {"QQBUS_LOGIN": "password"}),
    ],
)
def test_a_wrong_setting_of_the_official_api_is_named(name: str, changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        Config.from_env({"HOME": "/", "QQBUS_NETWORK": "official"} | changes)
    assert "s3" not in str(caught.value)


def test_settings_of_another_network_are_ignored() -> None:
    env = {
        "HOME": "/",
        "QQBUS_ONEBOT_URL": "nonsense",
        "QQBUS_ONEBOT_TOKEN": "",
        "QQBUS_SMARTQQ_URL": "http://h",
    }
    assert Config.from_env(env).onebot is None
    other = {"QQBUS_NETWORK": "onebot", "QQBUS_ONEBOT_URL": "ws://h", "QQBUS_SMARTQQ_URL": "nonsense"}
    assert Config.from_env({"HOME": "/"} | other).smartqq_url is None
    assert ignored_settings(env, "smartqq") == ["QQBUS_ONEBOT_URL"]
    assert ignored_settings(env, "onebot") == ["QQBUS_SMARTQQ_URL"]
