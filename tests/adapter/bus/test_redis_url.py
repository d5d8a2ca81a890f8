"""Proof of adapter/bus/redis_url.py: what an address means, and that a bad one is never repeated."""

import pytest

from adapter.bus.redis_url import RedisUrl, redact_url
from adapter.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", RedisUrl("", False, (("localhost", 6379),), shown="redis://")),
        ("redis://[::1]:7/2", RedisUrl("", False, (("::1", 7),), db=2, shown="redis://[::1]:7/2")),
        ("unix:///run/x%20y?db=1", RedisUrl("", False, (), path="/run/x y", db=1, shown="unix:///run/x%20y")),
        (
            "rediss://u:p%2F@h/0?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=no",
            RedisUrl(
                "",
                True,
                (("h", 6379),),
                credentials={"username": "u", "password": "p/"},
                tls_options={"ssl_cert_reqs": "none", "ssl_check_hostname": False},
                shown="rediss://h/0",
            ),
        ),
        (
            "redis+sentinel://:a@b@[::1]:26401, [::2], c/m%20y/3?sentinel_password=x",
            RedisUrl(
                "sentinel",
                False,
                (("::1", 26401), ("::2", 26379), ("c", 26379)),
                master="m y",
                db=3,
                credentials={"password": "a@b"},
                sentinel_credentials={"password": "x"},
                shown="redis+sentinel://[::1]:26401, [::2], c/m%20y/3",
            ),
        ),
        (
            "redis+cluster://a:1, [::1]",
            RedisUrl("cluster", False, (("a", 1), ("::1", 6379)), shown="redis+cluster://a:1, [::1]"),
        ),
    ],
)
def test_the_parts_of_an_address(url: str, expected: RedisUrl) -> None:
    assert RedisUrl.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://:57/Secret@10.0.0.5:6379/0", "percent-encod|write / as %2F"),
        ("redis://:pa?Secret=1@h", "write / as %2F"),
        ("redis://:pa#Secret@h", "write / as %2F"),
        ("http://:Secret@h", "give redis://host:port"),
        ("redis://:Secret@a,b", "give redis://host:port"),
        ("unix://:Secret@", "give redis://host:port"),
        ("redis://:Secret@h:0", "port that is not a number from 1 to 65535"),
        ("redis://:Secret@h:65536", "port that is not a number from 1 to 65535"),
        ("redis+sentinel://:Secret@::1/m", "malformed host"),
        ("redis://:Secret@h/abc", "database that is not a number"),
        ("redis+sentinel://:Secret@h", "names no Sentinel master"),
        ("redis://h?db=Secret", "database that is not a number"),
        ("rediss://:Secret@h?ssl_cert_reqs=Secret", "is one of none, optional, required"),
    ],
)
def test_a_bad_address_is_explained_and_nothing_of_it_is_shown(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        RedisUrl.parse(url)
    assert "Secret" not in str(raised.value)
    assert "Secret" not in redact_url(url)


@pytest.mark.parametrize(
    ("url", "ignored"),
    [
        ("redis://h?family=0&decode_responses=x&protocol=3&encoding=latin-1", 4),
        ("redis://h?ssl=true&ssl_ca_certs=x&socket_timeout=3", 3),
        ("redis+sentinel://h/m?decode_responses=false&sentinel_password=pw", 1),
        ("redis+cluster://h?db=2&family=6", 2),
    ],
)
def test_options_of_other_clients_are_named_and_change_nothing(url: str, ignored: int) -> None:
    parsed = RedisUrl.parse(url)
    assert len(parsed.ignored) == ignored
    assert parsed.tls_options == {}
    assert parsed.db == 0


def test_credentials_and_database_may_be_options() -> None:
    parsed = RedisUrl.parse("redis://h?username=u&password=a%2Fb&db=3")
    assert (dict(parsed.credentials), parsed.db) == ({"username": "u", "password": "a/b"}, 3)
    assert RedisUrl.parse("redis://:first@h?password=second").credentials == {"password": "first"}


def test_nothing_secret_is_in_the_repr() -> None:
    assert "Secret" not in repr(RedisUrl.parse("rediss://u:Secret@h?ssl_password=Secret"))
    assert "Secret" not in repr(RedisUrl.parse("redis+sentinel://:Secret@h/m?sentinel_password=Secret"))
