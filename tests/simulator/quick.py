"""Logging in again without a code (pt4_auth), and logging out at ptlogin2."""

from . import wire
from .call import Call, Reply
from .codes import NO_SESSION, QUICK_DENIED
from .network import Network
from .ptlogin import check_sig_url
from .tokens import time33


def auth(net: Network, call: Call) -> Reply:
    """Answer `pt4_auth`: a fresh check_sig URL to whoever still has superkey and supertoken.

    The URL has no s_url: the client appends it. ptwebqq stays what it was.
    """
    grant = net.sessions.find(superkey=call.cookies.get("superkey", ""))
    token = call.query.get("auth_token", "")
    if grant is None or not grant.supertoken or token != str(time33(grant.supertoken)):
        return _callback(QUICK_DENIED, "")
    fresh = net.sessions.issue(grant.ptwebqq, net.clock())
    fresh.superkey, fresh.supertoken = grant.superkey, grant.supertoken
    url = check_sig_url(net, fresh).replace("service=ptqrlogin", "service=pt4_auth")
    return _callback(net.options.quick_code, url.partition("&s_url=")[0])


def _callback(code: int, url: str) -> Reply:
    body = wire.script_call("ptui_auth_CB", (str(code), url), last_apart=False)
    return Reply(body, content_type="application/javascript; charset=utf-8", code=code)


def logout(net: Network, call: Call) -> Reply:
    """Answer ptlogin2's `logout`: the cookies of the login named by pt4_token die.

    A `pt4_hkey` that does not prove `skey` has no effect; the answer is the same. Mojo sends 0, and its logs
    show the logout done within the second.
    """
    token, proof = call.query.get("pt4_token", ""), call.query.get("pt4_hkey", "")
    for grant in net.sessions.grants.values():
        if token and grant.pt4_token == token and proof == str(time33(grant.skey)):
            grant.alive = False
            if net.sessions.current is not None and net.sessions.current.grant is grant:
                net.sessions.end(NO_SESSION)
                net.mailbox.wake()
                net.journal.changed.beat()
    return Reply(b"pt_logout.logoutQQCOM_Callback(2);\r\n", content_type="application/javascript")
