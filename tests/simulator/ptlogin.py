"""Login by QR code: the page, the picture, its state, and the signature that becomes cookies."""

from urllib.parse import quote

from . import gates, qr, wire
from .call import Call, Reply, error_page
from .codes import SCAN_DONE, SCAN_EXPIRED, SCAN_REFUSED, SCAN_SCANNED, SCAN_WAITING
from .network import Network
from .qr import QrCode, QrState
from .sessions import Grant
from .tokens import hash33

_TEXTS = {
    SCAN_WAITING: "二维码未失效。({number})",
    SCAN_SCANNED: "二维码认证中。({number})",
    SCAN_EXPIRED: "二维码已失效。({number})",
    SCAN_REFUSED: "本次登录已被拒绝。({number})",
    SCAN_DONE: "登录成功！",
}
_CODES = {
    QrState.WAITING: SCAN_WAITING,
    QrState.SCANNED: SCAN_SCANNED,
    QrState.EXPIRED: SCAN_EXPIRED,
    QrState.USED: SCAN_EXPIRED,
    QrState.REFUSED: SCAN_REFUSED,
    QrState.CONFIRMED: SCAN_DONE,
}
# Clients read it by pattern: Yinzo, QQRobot and MKFMIKU want the blank and the slash at the end of the input,
# PiWebQQ each `var` on a line of its own. A page recorded in 2010 has both, and remarks behind the values.
_LOGIN_PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>QQ登录</title></head><body>
<form><input type="hidden" name="aid" value="{aid}" /></form>
<script>
var g_appid=encodeURIComponent("{aid}");
var g_login_sig=encodeURIComponent("{sig}"); // 登录签名
var g_mibao_css=encodeURIComponent("m_webqq");
var g_pt_version=encodeURIComponent("10184"); // 版本
</script>
</body></html>
"""


def login_page(net: Network, call: Call) -> Reply:
    """Answer `/cgi-bin/login` and `/cgi-bin/xlogin`; the old page's login_sig is empty since 2015."""
    aid = wire.integer(call.query.get("appid")) or 501004106
    sig = net.mint.p_skey() if call.path.endswith("xlogin") else ""
    names = ("pt_clientip", "pt_serverip", "pt_local_token", "uikey", "ptui_identifier")
    cookies = [wire.cookie(name, net.mint.hexadecimal(16), "ptlogin2.qq.com") for name in names]
    if sig:
        cookies.append(wire.cookie("pt_login_sig", sig, "ptlogin2.qq.com"))
    return Reply(_LOGIN_PAGE.format(aid=aid, sig=sig).encode(), headers=set_cookies(*cookies))


def set_cookies(*cookies: str) -> tuple[tuple[str, str], ...]:
    """Return Set-Cookie headers, one for each."""
    return tuple(("Set-Cookie", cookie) for cookie in cookies)


def show(net: Network, call: Call) -> Reply:
    """Answer `ptqrshow`: a new code, its name as a cookie."""
    code = net.codes.new(net.clock())
    net.journal.changed.beat()
    image = qr.picture(code, wire.integer(call.query.get("s")) or 5)
    cookies = set_cookies(wire.cookie("qrsig", code.qrsig, "ptlogin2.qq.com"))
    return Reply(image, content_type="image/png", headers=cookies)


def poll(net: Network, call: Call) -> Reply:
    """Answer `ptqrlogin`: where the code of the cookie stands."""
    gates.login_headers(net, call)
    qrsig = call.cookies.get("qrsig", "")
    token = call.query.get("ptqrtoken", "")
    if net.options.need_ptqrtoken and (not qrsig or token != str(hash33(qrsig))):
        return error_page(403, "Tencent Login Server")
    code = net.codes.get(qrsig, net.clock(), net.options.qr_seconds)
    if code is None:
        return callback(net, SCAN_EXPIRED)
    code.polls += 1
    if net.options.auto_scan:
        _scan_by_itself(code, net.options.scan_after)
    net.journal.changed.beat()
    if code.state is not QrState.CONFIRMED:
        return callback(net, _CODES[code.state])
    return _success(net, code)


def _scan_by_itself(code: QrCode, after: int) -> None:
    if code.state is QrState.WAITING and code.polls >= after:
        code.state = QrState.SCANNED
    if code.state is QrState.SCANNED and code.polls > after:
        code.state = QrState.CONFIRMED


def _success(net: Network, code: QrCode) -> Reply:
    grant = net.sessions.grants.get(code.ptsigx) or net.new_grant()
    code.ptsigx = grant.ptsigx
    return success(net, grant)


def success(net: Network, grant: Grant) -> Reply:
    """Return code 0 with the check_sig URL, the nick and the first set of cookies."""
    return callback(
        net, SCAN_DONE, check_sig_url(net, grant), nick=net.world.me.nick, cookies=_cookies(net, grant)
    )


def callback(
    net: Network,
    code: int,
    url: str = "",
    *,
    text: str | None = None,
    nick: str = "",
    cookies: tuple[str, ...] = (),
) -> Reply:
    """Return a `ptuiCB(…)` answer."""
    words = _TEXTS[code] if text is None else text
    words = words.format(number=net.rng.randrange(10**8, 2**32))
    fields = (str(code), "0", url, "0", words, nick)
    body = wire.script_call("ptuiCB", fields, last_apart=True)
    content_type = "application/javascript; charset=utf-8"
    return Reply(body, content_type=content_type, headers=set_cookies(*cookies), code=code)


def padded(number: int) -> str:
    """Return a QQ number as cookies have it."""
    return f"o{number:010d}"


def check_sig_url(net: Network, grant: Grant) -> str:
    """Return the URL that turns a signature into cookies."""
    # Notes of 2013 and 2015 have no webqq_type; a recording of 2017 has it (slince).
    more = "" if net.options.profile == "e1" else "&webqq_type=10"
    page = quote(f"http://w.qq.com/proxy.html?login2qq=1{more}", safe="")
    return (
        f"http://ptlogin4.web2.qq.com/check_sig?pttype=1&uin={net.account}&service=ptqrlogin&nodirect=0"
        f"&ptsigx={grant.ptsigx}&s_url={page}&f_url=&ptlang=2052&ptredirect=100&aid=501004106&daid=164"
        "&j_later=0&low_login_hour=0&regmaster=0&pt_login_type=3&pt_aid=0&pt_aaid=16&pt_light=0&pt_3rd_aid=0"
    )


def _cookies(net: Network, grant: Grant) -> tuple[str, ...]:
    lasting = wire.lasting(net.clock())
    uin = padded(net.account)
    nick = net.world.me.nick.encode("utf-8", "replace").hex()
    ptwebqq = () if net.options.missing_ptwebqq else (wire.cookie("ptwebqq", grant.ptwebqq, "qq.com"),)
    return (
        wire.cookie("pt2gguin", uin, "qq.com", expires=lasting),
        wire.cookie("uin", uin, "qq.com"),
        wire.cookie("skey", grant.skey, "qq.com"),
        wire.cookie("superuin", uin, "ptlogin2.qq.com"),
        wire.cookie("superkey", grant.superkey, "ptlogin2.qq.com") + " HttpOnly;",
        wire.cookie("supertoken", grant.supertoken, "ptlogin2.qq.com"),
        *ptwebqq,
        wire.cookie("pt_recent_uins", net.mint.hexadecimal(64), "ptlogin2.qq.com", expires=lasting),
        wire.cookie("pt_guid_sig", net.mint.hexadecimal(64), "ptlogin2.qq.com", expires=lasting),
        wire.cookie(f"ptnick_{net.account}", nick, "ptlogin2.qq.com"),
        wire.cookie("ptisp", "ctc", "qq.com"),
        wire.cookie("RK", net.mint.key()[:10], "qq.com", expires=lasting),
        wire.cookie("ptcz", net.mint.hexadecimal(64), "qq.com", expires=lasting),
    )


def check_sig(net: Network, call: Call) -> Reply:
    """Answer `check_sig`: a redirect to a static page, and the cookies the API hosts want.

    The same names are set for web2.qq.com and deleted for qq.com. A signature nobody holds gets the
    redirect without cookies.
    """
    grant = net.sessions.grants.get(call.query.get("ptsigx", ""))
    location = call.query.get("s_url") or "http://w.qq.com/proxy.html"
    headers: tuple[tuple[str, str], ...] = (("Location", location),)
    if grant is None or not grant.alive:
        return Reply(status=302, headers=headers)
    net.codes.use(grant.ptsigx)
    cookies = set_cookies(*_signed_cookies(net, grant))
    if net.options.mibao_page:
        return _mibao(cookies, call)
    return Reply(status=302, headers=headers + cookies)


def _signed_cookies(net: Network, grant: Grant) -> tuple[str, ...]:
    uin = padded(net.account)
    return (
        wire.cookie("uin", uin, "qq.com"),
        wire.cookie("skey", grant.skey, "qq.com"),
        wire.cookie("pt2gguin", uin, "qq.com", expires=wire.lasting(net.clock())),
        wire.cookie("p_skey", grant.p_skey, "web2.qq.com") + " ;",
        wire.cookie("pt4_token", grant.pt4_token, "web2.qq.com"),
        wire.cookie("p_uin", "", "qq.com", expires=wire.PAST),
        wire.cookie("p_skey", "", "qq.com", expires=wire.PAST),
        wire.cookie("pt4_token", "", "qq.com", expires=wire.PAST),
        wire.cookie("p_uin", uin, "web2.qq.com"),
    )


def _mibao(cookies: tuple[tuple[str, str], ...], call: Call) -> Reply:
    """Return the page of before 2014: a frame whose own script leads on."""
    token = call.query.get("ptsigx", "")[:16]
    frame = f"http://ui.ptlogin2.qq.com/js/10152/mibao_res.html?a=1&amp;t={token}"
    return Reply(f'<html><body><iframe src="{frame}"></iframe></body></html>'.encode(), headers=cookies)


def static_page(_net: Network, _call: Call) -> Reply:
    """Answer the pages that only exist to be loaded."""
    return Reply(b"<html><head><script>document.domain='qq.com';</script></head><body></body></html>")


def mibao_frame(_net: Network, _call: Call) -> Reply:
    """Answer the frame of the old check_sig page."""
    target = "http://w.qq.com/proxy.html?login2qq=1&webqq_type=10"
    return Reply(f'<html><script>location.href="{target}";</script></html>'.encode())
