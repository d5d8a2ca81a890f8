"""The channel hosts d.web2 and d1.web2: login2, the long poll, who is online; sends are in `sending`."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from . import gates
from .call import Call, FormError, Reply, error_page, failure, json_reply, ok, text_reply
from .codes import BAD_COOKIES, BAD_FORM, BAD_HEADERS, NO_SESSION, RENEWED
from .faults import POLL
from .identity import Kind
from .network import Network
from .wire import integer
from .world import Person

_FEWEST_OUT_OF_TURN = 3
_STATUSES = frozenset({"online", "hidden", "busy", "away", "callme", "silent", "off", "offline"})


def form(net: Network, call: Call) -> dict[str, Any]:
    """Return `r`, or refuse a body that has none."""
    try:
        return call.r()
    except FormError as exc:
        raise gates.refuse(BAD_FORM, net) from exc


def login2(net: Network, call: Call) -> Reply:
    """Open the channel. With the former psessionid it is a relink, which keeps the momentary ids."""
    gates.channel_host(net, call)
    if call.host == "d.web2.qq.com" and not call.headers.get("Referer"):
        return error_page(403)
    if net.options.need_referer or net.options.strict or call.headers.get("Referer"):
        gates.headers(net, call)
    r = form(net, call)
    gates.client_id(net, r)
    grant = gates.cookies(net, call, NO_SESSION)
    if net.options.check_ptwebqq and (r.get("ptwebqq") or "") != grant.ptwebqq:
        raise gates.refuse(BAD_COOKIES, net)
    former, status = r.get("psessionid"), r.get("status", "online")
    session = net.open_session(grant, former if isinstance(former, str) else "", str(status))
    net.journal.changed.beat()
    result = {
        "uin": net.account,
        "cip": 1962939402,
        "index": 1075,
        "port": 47450,
        "status": session.status,
        "vfwebqq": grant.decoy,
        "psessionid": session.psessionid,
        "user_state": 0,
        "f": 0,
    }
    return ok(result if net.options.profile == "e1" else dict(sorted(result.items())), net.options)


async def poll2(net: Network, call: Call) -> Reply:
    """Answer with what waits, as soon as something does, or with nothing after `poll_seconds`."""
    r = form(net, call)
    gates.client_id(net, r)
    clock = asyncio.get_running_loop().time
    until, remaining = clock() + net.options.poll_seconds, True
    while True:
        refused = _poll_refusal(net, call, r)
        if refused is not None:
            return refused
        if len(net.mailbox) and not net.deaf:
            return _batch(net)
        if not remaining:
            return _idle(net)
        remaining = await net.mailbox.park(max(0.0, until - clock()))
        if remaining and (planned := net.faults.planned(POLL)):
            return Reply(planned=planned)


def _idle(net: Network) -> Reply:
    if net.options.idle_status != HTTPStatus.OK:
        return error_page(net.options.idle_status)
    return text_reply(net.options.empty_poll, net.options, None)


def _poll_refusal(net: Network, call: Call, r: dict[str, Any]) -> Reply | None:
    farewell = net.sessions.farewells.pop(str(r.get("psessionid")), None)
    if farewell is not None:
        return _messages(net, [farewell])
    gates.channel(net, call, r.get("psessionid"))
    if net.options.need_online:
        return failure(NO_SESSION, net.options)
    return _renewal(net, r)


def _renewal(net: Network, r: dict[str, Any]) -> Reply | None:
    """Answer 116 again to a client that has not shown the new ptwebqq: the former answer may be lost."""
    session = net.sessions.current
    if session is None or not session.grant.renewals:
        return None
    if r.get("ptwebqq") == session.grant.ptwebqq:
        session.grant.renewals = 0
        return None
    session.grant.renewals -= 1
    return json_reply({"retcode": RENEWED, "p": session.grant.ptwebqq}, net.options)


def _batch(net: Network) -> Reply:
    letters = net.mailbox.take(net.options.max_batch)
    texts = [letter.text for letter in letters]
    if net.options.newest_first:
        texts.reverse()
    if net.options.out_of_turn and len(texts) >= _FEWEST_OUT_OF_TURN:
        texts.insert(-1, texts.pop(1))
    return replace(_messages(net, texts), letters=letters)


def _messages(net: Network, texts: list[str]) -> Reply:
    joined = ",".join(texts)
    if net.options.profile == "e1":
        return text_reply(f'{{"retcode":0,"result":[{joined}]}}', net.options, 0)
    more = ',"retmsg":"ok"' if net.options.retmsg else ""
    return text_reply(f'{{"result":[{joined}],"retcode":0{more}}}', net.options, 0)


def online_buddies(net: Network, call: Call) -> Reply:
    """Tell which friends are online. It also mends an account whose polls answer 103."""
    gates.channel(net, call, call.query.get("psessionid"))
    net.options = net.options.changed({"need_online": False})
    friends = [friend.person for friend in net.world.friends.values()]
    return ok([presence(net, person) for person in friends if person.status != "offline"], net.options)


def presence(net: Network, person: Person) -> dict[str, Any]:
    """Return how somebody is online."""
    uin = net.ids.of(Kind.PERSON, person.qq)
    return {"client_type": person.client_type, "status": person.status, "uin": uin}


def recent_list(net: Network, call: Call) -> Reply:
    """Tell with whom there was talk lately. An empty psessionid is accepted here."""
    r = form(net, call)
    if r.get("psessionid"):
        gates.channel(net, call, r.get("psessionid"))
    else:
        gates.channel_host(net, call)
        gates.headers(net, call)
        gates.cookies(net, call)
    world, ids = net.world, net.ids
    recent = [{"type": 0, "uin": ids.of(Kind.PERSON, qq)} for qq in list(world.friends)[:3]]
    recent += [{"type": 1, "uin": ids.of(Kind.GROUP, number)} for number in world.groups]
    recent += [{"type": 2, "uin": ids.of(Kind.DISCUSSION, number)} for number in world.discussions]
    recent.append({"type": 3, "uin": ids.stray()})
    return ok(recent, net.options)


def change_status(net: Network, call: Call) -> Reply:
    """Change the account's own status."""
    gates.channel(net, call, call.query.get("psessionid"))
    status = call.query.get("newstatus", "")
    if status not in _STATUSES or net.sessions.current is None:
        raise gates.refuse(BAD_HEADERS, net)
    net.sessions.current.status = status
    net.world.change_person(net.account, status=status)
    return ok("ok", net.options)


def logout(net: Network, call: Call) -> Reply:
    """End the session and its cookies."""
    gates.channel(net, call, call.query.get("psessionid"))
    if net.sessions.current is not None:
        net.sessions.current.grant.alive = False
    net.sessions.end(NO_SESSION)
    net.mailbox.wake()
    net.journal.changed.beat()
    return json_reply({"retcode": 0, "result": "ok"}, net.options)


def acknowledged(net: Network, call: Call) -> Reply:
    """Answer calls that only have an effect on somebody else's screen: typing, shaking."""
    gates.channel(net, call, call.query.get("psessionid"))
    if integer(call.query.get("to_uin")) is None:
        raise gates.refuse(BAD_HEADERS, net)
    return ok("ok", net.options)
