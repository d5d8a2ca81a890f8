"""Prove session/cookies.py."""

import pytest

from adapter.networks.smartqq.session.cookies import Jar, parse

NOW = 1_450_000_000.0
LOGIN = "http://ptlogin4.web2.qq.com/check_sig?x=1"
API = "https://d1.web2.qq.com/channel/poll2"


def jar(url: str, *headers: str) -> Jar:
    filled = Jar()
    filled.store_response(url, headers, NOW)
    return filled


def test_check_sig_sets_for_one_domain_what_it_deletes_for_the_other() -> None:
    filled = jar(
        LOGIN,
        "uin=o0305419896; PATH=/; DOMAIN=qq.com;",
        "p_skey=good_; PATH=/; DOMAIN=web2.qq.com; ;",
        "p_uin=; EXPIRES=Fri, 02-Jan-1970 00:00:00 GMT; PATH=/; DOMAIN=qq.com;",
        "p_skey=; EXPIRES=Fri, 02-Jan-1970 00:00:00 GMT; PATH=/; DOMAIN=qq.com;",
        "p_uin=o0305419896; PATH=/; DOMAIN=web2.qq.com;",
    )
    assert filled.get("p_skey", "web2.qq.com") == "good_"
    assert filled.get("p_skey", "qq.com") == ""
    assert filled.header(API, NOW) == "uin=o0305419896; p_skey=good_; p_uin=o0305419896"
    assert filled.header("https://ssl.ptlogin2.qq.com/ptqrlogin", NOW) == "uin=o0305419896"


def test_a_deletion_takes_away_what_was_set_before() -> None:
    filled = jar(LOGIN, "skey=@a; DOMAIN=qq.com; PATH=/", "skey=; DOMAIN=qq.com; PATH=/; Max-Age=0")
    assert len(filled) == 0


@pytest.mark.parametrize(
    ("header", "path", "sent"),
    [
        ("a=1; PATH=/channel; DOMAIN=web2.qq.com", "/channel/poll2", True),
        ("a=1; PATH=/chan; DOMAIN=web2.qq.com", "/channel/poll2", False),
        ("a=1; DOMAIN=.web2.qq.com; PATH=/", "/x", True),
        ("a=1", "/x", False),
        ("a=1; DOMAIN=example.com", "/x", False),
        ("a=1; DOMAIN=com", "/x", False),
    ],
)
def test_domain_and_path_decide_where_a_cookie_goes(header: str, path: str, sent: bool) -> None:  # noqa: FBT001
    assert bool(jar(LOGIN, header).header(f"https://d1.web2.qq.com{path}", NOW)) is sent


def test_a_cookie_without_a_domain_goes_back_to_its_host_only() -> None:
    filled = jar("https://ssl.ptlogin2.qq.com/ptqrshow", "qrsig=x")
    assert filled.header("https://ssl.ptlogin2.qq.com/ptqrlogin", NOW) == "qrsig=x"
    assert filled.header("https://a.ssl.ptlogin2.qq.com/", NOW) == ""


def test_a_secure_cookie_is_not_sent_in_the_open() -> None:
    filled = jar(LOGIN, "a=1; Secure; DOMAIN=web2.qq.com; PATH=/")
    assert filled.header("https://s.web2.qq.com/", NOW) == "a=1"
    assert filled.header("http://s.web2.qq.com/", NOW) == ""


@pytest.mark.parametrize(
    ("expires", "alive"),
    [
        ("Fri, 02-Jan-2020 00:00:00 GMT", True),
        ("Fri, 02 Jan 2020 00:00:00 GMT", True),
        ("Friday, 02-Jan-20 00:00:00 GMT", True),
        ("Fri, 02-Jan-1970 00:00:00 GMT", False),
        ("Fri, 31-Feb-1970 00:00:00 GMT", True),
        ("sometime", True),
    ],
)
def test_dates_are_read_in_the_forms_of_the_time(expires: str, alive: bool) -> None:  # noqa: FBT001
    assert bool(len(jar(LOGIN, f"a=1; EXPIRES={expires}; DOMAIN=qq.com"))) is alive


@pytest.mark.parametrize("header", ["", "=1", "novalue", "a=\x01", "a=1\r\nX: y", "a=" + "x" * 5000, "é=1"])
def test_what_is_no_cookie_is_passed_over(header: str) -> None:
    assert parse(header, LOGIN, NOW) is None


def test_the_jar_comes_back_as_it_was_written() -> None:
    filled = jar(LOGIN, "a=1; DOMAIN=qq.com; PATH=/", "b=2; Secure; Max-Age=60")
    assert Jar.restore(filled.dump(), NOW) == filled
    assert "1" not in repr(filled)
    with pytest.raises(ValueError, match="another form"):
        Jar.restore([{"name": "a"}], NOW)
