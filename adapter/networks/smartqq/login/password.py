"""Login by account and password, with a captcha where upstream wants one (2). Pure."""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from adapter.errors import LoginRefused, ProtocolError
from adapter.events import Challenge, SessionChange, SessionState
from adapter.networks.smartqq.login.flow import (
    LoginContext,
    LoginFlow,
    await_captcha,
    parse_ptui_callback,
    send,
    sleep,
)
from adapter.networks.smartqq.login.password_digest import digest
from adapter.networks.smartqq.login.qr_code import HOME, PAGE, SSL
from adapter.networks.smartqq.protocol.http import APPID, DAID, Request

CAPTCHA: Final = "https://ssl.captcha.qq.com/getimage"
VERSION: Final = "10116"


class NextStep(Enum):
    """What follows an answer of the password login."""

    ENTER = auto()
    REFUSED = auto()
    """Only the owner can help: wrong password, frozen account."""
    AGAIN = auto()
    """From the page on: parameters, cookies or the captcha were not accepted."""
    LATER = auto()
    BACK_OFF = auto()
    SCAN = auto()
    """Upstream insists on the QR code."""


BY_CODE: Final[Mapping[str, NextStep]] = {
    "0": NextStep.ENTER,
    "1": NextStep.LATER,  # system busy
    "2": NextStep.REFUSED,  # number out of date
    "3": NextStep.REFUSED,  # wrong account or password
    "4": NextStep.AGAIN,  # wrong captcha, or the page is outdated
    "5": NextStep.AGAIN,  # verification failed
    "6": NextStep.AGAIN,
    "7": NextStep.AGAIN,  # parameters or cookies
    "8": NextStep.BACK_OFF,  # too many logins from this address
    "12": NextStep.REFUSED,  # suspended
    "19": NextStep.REFUSED,  # frozen
    "22": NextStep.AGAIN,  # cookies
    "24": NextStep.AGAIN,
    "71": NextStep.AGAIN,
    "10005": NextStep.SCAN,
    "10006": NextStep.SCAN,
}

ATTEMPTS: Final = 5
"""Of one login: each wrong one brings the account closer to being locked."""


class QRRequired(Exception):  # noqa: N818 – a turn of the conversation
    """Upstream takes no password from this place."""


def password_flow(desk: LoginContext) -> LoginFlow[tuple[str, str]]:
    """Log in with the password: the check_sig address and the nick.

    Raises LoginRefused when only the owner can help, ScanInstead when the QR code is wanted.
    """
    code = text = ""
    for _ in range(ATTEMPTS):
        code, url, text, nick = yield from _attempt(desk)
        match BY_CODE.get(code, NextStep.REFUSED):
            case NextStep.ENTER:
                return url, nick
            case NextStep.REFUSED:
                break
            case NextStep.LATER:
                yield from sleep(desk.limits.busy_pause)
            case NextStep.BACK_OFF:
                yield SessionChange(SessionState.OFFLINE, "login.blocked", text)
                yield from sleep(desk.limits.blocked_pause)
            case NextStep.SCAN:
                raise QRRequired(text)
            case NextStep.AGAIN:
                yield from sleep(desk.limits.short_pause)
    raise LoginRefused(f"{code}: {text}")


def _attempt(desk: LoginContext) -> LoginFlow[tuple[str, str, str, str]]:
    """From the page to the verdict: code, address, text, nick."""
    page = yield from send(Request("GET", PAGE, referer="http://w.qq.com/"))
    signature = _signature(page.text)
    code, verify, salt, session, random_salt, _ = parse_ptui_callback(
        (yield from send(_check(desk, signature)))
    )
    if code == "1":
        verify, session = yield from _captcha(desk, verify)
    elif code != "0":
        raise LoginRefused(f"{code}: {random_salt or session or verify}")
    proof = digest(desk.password, _salt(salt, desk.account), verify, desk.random_bytes)
    session = session or desk.tokens.jar.find("ptvfsession") or desk.tokens.jar.find("verifysession")
    request = _login(
        desk, proof=proof, verify=verify, session=session, signature=signature, random_salt=random_salt
    )
    code, _, url, _, text, nick = parse_ptui_callback((yield from send(request)))
    return code, url, text, nick


def _captcha(desk: LoginContext, cap_cd: str) -> LoginFlow[tuple[str, str]]:
    """Show the picture, wait for somebody to type it: the letters and the session they belong to."""
    request = Request(
        "GET",
        CAPTCHA,
        (
            ("aid", APPID),
            ("r", f"{desk.random():.16f}"),
            ("uin", desk.account),
            *((("cap_cd", cap_cd),) if cap_cd else ()),
        ),
        referer=PAGE,
    )
    picture = yield from send(request)
    if not picture.content_type.startswith("image/"):
        raise ProtocolError("upstream wants a captcha and shows none")
    expires = desk.clock() + desk.limits.captcha_timeout
    challenge = Challenge(picture.body, expires=expires)
    yield SessionChange(SessionState.CAPTCHA, "type what the picture shows", challenge=challenge)
    typed = yield from await_captcha(desk.limits.captcha_timeout)
    if not typed or not typed.strip():
        raise LoginRefused("nobody typed what the captcha shows")
    return typed.strip(), desk.tokens.jar.find("verifysession")


_SIGNATURE: Final = re.compile(r'g_login_sig\s*=\s*(?:encodeURIComponent\()?\s*["\']([^"\']*)["\']')


def _signature(page: str) -> str:
    """`login_sig`: empty since spring 2015, which is no error."""
    found = _SIGNATURE.search(page)
    return found[1] if found else ""


_SALT: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2}){8}")


def _salt(text: str, account: str) -> bytes:
    """The salt as check gave it; older answers have none, then it is the account."""
    if _SALT.fullmatch(text):
        return bytes.fromhex(text.replace("\\x", ""))
    return int(account).to_bytes(8, "big")


def _check(desk: LoginContext, signature: str) -> Request:
    return Request(
        "GET",
        f"{SSL}/check",
        (
            ("pt_tea", "1"),
            ("uin", desk.account),
            ("appid", APPID),
            ("js_ver", VERSION),
            ("js_type", "0"),
            ("login_sig", signature),
            ("u1", HOME),
            ("r", f"{desk.random():.16f}"),
        ),
        referer=PAGE,
    )


def _login(
    desk: LoginContext, *, proof: str, verify: str, session: str, signature: str, random_salt: str
) -> Request:
    return Request(
        "GET",
        f"{SSL}/login",
        (
            ("u", desk.account),
            ("p", proof),
            ("verifycode", verify),
            ("webqq_type", "10"),
            ("remember_uin", "1"),
            ("login2qq", "1"),
            ("aid", APPID),
            ("u1", f"{HOME}?login2qq=1&webqq_type=10"),
            ("h", "1"),
            ("ptredirect", "0"),
            ("ptlang", "2052"),
            ("daid", DAID),
            ("from_ui", "1"),
            ("pttype", "1"),
            ("dumy", ""),
            ("fp", "loginerroralert"),
            ("action", f"1-{len(desk.password) + 8}-{int(desk.random() * 10000) + 5000}"),
            ("mibao_css", "m_webqq"),
            ("t", "1"),
            ("g", "1"),
            ("js_type", "0"),
            ("js_ver", VERSION),
            ("login_sig", signature),
            ("pt_uistyle", "5"),
            ("pt_randsalt", random_salt or "0"),
            ("pt_vcode_v1", "0"),
            ("pt_verifysession_v1", session),
        ),
        referer=PAGE,
    )
