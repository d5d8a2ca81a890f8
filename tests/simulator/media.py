"""Avatars and what messages carry besides text: errors come as JSON with status 200."""

from . import gates, pictures, wire
from .call import Call, Reply, failure, ok
from .codes import BAD_COOKIES, BAD_HEADERS, NO_SESSION
from .identity import Kind
from .network import Network

_GROUP_AVATAR = "4"
STORAGE = "file1.web.qq.com"
_MOST_PIXELS = 640


def avatar(net: Network, call: Call) -> Reply:
    """Answer `getface`: by momentary id; whoever is unknown or comes without the token sees the default."""
    grouped = call.query.get("type") == _GROUP_AVATAR
    kind = Kind.CODE if grouped else Kind.PERSON
    number = net.ids.number(kind, call.query.get("uin"))
    session = net.sessions.find(p_skey=call.cookies.get("p_skey", ""), skey=call.cookies.get("skey", ""))
    known = session is not None and call.query.get("vfwebqq") == session.vfwebqq
    return _jpeg(pictures.avatar("group" if grouped else "person", number if known and number else 0))


def public_avatar(_net: Network, call: Call) -> Reply:
    """Answer `q.qlogo.cn/g`: by QQ number, for everybody."""
    pixels = min(wire.integer(call.query.get("s")) or 100, _MOST_PIXELS)
    return _jpeg(pictures.avatar("person", wire.integer(call.query.get("nk")) or 0, pixels))


def _jpeg(image: bytes) -> Reply:
    return Reply(image, content_type="image/jpeg")


def _image(name: str) -> Reply:
    return Reply(pictures.message_picture(name), content_type="image/png")


def private_picture(net: Network, call: Call) -> Reply:
    """Answer `get_offpic2`: a redirect to a storage host."""
    q = call.query
    if net.sessions.verdict(q.get("psessionid", "")):
        return failure(NO_SESSION, net.options)
    known = net.ids.number(Kind.PERSON, q.get("f_uin")) is not None
    name = q.get("file_path", "").removeprefix("/")
    if not known or name not in net.pictures:
        return failure(BAD_COOKIES, net.options)
    location = f"http://{STORAGE}/offpic/{net.pictures[name]}"
    return Reply(status=302, headers=(("Location", location),))


def stored_picture(net: Network, call: Call) -> Reply:
    """Answer the storage host; it wants no cookies, the name is the secret."""
    key = call.path.removeprefix("/offpic/")
    name = next((name for name, stored in net.pictures.items() if stored == key), None)
    return Reply(wire.page(404), 404, "text/html") if name is None else _image(name)


def group_picture(net: Network, call: Call) -> Reply:
    """Answer `get_group_pic`: by the group's code (or the discussion's did) and the name in the message."""
    q = call.query
    gates.data(net, call, q.get("vfwebqq"))
    room, kind = (q["did"], Kind.DISCUSSION) if "did" in q else (q.get("gid", ""), Kind.CODE)
    known = net.ids.number(kind, room) is not None
    if not known or q.get("pic") not in net.pictures or not (q.get("rip") and q.get("rport")):
        return failure(BAD_HEADERS, net.options)
    return _image(q["pic"])


def custom_face(net: Network, call: Call) -> Reply:
    """Answer `get_cface2`, for pictures in the old list form."""
    q = call.query
    gates.channel(net, call, q.get("psessionid"))
    if net.ids.number(Kind.PERSON, q.get("to")) is None or q.get("guid") not in net.pictures:
        return failure(BAD_HEADERS, net.options)
    return _image(q["guid"])


def file(net: Network, call: Call) -> Reply:
    """Answer `get_file2`: the file announced by a file_message, invented from its name."""
    gates.channel(net, call, call.query.get("psessionid"))
    name = call.query.get("guid", "")
    if not name or wire.integer(call.query.get("lcid")) is None:
        return failure(BAD_HEADERS, net.options)
    body = f"the content of {name}\n".encode()
    return Reply(body, content_type="application/octet-stream")


def done(net: Network, call: Call) -> Reply:
    """Answer `refuse_file2` and `notify_offfile2`."""
    gates.channel(net, call, call.query.get("psessionid"))
    return ok("ok", net.options)
