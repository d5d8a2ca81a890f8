"""Log in by account and password, with a captcha where the server wants one (2). Pure."""

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
    """Name what follows an answer of the password login."""

    ENTER = auto()
    # Only the owner can help: wrong password, frozen account.
    REFUSED = auto()
    # Start again at the page: parameters, cookies or the captcha were not accepted.
    AGAIN = auto()
    LATER = auto()
    BACK_OFF = auto()
    # The server insists on the QR code.
    SCAN = auto()


# Codes of ptlogin2's `login`, with their sources.
BY_CODE: Final[Mapping[str, NextStep]] = {
    "0": NextStep.ENTER,  # PiWebQQ
    "1": NextStep.LATER,  # system busy. lwqq, webqq-core
    "2": NextStep.REFUSED,  # number out of date. lwqq, webqq-core
    "3": NextStep.REFUSED,  # wrong account or password. PiWebQQ, webqq-core
    "4": NextStep.AGAIN,  # wrong captcha, or the page is outdated. PiWebQQ, webqq-core
    "5": NextStep.AGAIN,  # verification failed. lwqq, webqq-core
    "6": NextStep.AGAIN,  # abnormal login. lwqq
    "7": NextStep.AGAIN,  # parameters or cookies. PiWebQQ, a Go client of the same host
    "8": NextStep.BACK_OFF,  # too many logins from this address. lwqq
    "12": NextStep.REFUSED,  # suspended. lwqq
    "19": NextStep.REFUSED,  # frozen. lwqq, webqq-core
    "22": NextStep.AGAIN,  # cookies are disabled. lwqq
    "24": NextStep.AGAIN,  # a problem of the device. lwqq
    "71": NextStep.AGAIN,  # as 6. lwqq
    "10005": NextStep.SCAN,  # risk control. Mojo, as a branch that is commented out
    "10006": NextStep.SCAN,  # likewise
}

# Codes of `check`, before it: PiWebQQ.
NO_CAPTCHA: Final = "0"
CAPTCHA_NEEDED: Final = "1"

# Attempts of one login: each wrong one brings the account closer to being locked.
MAX_ATTEMPTS: Final = 5


class QRRequired(Exception):  # noqa: N818 – a turn of the login, not an error
    """The server takes no password from this address."""


def password_flow(context: LoginContext) -> LoginFlow[tuple[str, str]]:
    """Log in with the password. Returns the check_sig address and the nick.

    Raises LoginRefused if only the owner can help, QRRequired if the server wants a scan.
    """
    code = text = ""
    for _ in range(MAX_ATTEMPTS):
        code, url, text, nick = yield from _attempt(context)
        match BY_CODE.get(code, NextStep.REFUSED):
            case NextStep.ENTER:
                return url, nick
            case NextStep.REFUSED:
                break
            case NextStep.LATER:
                yield from sleep(context.limits.busy_pause)
            case NextStep.BACK_OFF:
                yield SessionChange(SessionState.OFFLINE, "login.blocked", text)
                yield from sleep(context.limits.blocked_pause)
            case NextStep.SCAN:
                raise QRRequired(text)
            case NextStep.AGAIN:
                yield from sleep(context.limits.short_pause)
    raise LoginRefused(f"{code}: {text}")


def _attempt(context: LoginContext) -> LoginFlow[tuple[str, str, str, str]]:
    """Try once, from the page on. Returns code, address, text and nick."""
    page = yield from send(Request("GET", PAGE, referer="http://w.qq.com/"))
    signature = _find_signature(page.text)
    code, verify, salt, session, random_salt, _ = parse_ptui_callback(
        (yield from send(_check(context, signature)))
    )
    if code == CAPTCHA_NEEDED:
        verify, session = yield from _solve_captcha(context, verify)
    elif code != NO_CAPTCHA:
        raise LoginRefused(f"{code}: {random_salt or session or verify}")
    proof = digest(context.password, _parse_salt(salt, context.account), verify, context.random_bytes)
    session = (
        session
        or context.credentials.jar.find("ptvfsession")
        or context.credentials.jar.find("verifysession")
    )
    request = _login(
        context, proof=proof, verify=verify, session=session, signature=signature, random_salt=random_salt
    )
    code, _, url, _, text, nick = parse_ptui_callback((yield from send(request)))
    return code, url, text, nick


def _solve_captcha(context: LoginContext, cap_cd: str) -> LoginFlow[tuple[str, str]]:
    """Show the picture until a person types it. Returns the letters and their session."""
    request = Request(
        "GET",
        CAPTCHA,
        (
            ("aid", APPID),
            ("r", f"{context.random():.16f}"),
            ("uin", context.account),
            *((("cap_cd", cap_cd),) if cap_cd else ()),
        ),
        referer=PAGE,
    )
    picture = yield from send(request)
    if not picture.content_type.startswith("image/"):
        raise ProtocolError("the server wants a captcha and sends no picture of one")
    expires = context.clock() + context.limits.captcha_timeout
    challenge = Challenge(picture.body, expires=expires)
    yield SessionChange(SessionState.CAPTCHA, "type what the picture shows", challenge=challenge)
    text = yield from await_captcha(context.limits.captcha_timeout)
    if not text or not text.strip():
        raise LoginRefused("no answer to the captcha came in time; run `qqbus login` to try again")
    return text.strip(), context.credentials.jar.find("verifysession")


_SIGNATURE: Final = re.compile(r'g_login_sig\s*=\s*(?:encodeURIComponent\()?\s*["\']([^"\']*)["\']')


def _find_signature(page: str) -> str:
    """Return `login_sig`, which is empty since spring 2015."""
    found = _SIGNATURE.search(page)
    return found[1] if found else ""


_SALT: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2}){8}")


def _parse_salt(text: str, account: str) -> bytes:
    """Return the salt of `check`; older answers have none, then it is the account."""
    if _SALT.fullmatch(text):
        return bytes.fromhex(text.replace("\\x", ""))
    return int(account).to_bytes(8, "big")


def _check(context: LoginContext, signature: str) -> Request:
    return Request(
        "GET",
        f"{SSL}/check",
        (
            ("pt_tea", "1"),
            ("uin", context.account),
            ("appid", APPID),
            ("js_ver", VERSION),
            ("js_type", "0"),
            ("login_sig", signature),
            ("u1", HOME),
            ("r", f"{context.random():.16f}"),
        ),
        referer=PAGE,
    )


def _login(
    context: LoginContext, *, proof: str, verify: str, session: str, signature: str, random_salt: str
) -> Request:
    return Request(
        "GET",
        f"{SSL}/login",
        (
            ("u", context.account),
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
            ("action", f"1-{len(context.password) + 8}-{int(context.random() * 10000) + 5000}"),
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
