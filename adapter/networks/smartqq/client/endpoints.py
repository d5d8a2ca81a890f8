"""Build the requests of SmartQQ's web client, except the logins (0.4, 3.1, 4, 5). Pure."""

from typing import Final

from adapter.events import Address, ChatKind
from adapter.networks.smartqq.protocol.hashes import bkn
from adapter.networks.smartqq.protocol.http import CLIENTID, Pairs, Request
from adapter.networks.smartqq.protocol.parsing import dump_json
from adapter.networks.smartqq.session.credentials import HOME, Credentials

DATA: Final = "https://s.web2.qq.com"
CHANNEL: Final = "https://d1.web2.qq.com"
# Pictures stayed here when everything else moved to d1 in December 2015.
OLD_CHANNEL: Final = "http://d.web2.qq.com"

_DATA_REFERER: Final = "http://s.web2.qq.com/proxy.html?v=20130916001&callback=1&id=1"
_CHANNEL_REFERER: Final = "http://d1.web2.qq.com/proxy.html?v=20151105001&callback=1&id=2"
_SECURE_REFERER: Final = "https://d1.web2.qq.com/cfproxy.html?v=20151105001&callback=1"
HOME_REFERER: Final = "http://w.qq.com/"

# The calls that the official client sends through its https frame.
_SECURE: Final = frozenset({"poll2", "send_buddy_msg2", "send_qun_msg2", "send_discu_msg2"})


def _t(now: float) -> str:
    """Format a time as milliseconds, 13 digits."""
    return str(int(now * 1000))


def _data(name: str, params: Pairs = (), form: Pairs | None = None) -> Request:
    return Request(
        "GET" if form is None else "POST",
        f"{DATA}/api/{name}",
        params,
        form,
        referer=_DATA_REFERER,
        origin="http://s.web2.qq.com",
    )


def _channel(name: str, params: Pairs = (), form: Pairs | None = None, *, long_poll: bool = False) -> Request:
    secure = name in _SECURE
    return Request(
        "GET" if form is None else "POST",
        f"{CHANNEL}/channel/{name}",
        params,
        form,
        referer=_SECURE_REFERER if secure else _CHANNEL_REFERER,
        origin=CHANNEL if secure else "http://d1.web2.qq.com",
        long_poll=long_poll,
    )


def _r(**values: object) -> Pairs:
    """Build the one form field: a JSON object."""
    return (("r", dump_json(values)),)


def _session(credentials: Credentials) -> Pairs:
    return (("clientid", str(CLIENTID)), ("psessionid", credentials.psessionid))


# --- session -----------------------------------------------------------------------------------


def vfwebqq(credentials: Credentials, now: float) -> Request:
    """Request the data token; only this call gives the right one (1.6)."""
    return _data(
        "getvfwebqq",
        (
            ("ptwebqq", credentials.ptwebqq),
            ("clientid", str(CLIENTID)),
            ("psessionid", credentials.psessionid),
            ("t", _t(now)),
        ),
    )


def login2(credentials: Credentials, *, relink: bool) -> Request:
    """Open the channel, or with the former session open it again (1.7, 1.10)."""
    values: dict[str, object] = {
        "ptwebqq": credentials.ptwebqq,
        "clientid": CLIENTID,
        "psessionid": credentials.psessionid if relink else "",
        "status": credentials.status,
    }
    return _channel("login2", form=_r(**values, **({"key": ""} if relink else {})))


def online_friends(credentials: Credentials, now: float) -> Request:
    """Request who is online; also the probe of a session (1.8, 5.10)."""
    return _channel(
        "get_online_buddies2", (("vfwebqq", credentials.vfwebqq), *_session(credentials), ("t", _t(now)))
    )


def recent(credentials: Credentials) -> Request:
    """Request the latest chats, which lowers the number of 1202 on sending (1.8)."""
    return _channel(
        "get_recent_list2",
        form=_r(vfwebqq=credentials.vfwebqq, clientid=CLIENTID, psessionid=credentials.psessionid),
    )


def change_status(credentials: Credentials, status: str, now: float) -> Request:
    """Show the account as online, away, busy, hidden, callme or silent (1.7)."""
    return _channel("change_status2", (("newstatus", status), *_session(credentials), ("t", _t(now))))


def logout(credentials: Credentials, now: float) -> Request:
    """End the session (1.11)."""
    return _channel("logout2", (("ids", ""), *_session(credentials), ("t", _t(now))))


def poll(credentials: Credentials) -> Request:
    """Wait for messages (3.1)."""
    form = _r(ptwebqq=credentials.ptwebqq, clientid=CLIENTID, psessionid=credentials.psessionid, key="")
    return _channel("poll2", form=form, long_poll=True)


# --- sending -----------------------------------------------------------------------------------

_SERVICE: Final = {ChatKind.GROUP: 0, ChatKind.DISCUSS: 1}


def send(
    credentials: Credentials, to: Address, content: str, message_id: int, signature: str = ""
) -> Request:
    """Send a message to an address in momentary ids. `signature`: for a temporary chat (4.1)."""
    number = int(to.id)
    common = {
        "content": content,
        "face": credentials.face,
        "clientid": CLIENTID,
        "msg_id": message_id,
        "psessionid": credentials.psessionid,
    }
    match to.kind:
        case ChatKind.FRIEND:
            return _channel("send_buddy_msg2", form=_r(to=number, **common))
        case ChatKind.GROUP:
            return _channel("send_qun_msg2", form=_r(group_uin=number, **common))
        case ChatKind.DISCUSS:
            return _channel("send_discu_msg2", form=_r(did=number, **common))
        case ChatKind.TEMP:
            form = _r(to=number, **common, group_sig=signature, service_type=service_type(to))
            return _channel("send_sess_msg2", form=form)


def service_type(to: Address) -> int:
    """Return 0 for a temporary chat through a group, 1 through a discussion."""
    return _SERVICE.get(to.via.kind, 0) if to.via else 0


def signature(credentials: Credentials, to: Address, now: float) -> Request:
    """Request the permission to write to a member of a group or discussion (4.5)."""
    return _channel(
        "get_c2cmsg_sig2",
        (
            ("id", to.via.id if to.via else ""),
            ("to_uin", to.id),
            *_session(credentials),
            ("service_type", str(service_type(to))),
            ("t", _t(now)),
        ),
    )


# --- contacts ----------------------------------------------------------------------------------


def self_info(now: float) -> Request:
    """Request the own profile (5.1)."""
    return _data("get_self_info2", (("t", _t(now)),))


def friends(credentials: Credentials) -> Request:
    """Request all friends (5.4)."""
    return _data("get_user_friends2", form=_r(vfwebqq=credentials.vfwebqq, hash=credentials.hash))


def groups(credentials: Credentials) -> Request:
    """Request all groups (5.5)."""
    return _data("get_group_name_list_mask2", form=_r(vfwebqq=credentials.vfwebqq, hash=credentials.hash))


def discussions(credentials: Credentials, now: float) -> Request:
    """Request all discussions (5.6)."""
    return _data(
        "get_discus_list", (*_session(credentials), ("vfwebqq", credentials.vfwebqq), ("t", _t(now)))
    )


def group_members(credentials: Credentials, code: str, now: float) -> Request:
    """Request the members of a group by its `code`: its gid is refused with 6 (5.7)."""
    return _data("get_group_info_ext2", (("gcode", code), ("vfwebqq", credentials.vfwebqq), ("t", _t(now))))


def discussion_members(credentials: Credentials, did: str, now: float) -> Request:
    """Request the members of a discussion (5.8)."""
    return _channel(
        "get_discu_info",
        (("did", did), ("vfwebqq", credentials.vfwebqq), *_session(credentials), ("t", _t(now))),
    )


def qq_number(credentials: Credentials, uin: str, now: float, *, is_group: bool) -> Request:
    """Request the number behind a person's uin or a group's code. Closed in 2017 (5.9)."""
    kind = "4" if is_group else "1"
    return _data(
        "get_friend_uin2",
        (("tuin", uin), ("type", kind), ("vfwebqq", credentials.vfwebqq), ("t", _t(now))),
    )


def _qun(name: str, credentials: Credentials, *more: tuple[str, str]) -> Request:
    form = (*more, ("bkn", str(bkn(credentials.jar.get("skey", HOME)))))
    host = "https://qun.qq.com"
    referer = "http://qun.qq.com/member.html"
    return Request("POST", f"{host}/cgi-bin/qun_mgr/{name}", form=form, referer=referer)


def qun_friends(credentials: Credentials) -> Request:
    """Request friends with their permanent numbers from qun.qq.com (5.9)."""
    return _qun("get_friend_list", credentials)


def qun_groups(credentials: Credentials) -> Request:
    """Request groups with their permanent numbers from qun.qq.com (5.9)."""
    return _qun("get_group_list", credentials)


def qun_members(credentials: Credentials, number: str) -> Request:
    """Request a group's members with their permanent numbers, by the group's (5.9)."""
    form = (("gc", number), ("u", credentials.account), ("bkn", str(bkn(credentials.jar.get("skey", HOME)))))
    host = "qinfo.clt.qq.com"
    return Request(
        "POST",
        f"https://{host}/cgi-bin/qun_info/get_group_members_new",
        form=form,
        referer=f"http://{host}/member.html",
    )


# --- pictures in messages ----------------------------------------------------------------------


def offline_picture(credentials: Credentials, path: str, sender: str) -> Request:
    """Fetch a picture from a friend (5.12)."""
    return Request(
        "GET",
        f"{OLD_CHANNEL}/channel/get_offpic2",
        (("file_path", path), ("f_uin", sender), *_session(credentials)),
        referer=HOME_REFERER,
    )


def group_picture(
    credentials: Credentials,
    *,
    name: str,
    file_id: str,
    server: str,
    group: str,
    did: str,
    sender: str,
    now: float,
) -> Request:
    """Fetch a picture from a group (by its `code`) or, with `did`, a discussion (5.12)."""
    host, _, port = server.partition(":")
    chat = ("did", did) if did else ("gid", group)
    return Request(
        "GET",
        "http://web2.qq.com/cgi-bin/get_group_pic",
        (
            ("type", "0"),
            ("fid", file_id),
            chat,
            ("pic", name),
            ("rip", host),
            ("rport", port or "80"),
            ("uin", sender),
            ("vfwebqq", credentials.vfwebqq),
            ("t", _t(now)),
        ),
        referer=HOME_REFERER,
    )


def custom_picture(credentials: Credentials, name: str, message_id: str, sender: str) -> Request:
    """Fetch a picture in the older, listed form, from a friend (5.12)."""
    return Request(
        "GET",
        f"{OLD_CHANNEL}/channel/get_cface2",
        (
            ("lcid", message_id),
            ("guid", name),
            ("to", sender),
            ("count", "5"),
            ("time", "1"),
            *_session(credentials),
        ),
        referer=HOME_REFERER,
    )
