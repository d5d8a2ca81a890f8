"""Log in by QR code: show one, poll until it is scanned, show another (1.1 – 1.4). Pure."""

from http import HTTPStatus
from typing import Final

from adapter.errors import LoginRefused, ProtocolError
from adapter.events import Challenge, SessionChange, SessionState
from adapter.networks.smartqq.login.flow import LoginContext, LoginFlow, parse_ptui_callback, send, sleep
from adapter.networks.smartqq.protocol.hashes import hash33
from adapter.networks.smartqq.protocol.http import APPID, DAID, Request, Response

PTLOGIN: Final = "ptlogin2.qq.com"
SSL: Final = "https://ssl.ptlogin2.qq.com"

# The login page: ptlogin2 wants it as Referer. It need not be opened.
PAGE: Final = (
    "https://ui.ptlogin2.qq.com/cgi-bin/login?daid=164&target=self&style=16&mibao_css=m_webqq"
    "&appid=501004106&enable_qlogin=0&no_verifyimg=1&s_url=http%3A%2F%2Fw.qq.com%2Fproxy.html"
    "&f_url=loginerroralert&strong_login=1&login_state=10&t=20131024001"
)

HOME: Final = "http://w.qq.com/proxy.html"

# Codes of ptqrlogin, with their sources. By code, never by text: texts differ by language and year.
DONE: Final = "0"  # recorded (slince, Mojo); all clients
EXPIRED: Final = "65"  # by number Mojo, Yinzo, RASP; by text pandolia, slince, ScienJus
WAITING: Final = "66"  # recorded (slince); by number Mojo, Yinzo, RASP
SCANNED: Final = "67"  # recorded (a Java client, December 2017); by number Mojo, Yinzo, RASP
DECLINED: Final = "68"  # a Java and a Go client of the same host; no client of SmartQQ

# Unreadable answers in a row before a new code is shown.
MAX_INVALID: Final = 5


def qr_flow(context: LoginContext, reason: str = "") -> LoginFlow[tuple[str, str]]:
    """Show codes until one is confirmed. Returns the check_sig address and the nick.

    Goes on without a scan, but slowly after the first few codes: the server counts.
    """
    while True:
        if context.qr_shown >= context.limits.qr_attempts:
            yield SessionChange(
                SessionState.OFFLINE,
                "qr.unscanned",
                "no code was scanned; run `qqbus login` for another one",
            )
            if (yield from sleep(context.limits.qr_slow_interval)):
                context.qr_shown = 0
        picture = yield from _fetch_picture(context)
        context.qr_shown += 1
        expires = context.clock() + context.limits.qr_lifetime
        yield SessionChange(SessionState.QR, reason or "scan", challenge=Challenge(picture, expires=expires))
        confirmed = yield from _wait_for_scan(context)
        if confirmed is not None:
            context.qr_shown = 0
            return confirmed


def _fetch_picture(context: LoginContext) -> LoginFlow[bytes]:
    for _ in range(context.limits.login_attempts):
        answer = yield from send(_show(context))
        if answer.status == HTTPStatus.OK and _is_picture(answer):
            return answer.body
        yield from sleep(context.limits.short_pause)
    raise ProtocolError("ptqrshow gave no picture of a QR code")


def _is_picture(answer: Response) -> bool:
    return answer.content_type.startswith("image/") or answer.body.startswith(b"\x89PNG")


def _wait_for_scan(context: LoginContext) -> LoginFlow[tuple[str, str] | None]:
    """Poll the state of the code. Returns None if another code is needed."""
    shown_at = context.clock()
    is_scanned = False
    invalid = 0
    while invalid < MAX_INVALID:
        if (yield from sleep(context.limits.qr_poll_interval)):
            context.qr_shown = 0  # an operator requested a fresh code
            return None
        answer = yield from send(_state(context, context.clock() - shown_at))
        if answer.status == HTTPStatus.FORBIDDEN:
            return None  # the token does not belong to the cookie: only a new pair can help
        try:
            code, _, url, _, text, nick = parse_ptui_callback(answer)
        except ProtocolError:
            invalid += 1
            continue
        invalid = 0
        if code == DONE:
            return url, nick
        if code in (EXPIRED, DECLINED):
            return None
        if code == SCANNED and not is_scanned:
            is_scanned = True
            yield SessionChange(SessionState.SCANNED, "confirm")
        if code not in (WAITING, SCANNED):
            raise LoginRefused(f"{code}: {text}")
    return None


def _show(context: LoginContext) -> Request:
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
            ("t", f"{context.random():.16f}"),
        ),
        referer=PAGE,
    )


def _state(context: LoginContext, seconds: float) -> Request:
    token = hash33(context.credentials.jar.get("qrsig", PTLOGIN))
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
