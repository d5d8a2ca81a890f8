"""Get online by the cheapest stage: probe, relink, reopen, quick login, full login (1). Pure."""

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
    """Order the stages; a stage that fails is followed by the next."""

    # The former session may still be valid.
    PROBE = 0
    # The former session may be opened again.
    RELINK = 1
    # The cookies may be good for a new session.
    REOPEN = 2
    # The login of the account may be good for new cookies.
    QUICK = 3
    # A person scans, or the password is sent.
    FULL = 4


@dataclass(frozen=True, slots=True)
class LoginResult:
    """Report success. `ids_changed`: all momentary ids are new. `online`: the probe's answer."""

    stage: Stage
    ids_changed: bool
    online: Response


# Redirects followed after a login; never more than one mattered.
MAX_REDIRECTS: Final = 5

# Full logins in a row whose cookies the server does not accept afterwards.
MAX_ATTEMPTS: Final = 3


def login_flow(context: LoginContext, first: Stage) -> LoginFlow[LoginResult]:
    """Get online, from the first stage on. Raises LoginRefused if only a person can help."""
    for stage in (Stage.PROBE, Stage.RELINK, Stage.REOPEN, Stage.QUICK):
        if stage < first or not _is_possible(stage, context):
            continue
        if stage is not Stage.PROBE:
            yield SessionChange(SessionState.RELINKING, stage.name.lower())
        try:
            online = yield from _run_stage(stage, context)
        except (SessionRejected, ProtocolError):
            continue
        yield from fetch_profile(context)
        return LoginResult(stage, stage is not Stage.PROBE, online)
    context.credentials.clear()
    online = yield from _full(context)
    yield from fetch_profile(context)
    return LoginResult(Stage.FULL, ids_changed=True, online=online)


def _is_possible(stage: Stage, context: LoginContext) -> bool:
    credentials = context.credentials
    if context.by_password and credentials.account and credentials.account != context.account:
        return False  # the session of another account
    if stage in (Stage.PROBE, Stage.RELINK):
        return credentials.has_session
    if stage is Stage.REOPEN:
        return credentials.has_login
    return bool(credentials.jar.get("supertoken", PTLOGIN))


def _run_stage(stage: Stage, context: LoginContext) -> LoginFlow[Response]:
    match stage:
        case Stage.RELINK:
            yield from _open_channel(context, relink=True)
            yield from _fetch_data_token(context)
        case Stage.REOPEN:
            yield from _open(context)
        case Stage.QUICK:
            yield from _quick(context)
            yield from _open(context)
    return (yield from probe_session(context))


def _full(context: LoginContext) -> LoginFlow[Response]:
    """Log in by password or QR code until the server accepts its own cookies."""
    failure = ""
    for _ in range(MAX_ATTEMPTS):
        url, nick = yield from _confirm(context)
        try:
            yield from follow_redirects(context, url)
            context.credentials.nick = parse_text(nick)
            yield from _open(context)
            return (yield from probe_session(context))
        except SessionRejected as exc:
            failure = str(exc)
        yield from sleep(context.limits.short_pause)
    raise LoginRefused(f"the server does not accept the login that it has just confirmed: {failure}")


def _confirm(context: LoginContext) -> LoginFlow[tuple[str, str]]:
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
    """Open the check_sig address, unchanged, and its redirects, for their cookies (1.5)."""
    if _host(url) == _FROZEN:
        raise LoginRefused("the account is frozen; its owner has to unlock it at aq.qq.com")
    for _ in range(MAX_REDIRECTS):
        if not _is_trusted(url):
            raise ProtocolError("the login redirects to a host that is not below qq.com")
        answer = yield from send(Request("GET", url, referer=PAGE))
        following = _find_redirect(url, answer)
        # The last hop is a static page: whether it can be reached makes no difference.
        if not following or urlsplit(following).path.endswith("proxy.html"):
            break
        url = following
    context.credentials.take_ptwebqq()
    context.credentials.account = (
        _parse_uin(context.credentials.jar.get("uin", COOKIE_HOME)) or context.credentials.account
    )


def _find_redirect(url: str, answer: Response) -> str:
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


def _is_trusted(url: str) -> bool:
    return url.startswith(("http://", "https://")) and f".{_host(url)}".endswith(".qq.com")


def _parse_uin(cookie: str) -> str:
    """Return the number in a cookie like `o0305419896`."""
    return parse_id(cookie.removeprefix("o"))


def _quick(context: LoginContext) -> LoginFlow[None]:
    """Get new cookies without a scan, while the server remembers the login (1.10)."""
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
    # Page script: 2 goes on at once, 0 shows the account first. The address decides, as Mojo does it.
    if not _is_trusted(url) or not urlsplit(url).path.endswith("/check_sig"):
        raise SessionRejected(f"quick login: {code}")
    yield from follow_redirects(context, f"{url}&regmaster=&aid={APPID}&s_url={quote(HOME, safe='')}")


# --- from cookies to a session -----------------------------------------------------------------


def _open(context: LoginContext) -> LoginFlow[None]:
    """Open a new session with the cookies."""
    context.credentials.psessionid = ""
    yield from _fetch_data_token(context)
    yield from _open_channel(context, relink=False)


def _fetch_data_token(context: LoginContext) -> LoginFlow[None]:
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


# Codes of login2, with their sources. All others mean that the cookies are not accepted.
_SHUT_OUT: Final = frozenset({106, 111})  # not on a white list, on a black list. Comment in the page script
_NOT_NOW: Final = frozenset({112, 113, 115})  # overloaded, or blocked for some time. Page script retries
_MAX_CALLS: Final = 3  # page script: at most three relinks


def _open_channel(context: LoginContext, *, relink: bool) -> LoginFlow[None]:
    """Call login2, again where the server says "later" (1.7)."""
    code = 0
    for _ in range(_MAX_CALLS):
        answer = yield from send(endpoints.login2(context.credentials, relink=relink))
        if answer.status != HTTPStatus.OK:
            code = answer.status
            yield from sleep(context.limits.short_pause)
            continue
        reply = parse_json(answer)
        code = return_code(reply)
        if code == OK:
            _take_session(context, mapping(reply.get("result")))
            return
        if code in _SHUT_OUT:
            raise LoginRefused(f"login2: {code} {error_message(reply)}")
        if code not in _NOT_NOW and not relink:
            break
        yield from sleep(context.limits.busy_pause if code in _NOT_NOW else context.limits.short_pause)
    raise SessionRejected(f"login2: {code}")


def _take_session(context: LoginContext, result: Mapping[str, object]) -> None:
    """Take each present value but vfwebqq: login2 gives a wrong one (1.6)."""
    credentials = context.credentials
    session, ptwebqq = result.get("psessionid"), result.get("ptwebqq")
    if isinstance(session, str) and session:
        credentials.psessionid = session
    if isinstance(ptwebqq, str) and ptwebqq:
        credentials.renew(ptwebqq, context.clock())
    credentials.account = parse_id(result.get("uin")) or credentials.account
    if not credentials.psessionid or not credentials.account:
        raise SessionRejected("login2 gave no session id or no account")


def probe_session(context: LoginContext) -> LoginFlow[Response]:
    """Probe the session, which also sets the channel up: without it polls are refused (1.8)."""
    code = 0
    for _ in range(2):
        answer = yield from send(endpoints.online_friends(context.credentials, context.clock()))
        code = return_code(parse_json(answer)) if answer.status == HTTPStatus.OK else answer.status
        if code == OK:
            return answer
        yield from sleep(context.limits.short_pause)
    raise SessionRejected(f"get_online_buddies2: {code}")


def fetch_profile(context: LoginContext) -> LoginFlow[None]:
    """Fetch the own nick and face, and the recent chats; failures do not matter."""
    answer = yield from send(endpoints.self_info(context.clock()))
    try:
        result = mapping(parse_json(answer).get("result"))
    except ProtocolError:
        result = {}
    context.credentials.nick = parse_text(result.get("nick")) or context.credentials.nick
    context.credentials.face = parse_int(result.get("face")) or context.credentials.face
    yield from send(endpoints.recent(context.credentials))
