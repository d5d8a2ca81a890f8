"""Proof of the options: the command line, the environment, and what is refused."""

from pathlib import Path

import pytest

from adapter import ConfigError
from consumers.onebot.options import parse_options


def test_defaults_and_environment() -> None:
    plain = parse_options([], {})
    assert (plain.listen, plain.connect, plain.app) == ("127.0.0.1:3001", (), "onebot")
    assert (plain.max_age, plain.expires, plain.is_text_format) == (600.0, 60.0, False)
    env = {
        "QQBUS_GATEWAY_CONNECT": "ws://a:1/x  wss://b/y?k=v",
        "QQBUS_GATEWAY_APP": "mine",
        "QQBUS_GATEWAY_FORMAT": "string",
        "QQBUS_GATEWAY_MAX_AGE": "0",
        "QQBUS_GATEWAY_EXPIRES": "7.5",
    }
    chosen = parse_options([], env)
    assert chosen.connect == ("ws://a:1/x", "wss://b/y?k=v")
    assert (chosen.listen, chosen.app, chosen.is_text_format) == ("", "mine", True)
    assert (chosen.max_age, chosen.expires) == (0.0, 7.5)
    given = parse_options(
        ["--connect", "ws://c:1/", "--app", "x", "--format", "array", "--max-age", "5"], env
    )
    assert (given.connect, given.app, given.is_text_format, given.max_age) == (
        ("ws://c:1/",),
        "x",
        False,
        5.0,
    )


def test_the_consumer_is_stable_and_holds_no_secret() -> None:
    first = parse_options(["--connect", "ws://u:pw@a:1/x?access_token=hunter2"], {})
    assert first.consumer == parse_options(["--connect", "ws://u:pw@a:1/x?access_token=hunter2"], {}).consumer
    assert "hunter2" not in first.consumer
    assert "pw" not in first.consumer
    assert first.consumer != parse_options([], {}).consumer


def test_a_token_comes_from_a_file_and_never_shows(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xef\xbb\xbfsecret word\n")
    chosen = parse_options(["--listen", "0.0.0.0:1"], {"QQBUS_GATEWAY_TOKEN_FILE": str(file)})
    assert chosen.token == "secret word"
    assert "secret" not in repr(chosen)


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["--listen", "0.0.0.0:3001"], {}, "QQBUS_GATEWAY_TOKEN"),
        (["--listen", "[::]:3001"], {}, "QQBUS_GATEWAY_TOKEN"),
        (["--listen", "example.org:3001"], {}, "QQBUS_GATEWAY_TOKEN"),
        (["--listen", "nonsense"], {}, "host:port"),
        (["--listen", "127.0.0.1:99999"], {}, "host:port"),
        (["--connect", "http://a/"], {}, "ws://"),
        (["--app", "a b"], {}, "QQBUS_GATEWAY_APP"),
        (["--max-age", "soon"], {}, "QQBUS_GATEWAY_MAX_AGE"),
        (["--expires", "-1"], {}, "QQBUS_GATEWAY_EXPIRES"),
        ([], {"QQBUS_GATEWAY_FORMAT": "xml"}, "QQBUS_GATEWAY_FORMAT"),
        ([], {"QQBUS_GATEWAY_TOKEN_FILE": "/nowhere/at/all"}, "QQBUS_GATEWAY_TOKEN_FILE"),
    ],
)
def test_what_makes_no_sense_is_named(arguments: list[str], env: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_options(arguments, env)
