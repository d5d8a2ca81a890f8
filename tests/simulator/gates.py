"""The checks requests go through before they are served, and what those who fail are told.

The service told bad headers and cookies from bad tokens by its return codes; `strict` adds the checks
it is only suspected of.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .call import Call, Reply, error_page, failure
from .codes import BAD_COOKIES, BAD_FORM, BAD_HEADERS
from .network import Network
from .sessions import Grant

CLIENT_ID = 53999199  # the page script's `clientid`; Mojo, pandolia, slince, Yinzo send the same

_PROXIES = {
    "s.web2.qq.com": (re.compile(r"https?://s\.web2\.qq\.com/proxy\.html\?v=20130916001&callback=1&id=1"),),
    "d.web2.qq.com": (re.compile(r"https?://d\.web2\.qq\.com/proxy\.html\?v=\d{11}&callback=1&id=\d"),),
    "d1.web2.qq.com": (
        re.compile(r"https?://d1\.web2\.qq\.com/proxy\.html\?v=20151105001&callback=1&id=2"),
        re.compile(r"https?://d1\.web2\.qq\.com/cfproxy\.html\?v=20151105001&callback=1"),
    ),
}
_SEED_REFERER = re.compile(r"http://d\.web2\.qq\.com/proxy\.html\?v=20130916001&callback=1&id=2")


class Refused(Exception):  # noqa: N818 – it is an answer, not an error
    """A check failed; `reply` is what the client gets."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.code)
        self.reply = reply


def refuse(code: int, net: Network) -> Refused:
    """Return a refusal with a return code."""
    return Refused(failure(code, net.options))


def headers(net: Network, call: Call) -> None:
    """Want a Referer of the service's own pages; in strict mode the right one, and a browser's headers."""
    referer = call.headers.get("Referer", "")
    host = urlsplit(referer).hostname or ""
    if not host.endswith("web2.qq.com") and host != "w.qq.com":
        raise refuse(BAD_HEADERS, net)
    if net.options.strict:
        _strict(net, call, referer)


def _strict(net: Network, call: Call, referer: str) -> None:
    patterns = _PROXIES.get(call.host, ())
    allowed = [*patterns, _SEED_REFERER] if net.options.profile == "e1" else list(patterns)
    if patterns and not any(pattern.fullmatch(referer) for pattern in allowed):
        raise refuse(BAD_HEADERS, net)
    origin = call.headers.get("Origin")
    if origin is not None and urlsplit(origin).hostname != urlsplit(referer).hostname:
        raise refuse(BAD_HEADERS, net)
    form = call.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
    if call.method == "POST" and not form:
        raise refuse(BAD_FORM, net)
    agent = call.headers.get("User-Agent", "")
    if not agent.startswith("Mozilla/5.0") or "MSIE" in agent:
        raise refuse(BAD_HEADERS, net)
    if call.method == "GET" and not re.fullmatch(r"\d{13}", call.query.get("t", "")):
        raise refuse(BAD_HEADERS, net)


def cookies(net: Network, call: Call, code: int = BAD_COOKIES) -> Grant:
    """Return the login whose cookies the request carries."""
    grant = _grant(net, call)
    if grant is None or net.is_worn_out(grant):
        raise refuse(code, net)
    return grant


def _grant(net: Network, call: Call) -> Grant | None:
    p_skey = call.cookies.get("p_skey", "")
    skey = "" if net.options.need_p_skey else call.cookies.get("skey", "")
    return net.sessions.find(p_skey=p_skey, skey=skey)


def login_headers(net: Network, call: Call) -> None:
    """In strict mode the hosts of the login want a browser coming from the login page."""
    if not net.options.strict:
        return
    host = urlsplit(call.headers.get("Referer", "")).hostname or ""
    if not host.endswith("ptlogin2.qq.com") or not call.headers.get("User-Agent", "").startswith(
        "Mozilla/5.0"
    ):
        raise Refused(error_page(403, "Tencent Login Server"))


def data(net: Network, call: Call, token: Any) -> Grant:
    """Check a request for contacts: headers, cookies, vfwebqq."""
    headers(net, call)
    grant = _grant(net, call)
    if grant is not None and net.is_worn_out(grant):
        raise Refused(error_page(504))  # Mojo#175: after two days lists time out
    grant = cookies(net, call)
    if token != grant.vfwebqq:
        raise refuse(BAD_COOKIES, net)
    return grant


def channel(net: Network, call: Call, psessionid: Any) -> None:
    """Check a request on the channel: host, headers, cookies, psessionid."""
    channel_host(net, call)
    headers(net, call)
    cookies(net, call)
    if verdict := net.sessions.verdict(psessionid if isinstance(psessionid, str) else ""):
        raise refuse(verdict, net)


def channel_host(net: Network, call: Call) -> None:
    """Since December 2015 the old host refuses posts with a page."""
    if call.host == "d.web2.qq.com" and call.method == "POST" and not net.options.old_host:
        raise Refused(error_page(403))


def client_id(net: Network, r: Mapping[str, Any]) -> None:
    """In strict mode clientid is the one number, as a number."""
    given = r.get("clientid")
    if net.options.strict and net.options.profile != "e1" and (given != CLIENT_ID or isinstance(given, str)):
        raise refuse(BAD_HEADERS, net)
