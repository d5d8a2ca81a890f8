"""Prove login/: stages, flow, runner, qr_code, qr_image and password, over sockets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapter.errors import ProtocolError
from adapter.events import SessionChange, SessionState
from adapter.networks.smartqq.login.flow import parse_ptui_callback
from adapter.networks.smartqq.login.password import BY_CODE
from adapter.networks.smartqq.protocol.http import Response
from tests.simulator import Answer as Scripted
from tests.simulator import Simulator
from tests.support.helpers import wait_until
from tests.support.smartqq_harness import FAST, Listener, listening, names, online

pytestmark = pytest.mark.anyio

QR, SCANNED, ONLINE, OFFLINE, CAPTCHA = (
    SessionState.QR,
    SessionState.SCANNED,
    SessionState.ONLINE,
    SessionState.OFFLINE,
    SessionState.CAPTCHA,
)
PASSWORD = {"login": "password", "account": "305419896", "password": "secret"}


# --- ptlogin2's answers ---


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "ptuiCB('66','0','','0','二维码未失效。(1)', '');\r\n",
            ("66", "0", "", "0", "二维码未失效。(1)", ""),
        ),
        (
            "ptuiCB('0','0','http://x/?a=1','0','登录成功！','nick');",
            ("0", "0", "http://x/?a=1", "0", "登录成功！", "nick"),
        ),
        ("ptuiCB('0','0','u','0','t', 'it's, (a) 'nick'');", ("0", "0", "u", "0", "t", "it's, (a) 'nick'")),
        ("ptui_checkVC('0','!ABC','\\x00\\x12');", ("0", "!ABC", "\\x00\\x12", "", "", "")),
        ("ptui_auth_CB('0','http://x/check_sig?a');", ("0", "http://x/check_sig?a", "", "", "", "")),
    ],
)
def test_the_javascript_call_is_read_whatever_its_blanks(text: str, parts: tuple[str, ...]) -> None:
    assert parse_ptui_callback(Response(200, text.encode())) == parts


@pytest.mark.parametrize("text", ["", "<html>403 Forbidden</html>", "ptuiCB()", "ptuiCB('0'"])
def test_anything_else_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_ptui_callback(Response(200, text.encode()))


# --- by QR code ---


@pytest.mark.parametrize("profile", ["e1", "e3"])
async def test_a_scan_leads_online_and_each_step_is_told_once(profile: str, tmp_path: Path) -> None:
    async with Simulator(profile, auto_scan=False) as sim, listening(sim, tmp_path) as listener:
        change = await listener.state(QR)
        assert change.challenge is not None
        assert change.challenge.picture.startswith(b"\x89PNG")
        assert "txz.qq.com" in change.challenge.text
        assert change.challenge.expires is not None
        sim.scan()
        await listener.state(SCANNED)
        sim.confirm()
        arrived = await listener.state(ONLINE)
        assert (arrived.account, arrived.nick, arrived.ids_changed) == ("305419896", "小桥", True)
        assert listener.states == ["starting", "qr", "scanned", "online"]
        assert [n for n in names(sim) if n not in ("ptqrlogin", "poll2")][:7] == [
            *("ptqrshow", "check_sig", "getvfwebqq", "login2"),
            *("get_online_buddies2", "get_self_info2", "get_recent_list2"),
        ]


async def test_strict_upstream_accepts_our_headers(tmp_path: Path) -> None:
    strict = {"strict": True, "need_online": True, "check_ptwebqq": True, "drop_repeats": True}
    async with Simulator("e3", **strict) as sim, online(sim, tmp_path) as listener:
        assert not [entry for entry in sim.requests if entry.code in (103, 100000, 100001, 100006, 403)]
        assert "offline" not in listener.states


@pytest.mark.parametrize("end", ["expire", "refuse"])
async def test_a_code_that_is_no_good_any_more_is_followed_by_another(end: str, tmp_path: Path) -> None:
    async with Simulator("e3", auto_scan=False) as sim, listening(sim, tmp_path) as listener:
        first = await listener.state(QR)
        getattr(sim, end)()
        second = await listener.state(QR, 2)
        assert first.challenge != second.challenge
        sim.confirm()
        await listener.state(ONLINE)


async def test_a_token_that_does_not_fit_is_followed_by_another_code(tmp_path: Path) -> None:
    async with Simulator("e3", auto_scan=False) as sim:
        sim.next_answer("/ptqrlogin", Scripted(status=403))
        async with listening(sim, tmp_path) as listener:
            await listener.state(QR, 2)
            sim.confirm()
            await listener.state(ONLINE)


async def test_nobody_scans_so_codes_come_slowly_until_somebody_asks(tmp_path: Path) -> None:
    async with Simulator("e3", auto_scan=False) as sim, listening(sim, tmp_path) as listener:
        for count in (1, 2, 3):
            await listener.state(QR, count)
            sim.expire()
        change = await listener.state(OFFLINE)
        assert change.reason == "qr.unscanned"
        assert names(sim).count("ptqrshow") == 3
        await listener.upstream.login()
        await listener.state(QR, 4)
        sim.confirm()
        await listener.state(ONLINE)


async def test_after_the_first_codes_the_next_one_comes_by_itself(tmp_path: Path) -> None:
    limits = replace(FAST, qr_slow_interval=0.05)
    async with Simulator("e3", auto_scan=False) as sim, listening(sim, tmp_path, limits) as listener:
        for count in range(1, 7):
            await listener.state(QR, count)
            sim.expire()
        assert "online" not in listener.states


async def test_a_fresh_code_can_be_asked_for_at_any_time(tmp_path: Path) -> None:
    async with Simulator("e3", auto_scan=False) as sim, listening(sim, tmp_path) as listener:
        await listener.state(QR)
        await listener.upstream.login()
        await listener.state(QR, 2)


@pytest.mark.parametrize("code", [10005, 10006, 7, 99])
async def test_risk_control_is_told_in_its_own_words_and_waited_out(code: int, tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        answer = Scripted(body=f"ptuiCB('{code}','0','','0','帐号存在风险', '');".encode())
        sim.next_answer("/ptqrlogin", answer)
        async with listening(sim, tmp_path) as listener:
            change = await listener.state(OFFLINE)
            assert (change.reason, change.detail) == ("login.refused", f"{code}: 帐号存在风险")
            await listener.upstream.login()
            await listener.state(ONLINE)


async def test_rubbish_from_the_login_page_is_asked_for_again(tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        sim.next_answer("/ptqrshow", Scripted(status=502), Scripted(body=b"<html>"))
        sim.next_answer("/ptqrlogin", Scripted(body=b"<html>"), Scripted(status=500), Scripted(cut="before"))
        sim.next_answer("/api/getvfwebqq", *[Scripted(status=404)] * 2)
        async with listening(sim, tmp_path) as listener:
            await listener.state(ONLINE)
            assert listener.states == ["starting", "qr", "scanned", "online"]


@pytest.mark.parametrize("option", ["empty_ptwebqq", "missing_ptwebqq", "mibao_page"])
async def test_oddities_of_the_years_are_no_obstacle(option: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {option: True}
    async with Simulator("e3", **changes) as sim, online(sim, tmp_path) as listener:
        assert "online" in listener.states
        assert ("mibao_res.html" in names(sim)) is (option == "mibao_page")


@pytest.mark.parametrize("code", [106, 111])
async def test_a_listed_account_is_refused(code: int, tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        sim.next_answer("/channel/login2", Scripted(json={"retcode": code, "errmsg": "list"}))
        async with listening(sim, tmp_path) as listener:
            change = await listener.state(OFFLINE)
            assert change.reason == "login.refused"
            assert str(code) in change.detail


@pytest.mark.parametrize("code", [112, 113, 115])
async def test_later_means_later(code: int, tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        sim.next_answer("/channel/login2", *[Scripted(json={"retcode": code})] * 2)
        async with listening(sim, tmp_path) as listener:
            await listener.state(ONLINE)
            assert names(sim).count("login2") == 3
            assert names(sim).count("ptqrshow") == 1


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/channel/login2", {"retcode": 103}),
        ("/channel/login2", {"retcode": 108}),
        ("/channel/login2", {"retcode": 100000}),
        ("/channel/login2", {"retcode": 0, "result": {}}),
        ("/api/getvfwebqq", {"retcode": 100000}),
    ],
)
async def test_a_login_that_upstream_takes_back_is_done_again(
    path: str, answer: dict[str, Any], tmp_path: Path
) -> None:
    async with Simulator("e3") as sim:
        sim.next_answer(path, Scripted(json=answer))
        async with listening(sim, tmp_path) as listener:
            await listener.state(ONLINE)
            assert names(sim).count("ptqrshow") == 2


async def test_a_login_that_is_never_vouched_for_is_refused(tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        sim.next_answer("/api/getvfwebqq", *[Scripted(json={"retcode": 100000})] * 3)
        async with listening(sim, tmp_path) as listener:
            assert (await listener.state(OFFLINE)).reason == "login.refused"


# --- without a scan ---


async def test_a_restart_goes_on_with_the_session(tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        async with online(sim, tmp_path):
            pass
        since = len(sim.requests)
        async with online(sim, tmp_path) as listener:
            assert listener.states == ["starting", "online"]
            assert not listener.of(SessionChange)[-1].ids_changed
            assert names(sim, since)[0] == "get_online_buddies2"
            assert "login2" not in names(sim, since)


async def test_a_restart_relinks_with_the_former_session(tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        async with online(sim, tmp_path):
            pass
        sim.drop_session(121)
        since = len(sim.requests)
        async with online(sim, tmp_path) as listener:
            assert listener.states == ["starting", "relinking", "online"]
            assert listener.of(SessionChange)[-1].ids_changed
            relink = next(entry for entry in sim.requests[since:] if entry.path.endswith("login2"))
            assert '"key":""' in relink.params["r"]
            assert '"psessionid":""' not in relink.params["r"]
            assert "ptqrshow" not in names(sim, since)


@pytest.mark.parametrize("code", [0, 2])
async def test_a_restart_uses_the_quick_login_when_the_cookies_are_gone(code: int, tmp_path: Path) -> None:
    async with Simulator("e3", quick_code=code) as sim:
        async with online(sim, tmp_path):
            pass
        sim.drop_session(100001)
        since = len(sim.requests)
        sim.next_answer("/channel/login2", *[Scripted(json={"retcode": 103})] * 4)
        async with online(sim, tmp_path) as listener:
            assert listener.states[-1] == "online"
            assert "pt4_auth" in names(sim, since)
            assert "ptqrshow" not in names(sim, since)


async def test_a_restart_shows_a_code_when_nothing_is_accepted(tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        async with online(sim, tmp_path):
            pass
        sim.drop_session(cookies=True)
        async with online(sim, tmp_path) as listener:
            assert "qr" in listener.states


async def test_a_spoilt_session_file_shows_a_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "smartqq.json").write_text("{spoilt", encoding="utf-8")
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        assert "qr" in listener.states
        assert "unusable" in caplog.text


# --- by password ---


@pytest.mark.parametrize("options", [{}, {"random_salt": True}, {"old_check": True}, {"mibao_page": True}])
async def test_a_password_leads_online(options: dict[str, Any], tmp_path: Path) -> None:
    async with (
        Simulator("e1", **options) as sim,
        online(sim, tmp_path, settings=PASSWORD) as listener,
    ):
        assert listener.states == ["starting", "online"]
        assert "ptqrshow" not in names(sim)


async def captcha(sim: Simulator) -> str:
    """Return what the newest picture shows."""
    challenge = await wait_until(lambda: sim.network.challenges.newest, "a captcha")
    return str(list(sim.network.challenges.by_session.values())[-1].code or challenge.code)


async def test_a_captcha_is_shown_and_answered(tmp_path: Path) -> None:
    async with (
        Simulator("e1", captcha=True) as sim,
        listening(sim, tmp_path, settings=PASSWORD) as listener,
    ):
        change = await listener.state(CAPTCHA)
        assert change.challenge is not None
        assert change.challenge.picture.startswith(b"\xff\xd8")
        await listener.upstream.submit_captcha((await captcha(sim)).lower())
        await listener.state(ONLINE)
        assert listener.states == ["starting", "captcha", "online"]


async def test_a_wrong_captcha_is_followed_by_another(tmp_path: Path) -> None:
    async with (
        Simulator("e1", captcha=True) as sim,
        listening(sim, tmp_path, settings=PASSWORD) as listener,
    ):
        await listener.state(CAPTCHA)
        await listener.upstream.submit_captcha("nope")
        await listener.state(CAPTCHA, 2)
        await listener.upstream.submit_captcha(await captcha(sim))
        await listener.state(ONLINE)


async def test_a_captcha_nobody_answers_is_put_away(tmp_path: Path) -> None:
    limits = replace(FAST, captcha_timeout=0.05)
    async with (
        Simulator("e1", captcha=True) as sim,
        listening(sim, tmp_path, limits, settings=PASSWORD) as listener,
    ):
        assert (await listener.state(OFFLINE)).reason == "login.refused"


async def test_a_wrong_password_is_tried_once(tmp_path: Path) -> None:
    settings = {**PASSWORD, "password": "wrong"}
    async with Simulator("e1") as sim, listening(sim, tmp_path, settings=settings) as listener:
        change = await listener.state(OFFLINE)
        assert change.reason == "login.refused"
        assert change.detail.startswith("3: ")
        assert names(sim).count("login") == 2  # the page and the attempt
        sim.set(password="wrong")
        await listener.upstream.login()
        await listener.state(ONLINE)


async def test_a_frozen_account_is_refused(tmp_path: Path) -> None:
    async with Simulator("e1", frozen=True) as sim, listening(sim, tmp_path, settings=PASSWORD) as listener:
        assert "frozen" in (await listener.state(OFFLINE)).detail


async def test_an_upstream_that_takes_no_password_is_shown_a_code(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path, settings=PASSWORD) as listener:
        assert listener.states == ["starting", "qr", "scanned", "online"]
        qr = next(change for change in listener.of(SessionChange) if change.state is QR)
        assert qr.reason.startswith("password refused")


ATTEMPTS = {"1": 5, "2": 1, "3": 1, "4": 5, "5": 5, "6": 5, "7": 5, "8": 5, "12": 1, "19": 1, "22": 5}
ATTEMPTS |= {"24": 5, "71": 5, "99": 1}


@pytest.mark.parametrize("code", sorted({*BY_CODE, "99"} - {"0"}))
async def test_every_code_of_the_password_login_has_its_course(code: str, tmp_path: Path) -> None:
    async with (
        Simulator("e1", login_code=int(code)) as sim,
        listening(sim, tmp_path, settings=PASSWORD) as listener,
    ):
        if code in ("10005", "10006"):
            await listener.state(ONLINE)
            assert "ptqrshow" in names(sim)
            return
        await refused(listener)
        attempts = [entry for entry in sim.requests if entry.path == "/login"]
        assert len(attempts) == ATTEMPTS[code]


async def refused(listener: Listener) -> None:
    await wait_until(
        lambda: any(change.reason == "login.refused" for change in listener.of(SessionChange)), "a refusal"
    )


async def test_another_account_s_session_is_not_used(tmp_path: Path) -> None:
    async with Simulator("e1") as sim:
        async with online(sim, tmp_path):
            pass
        settings = {**PASSWORD, "account": "10002"}
        async with listening(sim, tmp_path, settings=settings) as listener:
            await listener.state(OFFLINE)
            assert "online" not in listener.states
