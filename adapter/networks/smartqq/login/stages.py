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


def login_flow(context: LoginContext, begin: Stage) -> LoginFlow[LoginResult]:
    """Get online from this stage on. Raises LoginRefused when only a person can help."""
    for stage in (Stage.PROBE, Stage.RELINK, Stage.REOPEN, Stage.QUICK):
        if stage < begin or not _possible(stage, context):
            continue
        if stage is not Stage.PROBE:
            yield SessionChange(SessionState.RELINKING, stage.name.lower())
        try:
            online = yield from _by(stage, context)
        except (SessionRejected, ProtocolError):
            continue
        yield from fetch_profile(context)
        return LoginResult(stage, stage is not Stage.PROBE, online)
    context.credentials.clear()
    online = yield from _full(context)
    yield from fetch_profile(context)
    return LoginResult(Stage.FULL, ids_changed=True, online=online)


def _possible(stage: Stage, context: LoginContext) -> bool:
    credentials = context.credentials
    if context.by_password and credentials.account and credentials.account != context.account:
        return False  # somebody else's session
    if stage in (Stage.PROBE, Stage.RELINK):
        return credentials.has_session
    if stage is Stage.REOPEN:
        return credentials.has_login
    return bool(credentials.jar.get("supertoken", PTLOGIN))


def _by(stage: Stage, context: LoginContext) -> LoginFlow[Response]:
    match stage:
        case Stage.RELINK:
            yield from _channel(context, relink=True)
            yield from _data_token(context)
        case Stage.REOPEN:
            yield from _open(context)
        case Stage.QUICK:
            yield from _quick(context)
            yield from _open(context)
    return (yield from probe_session(context))


def _full(context: LoginContext) -> LoginFlow[Response]:
    """By password or by QR code, until upstream also accepts what it gave."""
    failure = ""
    for _ in range(MAX_ATTEMPTS):
        url, nick = yield from _entrance(context)
        try:
            yield from follow_redirects(context, url)
            context.credentials.nick = parse_text(nick)
            yield from _open(context)
            return (yield from probe_session(context))
        except SessionRejected as exc:
            failure = str(exc)
        yield from sleep(context.limits.short_pause)
    raise LoginRefused(f"upstream does not accept the login it has just confirmed: {failure}")


def _entrance(context: LoginContext) -> LoginFlow[tuple[str, str]]:
    if not context.by_password:
        return (yield from qr_flow(context))
    try:
        return (yield from password_flow(context))
    except QRRequired as exc:
        return (yield from qr_flow(context, reason=f"password refused: {exc}"))


# --- from the login page's answer to cookies ---------------------------------------------------

_FROZEN: Final = "aq.qq.com"
_OLD_PAGE: Final = re.compile(r' src="([^"]*mibao_res[^"]*)"')
_OLD_NEXT: Final = re.compile(r'location\.href="([^"]*)"')


def follow_redirects(context: LoginContext, url: str) -> LoginFlow[None]:
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
    context.credentials.take_ptwebqq()
    context.credentials.account = (
        _number(context.credentials.jar.get("uin", COOKIE_HOME)) or context.credentials.account
    )


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


def _quick(context: LoginContext) -> LoginFlow[None]:
    """New cookies without a scan, for as long as upstream remembers the login (1.10)."""
    token = time33(context.credentials.jar.get("supertoken", PTLOGIN))
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
    yield from follow_redirects(context, f"{url}&regmaster=&aid={APPID}&s_url={quote(HOME, safe='')}")


# --- from cookies to a session -----------------------------------------------------------------


def _open(context: LoginContext) -> LoginFlow[None]:
    """A new session from the cookies."""
    context.credentials.psessionid = ""
    yield from _data_token(context)
    yield from _channel(context, relink=False)


def _data_token(context: LoginContext) -> LoginFlow[None]:
    for _ in range(context.limits.login_attempts):
        answer = yield from send(endpoints.vfwebqq(context.credentials, context.clock()))
        if answer.status == HTTPStatus.OK:
            reply = parse_json(answer)
            token = mapping(reply.get("result")).get("vfwebqq")
            if return_code(reply) == OK and isinstance(token, str) and token:
                context.credentials.vfwebqq = token
                return
            raise SessionRejected(f"getvfwebqq: {return_code(reply)}")
        yield from sleep(context.limits.short_pause)
    raise SessionRejected(f"getvfwebqq: status {answer.status}")


_SHUT_OUT: Final = frozenset({106, 111})
_NOT_NOW: Final = frozenset({112, 113, 115})
_TRIES: Final = 3


def _channel(context: LoginContext, *, relink: bool) -> LoginFlow[None]:
    """login2, at most three times where upstream says later (1.7)."""
    code = 0
    for _ in range(_TRIES):
        answer = yield from send(endpoints.login2(context.credentials, relink=relink))
        if answer.status != HTTPStatus.OK:
            code = answer.status
            yield from sleep(context.limits.short_pause)
            continue
        reply = parse_json(answer)
        code = return_code(reply)
        if code == OK:
            _adopt(context, mapping(reply.get("result")))
            return
        if code in _SHUT_OUT:
            raise LoginRefused(f"login2: {code} {error_message(reply)}")
        if code not in _NOT_NOW and not relink:
            break
        yield from sleep(context.limits.busy_pause if code in _NOT_NOW else context.limits.short_pause)
    raise SessionRejected(f"login2: {code}")


def _adopt(context: LoginContext, result: Mapping[str, object]) -> None:
    """Take over what is there. Its vfwebqq is of no use to anybody (1.6)."""
    credentials = context.credentials
    session, ptwebqq = result.get("psessionid"), result.get("ptwebqq")
    if isinstance(session, str) and session:
        credentials.psessionid = session
    if isinstance(ptwebqq, str) and ptwebqq:
        credentials.renew(ptwebqq, context.clock())
    credentials.account = parse_id(result.get("uin")) or credentials.account
    if not credentials.psessionid or not credentials.account:
        raise SessionRejected("login2 gave no session")


def probe_session(context: LoginContext) -> LoginFlow[Response]:
    """The probe that is also the set-up of the channel: without it the first polls are refused (1.8)."""
    code = 0
    for _ in range(2):
        answer = yield from send(endpoints.online_friends(context.credentials, context.clock()))
        code = return_code(parse_json(answer)) if answer.status == HTTPStatus.OK else answer.status
        if code == OK:
            return answer
        yield from sleep(context.limits.short_pause)
    raise SessionRejected(f"get_online_buddies2: {code}")


def fetch_profile(context: LoginContext) -> LoginFlow[None]:
    """Who are we, and whom did we talk to? Both are nice to know and nothing waits for them."""
    answer = yield from send(endpoints.self_info(context.clock()))
    try:
        result = mapping(parse_json(answer).get("result"))
    except ProtocolError:
        result = {}
    context.credentials.nick = parse_text(result.get("nick")) or context.credentials.nick
    context.credentials.face = parse_int(result.get("face")) or context.credentials.face
    yield from send(endpoints.recent(context.credentials))
