"""Login by QR code: show one, ask until it is scanned, show another (1.1 – 1.4). Pure."""

from http import HTTPStatus
from typing import Final

from adapter.errors import LoginRefused, ProtocolError
from adapter.events import Challenge, SessionChange, SessionState
from adapter.networks.smartqq.login.flow import LoginContext, LoginFlow, parse_ptui_callback, send, sleep
from adapter.networks.smartqq.protocol.hashes import hash33
from adapter.networks.smartqq.protocol.http import APPID, DAID, Request, Response

PTLOGIN: Final = "ptlogin2.qq.com"
SSL: Final = "https://ssl.ptlogin2.qq.com"

PAGE: Final = (
    "https://ui.ptlogin2.qq.com/cgi-bin/login?daid=164&target=self&style=16&mibao_css=m_webqq"
    "&appid=501004106&enable_qlogin=0&no_verifyimg=1&s_url=http%3A%2F%2Fw.qq.com%2Fproxy.html"
    "&f_url=loginerroralert&strong_login=1&login_state=10&t=20131024001"
)
"""The login page: what ptlogin2 wants as Referer. It need not be opened."""

# Return codes of ptqrlogin. By code, never by text: texts differ by language and year.
DONE: Final = "0"
EXPIRED: Final = "65"
WAITING: Final = "66"
SCANNED: Final = "67"
DECLINED: Final = "68"

MAX_INVALID: Final = 5
"""Answers in a row that make no sense before a new code is tried."""


def qr_flow(desk: LoginContext, reason: str = "") -> LoginFlow[tuple[str, str]]:
    """Show codes until one is confirmed: the check_sig address and the nick.

    Never gives up because nobody scans, but goes slowly after the first few: upstream counts.
    """
    while True:
        if desk.qr_shown >= desk.limits.qr_attempts:
            yield SessionChange(
                SessionState.OFFLINE,
                "qr.unscanned",
                "nobody scanned; ask for a login to get another code",
            )
            if (yield from sleep(desk.limits.qr_slow_interval)):
                desk.qr_shown = 0
        picture = yield from _picture(desk)
        desk.qr_shown += 1
        expires = desk.clock() + desk.limits.qr_lifetime
        yield SessionChange(SessionState.QR, reason or "scan", challenge=Challenge(picture, expires=expires))
        entrance = yield from _scanned(desk)
        if entrance is not None:
            desk.qr_shown = 0
            return entrance


def _picture(desk: LoginContext) -> LoginFlow[bytes]:
    for _ in range(desk.limits.login_attempts):
        answer = yield from send(_show(desk))
        if answer.status == HTTPStatus.OK and _is_picture(answer):
            return answer.body
        yield from sleep(desk.limits.short_pause)
    raise ProtocolError("upstream shows no QR code")


def _is_picture(answer: Response) -> bool:
    return answer.content_type.startswith("image/") or answer.body.startswith(b"\x89PNG")


def _scanned(desk: LoginContext) -> LoginFlow[tuple[str, str] | None]:
    """Ask what became of the code: the way in, or None if another one is needed."""
    shown = desk.clock()
    told = False
    garbled = 0
    while garbled < MAX_INVALID:
        if (yield from sleep(desk.limits.qr_poll_interval)):
            desk.qr_shown = 0  # somebody asks for a fresh one
            return None
        answer = yield from send(_state(desk, desk.clock() - shown))
        if answer.status == HTTPStatus.FORBIDDEN:
            return None  # the token does not belong to the cookie: only a new pair can help
        try:
            code, _, url, _, text, nick = parse_ptui_callback(answer)
        except ProtocolError:
            garbled += 1
            continue
        garbled = 0
        if code == DONE:
            return url, nick
        if code in (EXPIRED, DECLINED):
            return None
        if code == SCANNED and not told:
            told = True
            yield SessionChange(SessionState.SCANNED, "confirm")
        if code not in (WAITING, SCANNED):
            raise LoginRefused(f"{code}: {text}")
    return None


def _show(desk: LoginContext) -> Request:
    return Request(
        "GET",
        f"{SSL}/ptqrshow",
        (
            ("appid", APPID),
            ("e", "0"),
            ("l", "M"),
            ("s", "5"),
            ("d", "72"),
            ("v", "4"),
            ("t", f"{desk.random():.16f}"),
        ),
        referer=PAGE,
    )


HOME: Final = "http://w.qq.com/proxy.html"


def _state(desk: LoginContext, seconds: float) -> Request:
    token = hash33(desk.tokens.jar.get("qrsig", PTLOGIN))
    return Request(
        "GET",
        f"{SSL}/ptqrlogin",
        (
            ("ptqrtoken", str(token)),
            ("webqq_type", "10"),
            ("remember_uin", "1"),
            ("login2qq", "1"),
            ("aid", APPID),
            ("u1", f"{HOME}?login2qq=1&webqq_type=10"),
            ("ptredirect", "0"),
            ("ptlang", "2052"),
            ("daid", DAID),
            ("from_ui", "1"),
            ("pttype", "1"),
            ("dumy", ""),
            ("fp", "loginerroralert"),
            ("action", f"0-0-{int(seconds * 1000)}"),
            ("mibao_css", "m_webqq"),
            ("t", "undefined"),
            ("g", "1"),
            ("js_type", "0"),
            ("js_ver", "10203"),
            ("login_sig", ""),
            ("pt_randsalt", "0"),
        ),
        referer=PAGE,
    )
