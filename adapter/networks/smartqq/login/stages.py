"""The ways online, cheapest first: probe, relink, open anew, quick login, scan or password (1). Pure."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

from adapter.errors import LoginRefused, ProtocolError
from adapter.events import SessionChange, SessionState
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.login.flow import (
    LoginContext,
    LoginFlow,
    SessionRejected,
    parse_ptui_callback,
    send,
    sleep,
)
from adapter.networks.smartqq.login.password import QRRequired, password_flow
from adapter.networks.smartqq.login.qr_code import HOME, PAGE, PTLOGIN, SSL, qr_flow
from adapter.networks.smartqq.protocol.hashes import time33
from adapter.networks.smartqq.protocol.http import APPID, DAID, Request, Response, resolve_redirect
from adapter.networks.smartqq.protocol.parsing import (
    OK,
    error_message,
    mapping,
    parse_id,
    parse_int,
    parse_json,
    parse_text,
    return_code,
)
from adapter.networks.smartqq.session.credentials import HOME as COOKIE_HOME


class Stage(IntEnum):
    """Where to begin; what fails is followed by the next."""

    PROBE = 0
    """The former session may still be alive."""
    RELINK = 1
    """The former session may be opened again."""
    REOPEN = 2
    """The cookies may be good for a new session."""
    QUICK = 3
    """The login of the account may be good for new cookies."""
    FULL = 4
    """A person scans, or the password is sent."""


@dataclass(frozen=True, slots=True)
class LoginResult:
    """We are online. `renewed`: all momentary ids are new. `online`: the answer to the probe."""

    stage: Stage
    ids_changed: bool
    online: Response


MAX_REDIRECTS: Final = 5
"""Redirects followed after a login; there was never more than one that mattered."""

MAX_ATTEMPTS: Final = 3
"""Logins in a row whose cookies upstream does not accept afterwards."""


def login_flow(desk: LoginContext, begin: Stage) -> LoginFlow[LoginResult]:
    """Get online from this stage on. Raises LoginRefused when only a person can help."""
    for stage in (Stage.PROBE, Stage.RELINK, Stage.REOPEN, Stage.QUICK):
        if stage < begin or not _possible(stage, desk):
            continue
        if stage is not Stage.PROBE:
            yield SessionChange(SessionState.RELINKING, stage.name.lower())
        try:
            online = yield from _by(stage, desk)
        except (SessionRejected, ProtocolError):
            continue
        yield from fetch_profile(desk)
        return LoginResult(stage, stage is not Stage.PROBE, online)
    desk.tokens.clear()
    online = yield from _full(desk)
    yield from fetch_profile(desk)
    return LoginResult(Stage.FULL, ids_changed=True, online=online)


def _possible(stage: Stage, desk: LoginContext) -> bool:
    tokens = desk.tokens
    if desk.by_password and tokens.account and tokens.account != desk.account:
        return False  # somebody else's session
    if stage in (Stage.PROBE, Stage.RELINK):
        return tokens.has_session
    if stage is Stage.REOPEN:
        return tokens.has_login
    return bool(tokens.jar.get("supertoken", PTLOGIN))


def _by(stage: Stage, desk: LoginContext) -> LoginFlow[Response]:
    match stage:
        case Stage.RELINK:
            yield from _channel(desk, relink=True)
            yield from _data_token(desk)
        case Stage.REOPEN:
            yield from _open(desk)
        case Stage.QUICK:
            yield from _quick(desk)
            yield from _open(desk)
    return (yield from probe_session(desk))


def _full(desk: LoginContext) -> LoginFlow[Response]:
    """By password or by QR code, until upstream also accepts what it gave."""
    failure = ""
    for _ in range(MAX_ATTEMPTS):
        url, nick = yield from _entrance(desk)
        try:
            yield from follow_redirects(desk, url)
            desk.tokens.nick = parse_text(nick)
            yield from _open(desk)
            return (yield from probe_session(desk))
        except SessionRejected as exc:
            failure = str(exc)
        yield from sleep(desk.limits.short_pause)
    raise LoginRefused(f"upstream does not accept the login it has just confirmed: {failure}")


def _entrance(desk: LoginContext) -> LoginFlow[tuple[str, str]]:
    if not desk.by_password:
        return (yield from qr_flow(desk))
    try:
        return (yield from password_flow(desk))
    except QRRequired as exc:
        return (yield from qr_flow(desk, reason=f"password refused: {exc}"))


# --- from the login page's answer to cookies ---------------------------------------------------

_FROZEN: Final = "aq.qq.com"
_OLD_PAGE: Final = re.compile(r' src="([^"]*mibao_res[^"]*)"')
_OLD_NEXT: Final = re.compile(r'location\.href="([^"]*)"')


def follow_redirects(desk: LoginContext, url: str) -> LoginFlow[None]:
    """Open the check_sig address, unchanged, and what it leads to, for the cookies' sake (1.5)."""
    if _host(url) == _FROZEN:
        raise LoginRefused("the account is frozen; its owner must visit aq.qq.com")
    for _ in range(MAX_REDIRECTS):
        if not _ours(url):
            raise ProtocolError("the login leads to a place that is not upstream's")
        answer = yield from send(Request("GET", url, referer=PAGE))
        following = _following(url, answer)
        # The last hop is a static page: whether it can be reached makes no difference.
        if not following or urlsplit(following).path.endswith("proxy.html"):
            break
        url = following
    desk.tokens.take_ptwebqq()
    desk.tokens.account = _number(desk.tokens.jar.get("uin", COOKIE_HOME)) or desk.tokens.account


def _following(url: str, answer: Response) -> str:
    if answer.location:
        return resolve_redirect(url, answer.location)
    for form in (_OLD_PAGE, _OLD_NEXT):
        if found := form.search(answer.text):
            return resolve_redirect(url, html.unescape(found[1]))
    return ""


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _ours(url: str) -> bool:
    return url.startswith(("http://", "https://")) and f".{_host(url)}".endswith(".qq.com")


def _number(cookie: str) -> str:
    """`o0305419896` is the number 305419896."""
    return parse_id(cookie.removeprefix("o"))


def _quick(desk: LoginContext) -> LoginFlow[None]:
    """New cookies without a scan, for as long as upstream remembers the login (1.10)."""
    token = time33(desk.tokens.jar.get("supertoken", PTLOGIN))
    answer = yield from send(
        Request(
            "GET",
            f"{SSL}/pt4_auth",
            (("daid", DAID), ("appid", APPID), ("auth_token", str(token))),
            referer=PAGE,
        )
    )
    code, url, *_ = parse_ptui_callback(answer)
    # The page script goes on at once for 2 and shows the account first for 0: the address decides.
    if not _ours(url) or not urlsplit(url).path.endswith("/check_sig"):
        raise SessionRejected(f"quick login: {code}")
    yield from follow_redirects(desk, f"{url}&regmaster=&aid={APPID}&s_url={quote(HOME, safe='')}")


# --- from cookies to a session -----------------------------------------------------------------


def _open(desk: LoginContext) -> LoginFlow[None]:
    """A new session from the cookies."""
    desk.tokens.psessionid = ""
    yield from _data_token(desk)
    yield from _channel(desk, relink=False)


def _data_token(desk: LoginContext) -> LoginFlow[None]:
    for _ in range(desk.limits.login_attempts):
        answer = yield from send(endpoints.vfwebqq(desk.tokens, desk.clock()))
        if answer.status == HTTPStatus.OK:
            reply = parse_json(answer)
            token = mapping(reply.get("result")).get("vfwebqq")
            if return_code(reply) == OK and isinstance(token, str) and token:
                desk.tokens.vfwebqq = token
                return
            raise SessionRejected(f"getvfwebqq: {return_code(reply)}")
        yield from sleep(desk.limits.short_pause)
    raise SessionRejected(f"getvfwebqq: status {answer.status}")


_SHUT_OUT: Final = frozenset({106, 111})
_NOT_NOW: Final = frozenset({112, 113, 115})
_TRIES: Final = 3


def _channel(desk: LoginContext, *, relink: bool) -> LoginFlow[None]:
    """login2, at most three times where upstream says later (1.7)."""
    code = 0
    for _ in range(_TRIES):
        answer = yield from send(endpoints.login2(desk.tokens, relink=relink))
        if answer.status != HTTPStatus.OK:
            code = answer.status
            yield from sleep(desk.limits.short_pause)
            continue
        reply = parse_json(answer)
        code = return_code(reply)
        if code == OK:
            _adopt(desk, mapping(reply.get("result")))
            return
        if code in _SHUT_OUT:
            raise LoginRefused(f"login2: {code} {error_message(reply)}")
        if code not in _NOT_NOW and not relink:
            break
        yield from sleep(desk.limits.busy_pause if code in _NOT_NOW else desk.limits.short_pause)
    raise SessionRejected(f"login2: {code}")


def _adopt(desk: LoginContext, result: Mapping[str, object]) -> None:
    """Take over what is there. Its vfwebqq is of no use to anybody (1.6)."""
    tokens = desk.tokens
    session, ptwebqq = result.get("psessionid"), result.get("ptwebqq")
    if isinstance(session, str) and session:
        tokens.psessionid = session
    if isinstance(ptwebqq, str) and ptwebqq:
        tokens.renew(ptwebqq, desk.clock())
    tokens.account = parse_id(result.get("uin")) or tokens.account
    if not tokens.psessionid or not tokens.account:
        raise SessionRejected("login2 gave no session")


def probe_session(desk: LoginContext) -> LoginFlow[Response]:
    """The probe that is also the set-up of the channel: without it the first polls are refused (1.8)."""
    code = 0
    for _ in range(2):
        answer = yield from send(endpoints.online_friends(desk.tokens, desk.clock()))
        code = return_code(parse_json(answer)) if answer.status == HTTPStatus.OK else answer.status
        if code == OK:
            return answer
        yield from sleep(desk.limits.short_pause)
    raise SessionRejected(f"get_online_buddies2: {code}")


def fetch_profile(desk: LoginContext) -> LoginFlow[None]:
    """Who are we, and whom did we talk to? Both are nice to know and nothing waits for them."""
    answer = yield from send(endpoints.self_info(desk.clock()))
    try:
        result = mapping(parse_json(answer).get("result"))
    except ProtocolError:
        result = {}
    desk.tokens.nick = parse_text(result.get("nick")) or desk.tokens.nick
    desk.tokens.face = parse_int(result.get("face")) or desk.tokens.face
    yield from send(endpoints.recent(desk.tokens))
