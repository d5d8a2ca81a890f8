"""Which handler answers which path on which of the service's hosts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from . import channel, contacts, media, password, ptlogin, quick, qun, rooms, sending
from .call import Call, Reply, error_page
from .network import Network

Handler = Callable[[Network, Call], Reply | Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """A handler and the hosts that have it."""

    hosts: tuple[str, ...]
    handler: Handler


_DOMAINS = (".qq.com", ".qlogo.cn", ".idqqimg.com")

_UI = ("ui.ptlogin2.qq.com", "xui.ptlogin2.qq.com")
_SSL = ("ssl.ptlogin2.qq.com", "ptlogin2.qq.com")
_SIGNING = ("ptlogin4.web2.qq.com", "ptlogin4.w.qq.com", "ptlogin2.web2.qq.com", "ptlogin2.qq.com")
_PAGES = ("w.qq.com", "web2.qq.com", "web.qq.com", "s.web2.qq.com", "d.web2.qq.com", "d1.web2.qq.com")
_DATA = ("s.web2.qq.com",)
_CHANNEL = ("d1.web2.qq.com", "d.web2.qq.com")

_LOGIN = {
    "/cgi-bin/login": Route(_UI, ptlogin.login_page),
    "/cgi-bin/xlogin": Route(_UI, ptlogin.login_page),
    "/ptqrshow": Route(_SSL, ptlogin.show),
    "/ptqrlogin": Route(_SSL, ptlogin.poll),
    "/check_sig": Route(_SIGNING, ptlogin.check_sig),
    "/js/10152/mibao_res.html": Route(_UI, ptlogin.mibao_frame),
    "/pt4_auth": Route(_SSL, quick.auth),
    "/logout": Route(_SSL, quick.logout),
    "/check": Route(_SSL, password.check),
    "/login": Route(_SSL, password.login),
    "/getimage": Route(("ssl.captcha.qq.com", "captcha.qq.com"), password.picture),
}
_QUN = {
    "/cgi-bin/qun_mgr/get_friend_list": Route(("qun.qq.com",), qun.friend_list),
    "/cgi-bin/qun_mgr/get_group_list": Route(("qun.qq.com",), qun.group_list),
    "/cgi-bin/qun_mgr/search_group_members": Route(("qun.qq.com",), qun.searched_members),
    "/cgi-bin/qun_info/get_group_members_new": Route(("qinfo.clt.qq.com",), qun.members),
    "/member.html": Route(("qun.qq.com", "qinfo.clt.qq.com"), ptlogin.static_page),
}
_FACES = tuple(f"face{digit}.{domain}" for digit in range(10) for domain in ("web.qq.com", "qun.qq.com"))
_MEDIA = {
    "/cgi/svr/face/getface": Route(_FACES, media.avatar),
    "/g": Route(("q.qlogo.cn",), media.public_avatar),
    "/cgi-bin/get_group_pic": Route(("web2.qq.com",), media.group_picture),
    "/d/channel/get_offpic2": Route(("w.qq.com",), media.private_picture),
}
_STATIC = {
    path: Route(_PAGES, ptlogin.static_page)
    for path in (
        "/",
        "/proxy.html",
        "/cfproxy.html",
        "/loginproxy.html",
        "/webqq.html",
        "/web2_cookie_proxy.html",
    )
}
_API = {
    "/api/getvfwebqq": contacts.vfwebqq,
    "/api/get_self_info2": contacts.myself,
    "/api/get_user_friends2": contacts.friends,
    "/api/get_group_name_list_mask2": contacts.groups,
    "/api/get_discus_list": contacts.discussions,
    "/api/get_group_info_ext2": rooms.group,
    "/api/get_friend_uin2": contacts.number,
    "/api/get_friend_info2": contacts.friend_info,
    "/api/get_stranger_info2": contacts.stranger_info,
    "/api/get_single_long_nick2": contacts.long_nick,
    "/api/get_qq_level2": contacts.level,
}
_CALLS: dict[str, Handler] = {
    "/channel/login2": channel.login2,
    "/channel/poll2": channel.poll2,
    "/channel/get_online_buddies2": channel.online_buddies,
    "/channel/get_recent_list2": channel.recent_list,
    "/channel/get_discu_info": rooms.discussion,
    "/channel/change_status2": channel.change_status,
    "/channel/logout2": channel.logout,
    "/channel/input_notify2": channel.acknowledged,
    "/channel/shake2": channel.acknowledged,
    "/channel/send_buddy_msg2": sending.to_friend,
    "/channel/send_qun_msg2": sending.to_group,
    "/channel/send_discu_msg2": sending.to_discussion,
    "/channel/send_sess_msg2": sending.to_stranger,
    "/channel/get_c2cmsg_sig2": sending.signature,
    "/channel/get_offpic2": media.private_picture,
    "/channel/get_cface2": media.custom_face,
    "/channel/get_file2": media.file,
    "/channel/refuse_file2": media.done,
    "/channel/notify_offfile2": media.done,
}
ROUTES: dict[str, Route] = {
    **_LOGIN,
    **_STATIC,
    **_QUN,
    **_MEDIA,
    **{path: Route(_DATA, handler) for path, handler in _API.items()},
    **{path: Route(_CHANNEL, handler) for path, handler in _CALLS.items()},
}


def find(call: Call) -> Handler:
    """Return the handler of a request, one that answers 404 if its host has no such path.

    A client that does not send the true Host header is told apart by the path alone.
    """
    if call.path.startswith("/offpic/"):
        return media.stored_picture
    route = ROUTES.get(call.path)
    if route is None or (call.host not in route.hosts and call.host.endswith(_DOMAINS)):
        return _nothing
    return route.handler


def _nothing(_net: Network, _call: Call) -> Reply:
    return error_page(404)
