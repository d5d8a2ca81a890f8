"""The simulator's other logins: by password with and without a picture, without a code, and logging out."""

import io
import re
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from tests.integration.test_simulator_hashes import DIGEST
from tests.simulator import Simulator
from tests.simulator.tokens import hash33, time33
from tests.simulator.visitor import CHANNEL, DATA, OLD_CHANNEL, Visitor, logged_in

pytestmark = pytest.mark.anyio
SSL = "ssl.ptlogin2.qq.com"


async def ask(visitor: Visitor, path: str, **query: Any) -> list[str]:
    """Return the quoted fields of a script call."""
    text = await (await visitor.fetch(SSL, path, query=query)).text()
    return text.split("'")[1::2]


async def password_login(sim: Simulator, visitor: Visitor, **changes: str) -> list[str]:
    """Check and log in with the digest made for the code ABCD."""
    checked = await ask(visitor, "/check", uin=sim.account, appid=1003903, pt_tea=1)
    assert checked[2] == r"\x00\x00\x00\x00\x12\x34\x56\x78"
    assert sim.network.challenges.newest is not None
    sim.network.challenges.newest.code = "ABCD"
    query = {"u": str(sim.account), "p": DIGEST, "verifycode": "abcd", "aid": "1003903"}
    return await ask(visitor, "/login", **{**query, "pt_verifysession_v1": checked[3], **changes})


async def test_number_and_password_open_the_old_webqq() -> None:
    async with Simulator("e1") as sim, Visitor(sim.url, channel=OLD_CHANNEL) as visitor:
        answer = await password_login(sim, visitor)
        assert (answer[0], answer[4], answer[5]) == ("0", "登录成功！", "小桥")
        await visitor.follow(answer[2])
        answer = await visitor.link()
        assert answer["result"]["vfwebqq"] == visitor.vfwebqq
        assert (await visitor.contacts("get_user_friends2"))["retcode"] == 0


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        ({"p": DIGEST.swapcase()}, {}, "3"),
        ({}, {"password": "other"}, "3"),
        ({"u": "10001"}, {}, "3"),
        ({"verifycode": "abce"}, {}, "4"),
        ({"pt_verifysession_v1": "x"}, {}, "5"),
        ({"p": ""}, {}, "7"),
        ({}, {"password_login": False}, "10005"),
        ({}, {"login_code": 19}, "19"),
    ],
)
async def test_a_login_that_fails_says_why(
    changes: dict[str, str], options: dict[str, Any], code: str
) -> None:
    async with Simulator("e1", **options) as sim, Visitor(sim.url) as visitor:
        answer = await password_login(sim, visitor, **changes)
        assert (answer[0], answer[2]) == (code, "")
        assert answer[5] == (changes.get("u", str(sim.account)) if code == "3" else "")


async def test_a_frozen_account_is_led_to_the_security_centre() -> None:
    async with Simulator("e1", frozen=True) as sim, Visitor(sim.url) as visitor:
        assert (await password_login(sim, visitor))[2].startswith("http://aq.qq.com/")


async def test_the_captcha_is_a_jpeg_and_its_session_a_cookie() -> None:
    async with Simulator("e1", captcha=True) as sim, Visitor(sim.url) as visitor:
        checked = await ask(visitor, "/check", uin=sim.account, appid=1003903)
        assert (checked[0], checked[3]) == ("1", "")
        host, query = "ssl.captcha.qq.com", {"aid": 1003903, "uin": sim.account, "cap_cd": checked[1]}
        image = Image.open(io.BytesIO(await (await visitor.fetch(host, "/getimage", query=query)).read()))
        assert (image.format, len(sim.captcha)) == ("JPEG", 4)
        assert sim.network.challenges.newest is not None
        sim.network.challenges.newest.code = "ABCD"
        session = visitor.cookie("verifysession", "captcha.qq.com") or ""
        query = {"u": sim.account, "p": DIGEST, "verifycode": "AbCd", "aid": 1003903}
        assert (await ask(visitor, "/login", **query, pt_verifysession_v1=session))[0] == "0"
        assert (await ask(visitor, "/login", **query, pt_verifysession_v1=session))[0] == "5"


async def test_the_older_check_has_three_fields_and_a_cookie() -> None:
    async with Simulator("e1", old_check=True) as sim, Visitor(sim.url) as visitor:
        assert len(await ask(visitor, "/check", uin=sim.account)) == 3
        assert visitor.cookie("ptvfsession", SSL)


async def test_a_random_salt_is_announced() -> None:
    async with Simulator("e1", random_salt=True) as sim, Visitor(sim.url) as visitor:
        checked = await ask(visitor, "/check", uin=sim.account)
        assert (checked[4], checked[2] != r"\x00\x00\x00\x00\x12\x34\x56\x78") == ("1", True)


async def test_the_login_pages_tell_their_signature() -> None:
    async with Simulator() as sim, Visitor(sim.url) as visitor:
        page = await visitor.fetch("ui.ptlogin2.qq.com", "/cgi-bin/login", query={"appid": 1003903})
        text = await page.text()
        # As Yinzo, QQRobot and MKFMIKU look for it, and PiWebQQ.
        assert re.findall(r'<input type="hidden" name="aid" value="(\d+)" />', text) == ["1003903"]
        assert re.findall(r'g_pt_version=encodeURIComponent\("(.+?)"\);', text) == ["10184"]
        await visitor.fetch("xui.ptlogin2.qq.com", "/cgi-bin/xlogin")
        assert visitor.cookie("pt_login_sig", SSL)


@pytest.mark.parametrize(("options", "success"), [({}, "2"), ({"quick_code": 0}, "0")])
async def test_pt4_auth_logs_in_again_without_a_code(options: dict[str, Any], success: str) -> None:
    async with logged_in(**options) as (sim, visitor):
        sim.drop_session()
        supertoken = visitor.cookie("supertoken", SSL) or ""
        assert (await ask(visitor, "/pt4_auth", auth_token=1))[0] == "1"
        code, url = await ask(visitor, "/pt4_auth", auth_token=time33(supertoken))
        assert (code, "s_url" in url) == (success, False)
        response = await visitor.follow(url + "&s_url=" + quote("http://w.qq.com/proxy.html", safe=""))
        assert (response.status, response.headers["Location"]) == (302, "http://w.qq.com/proxy.html")
        assert (await visitor.link())["retcode"] == 0
        sim.drop_session(cookies=True)
        assert (await ask(visitor, "/pt4_auth", auth_token=time33(supertoken)))[0] == "1"


async def test_both_ways_of_logging_out_end_the_session() -> None:
    async with logged_in() as (sim, visitor):
        answer = await visitor.get(CHANNEL, "/channel/logout2", **visitor.tokens(), ids="")
        assert (answer, sim.state) == ({"retcode": 0, "result": "ok"}, "offline")
        assert (await visitor.link())["retcode"] == 103
    async with logged_in() as (sim, visitor):
        skey, ptcz = (visitor.cookie(name, SSL) or "" for name in ("skey", "ptcz"))
        query = {
            "pt4_token": visitor.cookie("pt4_token", DATA),
            "pt4_ptcz": hash33(ptcz),
        }
        for proof, state in ((0, "online"), (time33(skey), "offline")):
            query["pt4_hkey"] = proof
            assert (await visitor.fetch("ptlogin2.qq.com", "/logout", query=query)).status == 200
            assert sim.state == state


@pytest.mark.parametrize("option", ["empty_ptwebqq", "missing_ptwebqq"])
async def test_the_session_works_without_ptwebqq(option: str) -> None:
    options: dict[str, Any] = {option: True}
    async with logged_in(**options) as (_, visitor):
        assert visitor.ptwebqq == ""
        assert (await visitor.contacts("get_user_friends2"))["retcode"] == 0


async def test_116_brings_a_ptwebqq_that_alone_is_good() -> None:
    async with logged_in() as (sim, visitor):
        renewed = sim.renew_ptwebqq()
        for _ in range(2):  # the first answer may be lost on its way
            assert await visitor.poll() == {"retcode": 116, "p": renewed}
        assert (await visitor.contacts("get_user_friends2"))["retcode"] == 50
        visitor.set_cookie("ptwebqq", renewed)
        assert (await visitor.link(former=visitor.psessionid))["retcode"] == 0
        assert (await visitor.contacts("get_user_friends2"))["retcode"] == 0


async def test_the_old_check_sig_page_leads_on_by_itself() -> None:
    async with Simulator("e1", mibao_page=True) as sim, Visitor(sim.url) as visitor:
        await visitor.show_qr()
        for _ in range(3):
            answer = await visitor.poll_qr()
        text = await (await visitor.follow(answer.split("'")[5])).text()
        frame = text.split('src="')[1].split('"')[0].replace("&amp;", "&")
        assert 'location.href="http://w.qq.com/proxy.html' in await (await visitor.follow(frame)).text()
        assert (await visitor.link())["retcode"] == 0


async def test_a_code_expires_by_itself_and_a_fetched_success_cannot_be_fetched_again() -> None:
    now = [1_500_000_000.0]
    async with Simulator(clock=lambda: now[0], scan_after=2) as sim, Visitor(sim.url) as visitor:
        await visitor.show_qr()
        now[0] += 119
        assert (await visitor.poll_qr()).startswith("ptuiCB('66',")
        now[0] += 2
        assert (await visitor.poll_qr()).startswith("ptuiCB('65',")
        await visitor.log_in()
        assert (await visitor.poll_qr()).startswith("ptuiCB('65',")
        assert sim.state == "online"
