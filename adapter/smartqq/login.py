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
from adapter.smartqq import calls
from adapter.smartqq.protocol import (
    APPID,
    DAID,
    OK,
    Answer,
    Request,
    code_of,
    ident,
    integer,
    led,
    load,
    mapping,
    said,
    time33,
    words,
)
from adapter.smartqq.scan import HOME, PAGE, PTLOGIN, SSL, by_code
from adapter.smartqq.talk import Desk, Rejected, Talk, arguments, call, wait
from adapter.smartqq.tokens import HOME as COOKIE_HOME
from adapter.smartqq.typed import ScanInstead, by_password


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
class Arrival:
    """We are online. `renewed`: all momentary ids are new. `online`: the answer to the probe."""

    stage: Stage
    renewed: bool
    online: Answer


CHAIN: Final = 5
"""Redirects followed after a login; there was never more than one that mattered."""

VOUCHES: Final = 3
"""Logins in a row whose cookies upstream does not accept afterwards."""


def come_online(desk: Desk, begin: Stage) -> Talk[Arrival]:
    """Get online from this stage on. Raises LoginRefused when only a person can help."""
    for stage in (Stage.PROBE, Stage.RELINK, Stage.REOPEN, Stage.QUICK):
        if stage < begin or not _possible(stage, desk):
            continue
        if stage is not Stage.PROBE:
            yield SessionChange(SessionState.RELINKING, stage.name.lower())
        try:
            online = yield from _by(stage, desk)
        except (Rejected, ProtocolError):
            continue
        yield from introduce(desk)
        return Arrival(stage, stage is not Stage.PROBE, online)
    desk.tokens.forget()
    online = yield from _full(desk)
    yield from introduce(desk)
    return Arrival(Stage.FULL, renewed=True, online=online)


def _possible(stage: Stage, desk: Desk) -> bool:
    tokens = desk.tokens
    if desk.by_password and tokens.account and tokens.account != desk.account:
        return False  # somebody else's session
    if stage in (Stage.PROBE, Stage.RELINK):
        return tokens.has_session
    if stage is Stage.REOPEN:
        return tokens.has_login
    return bool(tokens.jar.get("supertoken", PTLOGIN))


def _by(stage: Stage, desk: Desk) -> Talk[Answer]:
    match stage:
        case Stage.RELINK:
            yield from _channel(desk, relink=True)
            yield from _data_token(desk)
        case Stage.REOPEN:
            yield from _open(desk)
        case Stage.QUICK:
            yield from _quick(desk)
            yield from _open(desk)
    return (yield from alive(desk))


def _full(desk: Desk) -> Talk[Answer]:
    """By password or by QR code, until upstream also accepts what it gave."""
    failure = ""
    for _ in range(VOUCHES):
        url, nick = yield from _entrance(desk)
        try:
            yield from enter(desk, url)
            desk.tokens.nick = words(nick)
            yield from _open(desk)
            return (yield from alive(desk))
        except Rejected as exc:
            failure = str(exc)
        yield from wait(desk.limits.moment)
    raise LoginRefused(f"upstream does not accept the login it has just confirmed: {failure}")


def _entrance(desk: Desk) -> Talk[tuple[str, str]]:
    if not desk.by_password:
        return (yield from by_code(desk))
    try:
        return (yield from by_password(desk))
    except ScanInstead as exc:
        return (yield from by_code(desk, reason=f"password refused: {exc}"))


# --- from the login page's answer to cookies ---------------------------------------------------

_FROZEN: Final = "aq.qq.com"
_OLD_PAGE: Final = re.compile(r' src="([^"]*mibao_res[^"]*)"')
_OLD_NEXT: Final = re.compile(r'location\.href="([^"]*)"')


def enter(desk: Desk, url: str) -> Talk[None]:
    """Open the check_sig address, unchanged, and what it leads to, for the cookies' sake (1.5)."""
    if _host(url) == _FROZEN:
        raise LoginRefused("the account is frozen; its owner must visit aq.qq.com")
    for _ in range(CHAIN):
        if not _ours(url):
            raise ProtocolError("the login leads to a place that is not upstream's")
        answer = yield from call(Request("GET", url, referer=PAGE))
        following = _following(url, answer)
        # The last hop is a static page: whether it can be reached makes no difference.
        if not following or urlsplit(following).path.endswith("proxy.html"):
            break
        url = following
    desk.tokens.adopt_cookie()
    desk.tokens.account = _number(desk.tokens.jar.get("uin", COOKIE_HOME)) or desk.tokens.account


def _following(url: str, answer: Answer) -> str:
    if answer.location:
        return led(url, answer.location)
    for form in (_OLD_PAGE, _OLD_NEXT):
        if found := form.search(answer.text):
            return led(url, html.unescape(found[1]))
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
    return ident(cookie.removeprefix("o"))


def _quick(desk: Desk) -> Talk[None]:
    """New cookies without a scan, for as long as upstream remembers the login (1.10)."""
    token = time33(desk.tokens.jar.get("supertoken", PTLOGIN))
    answer = yield from call(
        Request(
            "GET",
            f"{SSL}/pt4_auth",
            (("daid", DAID), ("appid", APPID), ("auth_token", str(token))),
            referer=PAGE,
        )
    )
    code, url, *_ = arguments(answer)
    # The page script goes on at once for 2 and shows the account first for 0: the address decides.
    if not _ours(url) or not urlsplit(url).path.endswith("/check_sig"):
        raise Rejected(f"quick login: {code}")
    yield from enter(desk, f"{url}&regmaster=&aid={APPID}&s_url={quote(HOME, safe='')}")


# --- from cookies to a session -----------------------------------------------------------------


def _open(desk: Desk) -> Talk[None]:
    """A new session from the cookies."""
    desk.tokens.psessionid = ""
    yield from _data_token(desk)
    yield from _channel(desk, relink=False)


def _data_token(desk: Desk) -> Talk[None]:
    for _ in range(desk.limits.tries):
        answer = yield from call(calls.vfwebqq(desk.tokens, desk.clock()))
        if answer.status == HTTPStatus.OK:
            reply = load(answer)
            token = mapping(reply.get("result")).get("vfwebqq")
            if code_of(reply) == OK and isinstance(token, str) and token:
                desk.tokens.vfwebqq = token
                return
            raise Rejected(f"getvfwebqq: {code_of(reply)}")
        yield from wait(desk.limits.moment)
    raise Rejected(f"getvfwebqq: status {answer.status}")


_SHUT_OUT: Final = frozenset({106, 111})
_NOT_NOW: Final = frozenset({112, 113, 115})
_TRIES: Final = 3


def _channel(desk: Desk, *, relink: bool) -> Talk[None]:
    """login2, at most three times where upstream says later (1.7)."""
    code = 0
    for _ in range(_TRIES):
        answer = yield from call(calls.login2(desk.tokens, relink=relink))
        if answer.status != HTTPStatus.OK:
            code = answer.status
            yield from wait(desk.limits.moment)
            continue
        reply = load(answer)
        code = code_of(reply)
        if code == OK:
            _adopt(desk, mapping(reply.get("result")))
            return
        if code in _SHUT_OUT:
            raise LoginRefused(f"login2: {code} {said(reply)}")
        if code not in _NOT_NOW and not relink:
            break
        yield from wait(desk.limits.busy if code in _NOT_NOW else desk.limits.moment)
    raise Rejected(f"login2: {code}")


def _adopt(desk: Desk, result: Mapping[str, object]) -> None:
    """Take over what is there. Its vfwebqq is of no use to anybody (1.6)."""
    tokens = desk.tokens
    session, ptwebqq = result.get("psessionid"), result.get("ptwebqq")
    if isinstance(session, str) and session:
        tokens.psessionid = session
    if isinstance(ptwebqq, str) and ptwebqq:
        tokens.renew(ptwebqq, desk.clock())
    tokens.account = ident(result.get("uin")) or tokens.account
    if not tokens.psessionid or not tokens.account:
        raise Rejected("login2 gave no session")


def alive(desk: Desk) -> Talk[Answer]:
    """The probe that is also the set-up of the channel: without it the first polls are refused (1.8)."""
    code = 0
    for _ in range(2):
        answer = yield from call(calls.online_friends(desk.tokens, desk.clock()))
        code = code_of(load(answer)) if answer.status == HTTPStatus.OK else answer.status
        if code == OK:
            return answer
        yield from wait(desk.limits.moment)
    raise Rejected(f"get_online_buddies2: {code}")


def introduce(desk: Desk) -> Talk[None]:
    """Who are we, and whom did we talk to? Both are nice to know and nothing waits for them."""
    answer = yield from call(calls.self_info(desk.clock()))
    try:
        result = mapping(load(answer).get("result"))
    except ProtocolError:
        result = {}
    desk.tokens.nick = words(result.get("nick")) or desk.tokens.nick
    desk.tokens.face = integer(result.get("face")) or desk.tokens.face
    yield from call(calls.recent(desk.tokens))
