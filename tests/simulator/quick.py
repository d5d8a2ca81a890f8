"""Logging in again without a code (pt4_auth), and logging out at ptlogin2."""

from . import wire
from .call import Call, Reply, error_page
from .network import Network
from .ptlogin import check_sig_url
from .tokens import time33

DENIED = "1"


def auth(net: Network, call: Call) -> Reply:
    """Answer `pt4_auth`: a fresh check_sig URL to whoever still has superkey and supertoken.

    The URL has no s_url: the client appends it. ptwebqq stays what it was.
    """
    grant = net.sessions.find(superkey=call.cookies.get("superkey", ""))
    token = call.query.get("auth_token", "")
    if grant is None or not grant.supertoken or token != str(time33(grant.supertoken)):
        return _callback(DENIED, "")
    fresh = net.sessions.issue(grant.ptwebqq)
    fresh.superkey, fresh.supertoken = grant.superkey, grant.supertoken
    url = check_sig_url(net, fresh).replace("service=ptqrlogin", "service=pt4_auth")
    return _callback("0", url.partition("&s_url=")[0])


def _callback(code: str, url: str) -> Reply:
    body = wire.script_call("ptui_auth_CB", (code, url), last_apart=False)
    return Reply(body, content_type="application/javascript; charset=utf-8", code=int(code))


def logout(net: Network, call: Call) -> Reply:
    """Answer ptlogin2's `logout`: the cookies of the login named by pt4_token die."""
    token, proof = call.query.get("pt4_token", ""), call.query.get("pt4_hkey", "")
    for grant in net.sessions.grants.values():
        if token and grant.pt4_token == token and proof == str(time33(grant.skey)):
            grant.alive = False
            if net.sessions.current is not None and net.sessions.current.grant is grant:
                net.sessions.end(103)
                net.mailbox.wake()
                net.journal.changed.beat()
            return Reply(b"pt_logout.logoutQQCOM_Callback(2);\r\n", content_type="application/javascript")
    return error_page(403, "Tencent Login Server")
