"""Prove session/store.py and credentials.py: the login kept on disk."""

import json
import logging
import stat
from pathlib import Path

import pytest

from adapter.networks.smartqq.session.cookies import Cookie
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session.store import NAME, SessionStore

NOW = 1_450_000_000.0


def tokens() -> Credentials:
    kept = Credentials(
        account="305419896", nick="小桥", ptwebqq="p", vfwebqq="v", psessionid="s", last_poll=1.5
    )
    kept.jar.put(Cookie("skey", "@secret", "qq.com"), NOW)
    return kept


def test_a_login_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    SessionStore(tmp_path / "new" / "folder").save(tokens())
    assert SessionStore(tmp_path / "new" / "folder").load(NOW) == tokens()


def test_the_file_is_its_owner_s_alone_and_nothing_else_is_left(tmp_path: Path) -> None:
    SessionStore(tmp_path).save(tokens())
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_nothing_is_written_where_nothing_has_changed(tmp_path: Path) -> None:
    file = SessionStore(tmp_path)
    file.save(tokens())
    before = (tmp_path / NAME).stat().st_mtime_ns
    file.save(tokens())
    again = SessionStore(tmp_path)
    again.save(again.load(NOW))
    assert (tmp_path / NAME).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": 2}', '{"format": 1, "secret": "@secret"}', "\udcff", "[" * 100_000],
)
def test_a_file_of_another_kind_is_a_fresh_start_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert SessionStore(tmp_path).load(NOW) == Credentials()
    assert "unusable" in caplog.text
    assert "@secret" not in caplog.text


def test_cookies_that_are_not_cookies_are_a_fresh_start(tmp_path: Path) -> None:
    data = {**tokens().dump(), "cookies": [{"name": 1}]}
    (tmp_path / NAME).write_text(json.dumps(data), encoding="utf-8")
    assert SessionStore(tmp_path).load(NOW) == Credentials()


def test_no_file_is_a_fresh_start_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert SessionStore(tmp_path).load(NOW) == Credentials()
    assert not caplog.text


def test_a_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        SessionStore(tmp_path / "file").save(tokens())
    assert "cannot save the session" in caplog.text


def test_tokens_show_nothing() -> None:
    shown = repr(tokens())
    assert "secret" not in shown
    assert "305419896" in shown
    assert "vfwebqq" not in shown


def test_a_renewed_ptwebqq_changes_field_cookie_and_hash() -> None:
    kept = tokens()
    before = kept.hash
    kept.renew("0123", NOW)
    assert (kept.ptwebqq, kept.jar.get("ptwebqq", "qq.com")) == ("0123", "0123")
    assert kept.hash != before


def test_forgetting_leaves_the_time_of_the_last_poll_and_what_the_machine_is_known_by() -> None:
    kept = tokens()
    kept.jar.put(Cookie("ptcz", "known", "qq.com"), NOW)
    kept.clear()
    assert (kept.has_session, kept.has_login, kept.last_poll) == (False, False, 1.5)
    assert kept.jar.header("https://s.web2.qq.com/", NOW) == "ptcz=known"
