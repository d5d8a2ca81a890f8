"""The four sends: from a request to what the addressee's phone shows, or to what the sender is told."""

from typing import Any

from . import chats, content, gates
from .call import Call, FormError, Reply, failure, json_reply, ok
from .codes import BAD_FORM, BAD_HEADERS, NOT_SENT, SPAM
from .content import ContentError
from .identity import Kind
from .journal import Received
from .network import Network, Signature
from .wire import integer


def to_friend(net: Network, call: Call) -> Reply:
    """Answer `send_buddy_msg2`."""
    r = _r(net, call)
    qq = net.ids.number(Kind.PERSON, r.get("to"))
    return _send(net, r, f"friend:{qq}" if qq in net.world.friends else None)


def to_group(net: Network, call: Call) -> Reply:
    """Answer `send_qun_msg2`; the group goes by its gid, its code does not do."""
    r = _r(net, call)
    number = net.ids.number(Kind.GROUP, r.get("group_uin"))
    return _send(net, r, f"group:{number}" if number in net.world.groups else None)


def to_discussion(net: Network, call: Call) -> Reply:
    """Answer `send_discu_msg2`."""
    r = _r(net, call)
    number = net.ids.number(Kind.DISCUSSION, r.get("did"))
    return _send(net, r, f"discuss:{number}" if number in net.world.discussions else None)


def to_stranger(net: Network, call: Call) -> Reply:
    """Answer `send_sess_msg2`; without the signature of get_c2cmsg_sig2 nothing is sent."""
    r = _r(net, call)
    signature = net.signatures.get(str(r.get("group_sig", "")))
    qq = net.ids.number(Kind.PERSON, r.get("to"))
    allowed = signature is not None and signature.qq == qq
    return _send(
        net, r, signature.chat if signature and allowed else None, reaches=net.options.sess_delivered
    )


def signature(net: Network, call: Call) -> Reply:
    """Answer `get_c2cmsg_sig2`: leave to write to a member of a group or discussion."""
    gates.channel(net, call, call.query.get("psessionid"))
    grouped = call.query.get("service_type", "0") == "0"
    room = net.ids.number(Kind.GROUP if grouped else Kind.DISCUSSION, call.query.get("id"))
    qq = net.ids.number(Kind.PERSON, call.query.get("to_uin"))
    rooms: dict[int, Any] = dict(net.world.groups) if grouped else dict(net.world.discussions)
    value = ""
    if room in rooms and qq is not None and rooms[room].member(qq):
        value = net.mint.hexadecimal(64)
        net.signatures[value] = Signature(qq, f"temp:{qq}@{'group' if grouped else 'discuss'}:{room}")
    flags = {"text": 1, "pic": 1, "file": 1, "audio": 1, "video": 1}
    return ok({"type": 0, "value": value, "flags": flags}, net.options)


def _r(net: Network, call: Call) -> dict[str, Any]:
    try:
        r = call.r()
    except FormError as exc:
        # A body without r is one mistake; an r torn apart by an unescaped quotation mark another.
        code = BAD_HEADERS if "r" in call.form else BAD_FORM
        raise gates.refuse(code, net) from exc
    gates.client_id(net, r)
    gates.channel(net, call, r.get("psessionid"))
    return r


def _send(net: Network, r: dict[str, Any], chat: str | None, *, reaches: bool = True) -> Reply:
    try:
        parts, text = content.parse_sent(r.get("content"))
    except ContentError:
        return failure(BAD_HEADERS, net.options)
    msg_id = integer(r.get("msg_id"))
    if chat is None or msg_id is None or not parts:
        return json_reply({"errCode": NOT_SENT, "errMsg": "ERROR"}, net.options)
    spam = net.too_fast()
    repeated = net.options.drop_repeats and net.repeated(chat, msg_id)
    text = _cut(text, net.options.cut_bytes)
    if reaches and not repeated and (not spam or net.options.spam_delivers):
        net.journal.deliver(lambda n: Received(n, chat, text, parts, msg_id, net.clock(), r))
        chats.echo(net, chat, parts)
    else:
        net.journal.drop(lambda n: Received(n, chat, text, parts, msg_id, net.clock(), r))
    return failure(SPAM, net.options) if spam else _sent(net)


def _cut(text: str, limit: int) -> str:
    return text.encode("utf-8", "surrogatepass")[:limit].decode("utf-8", "ignore") if limit else text


def _sent(net: Network) -> Reply:
    if net.options.send_style == "result":
        return json_reply({"retcode": 0, "result": "ok"}, net.options)
    return json_reply({"errCode": 0, "msg": "send ok"}, net.options)
