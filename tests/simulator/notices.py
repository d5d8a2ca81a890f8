"""Poll items that are no conversation, by what happens: somebody types, joins, sends a file.

All numbers here are permanent ones. Each call delivers an item and returns it. The world does not
change, except by `status`: that somebody joined is to be told to `World` as well.
"""

from collections.abc import Iterable
from typing import Any

from . import chats, polls
from .codes import STAT_CODES
from .identity import Kind
from .network import Network
from .polls import Head, Item

_SYSTEM = 10000
_LONG_GONE = 4294967295
_GROUP_TYPES = {
    "group_join": 33,
    "group_leave": 34,
    "group_request_join": 35,
    "group_request_join_agree": 36,
    "group_request_join_deny": 37,
    "group_create": 38,
    "group_admin_op": 44,
}
_FILE_XML = (
    '<?xml version="1.0" encoding="utf-8"?><d><n t="h" u="{qq}"/><n t="t" s="共享文件"/><n t="b"/>'
    '<n t="t" s="{name}"/></d>'
)
# As recorded in August 2013: attributes between `t` and `s`, labels beside the name, a torn end.
_LINKED_FILE_XML = (
    '<?xml version="1.0" encoding="utf-8"?><d><n t="h" u="{qq}" i="103" s="qun.qq.com/share-s.gif" c="75797A"/>'
    '<n t="t" s="共享文件"/><n t="b"/><n t="t" l="share" s="1"/><n t="b"/><n t="t" s="个"/><n t="b"/>'
    '<n t="t" s="13:53:20"/><n t="r"/><n t="i" s="qun.qq.com/share-other.gif"/><n t="b"/>'
    '<n t="t" s="{name}"/><n t="b"/><n t="c"/><n t="r"/><n t="t" l="share/download/1${name}" s="立即下载"/>'
    '<n t="s"/><n t="t" l="share" s="查看全部"/><n t="r"/>"/></d>'
)
# A song (recorded 2015, webqq-core): bytes in place of XML.
_SONG = "\x01\x00\x01 \x00\tÔ \x00\x0fÉËÐÄ\x00ítencent://miniplayer/?cmd=1&fuin={qq}&action='accept'"


class Notices:
    """What the network tells besides messages."""

    def __init__(self, net: Network) -> None:
        self._net = net

    def _uin(self, qq: int) -> int:
        return self._net.ids.of(Kind.PERSON, qq)

    def _head(self, from_uin: int, msg_type: int, reply_ip: int = 176752345) -> dict[str, Any]:
        net = self._net
        return {
            "msg_id": net.count("system"),
            "from_uin": from_uin,
            "to_uin": net.account,
            "msg_id2": net.rng.randrange(1, 1_000_000),
            "msg_type": msg_type,
            "reply_ip": reply_ip,
        }

    def _deliver(self, poll_type: str, value: dict[str, Any]) -> Item:
        item = polls.item(poll_type, value)
        chats.post(self._net, item)
        return item

    def typing(self, qq: int) -> Item:
        """Let a friend type."""
        return self._deliver("input_notify", self._head(self._uin(qq), 121, _LONG_GONE))

    def shake(self, qq: int) -> Item:
        """Let a friend shake the window."""
        return self._deliver("shake_message", self._head(self._uin(qq), 9))

    def status(self, qq: int, status: str, client_type: int = 1) -> Item:
        """Let a friend come, go or be busy; the lists know it as well."""
        self._net.world.change_person(qq, status=status, client_type=client_type)
        value = {"uin": self._uin(qq), "status": status, "client_type": client_type}
        return self._deliver("buddies_status_change", value)

    def system(self, qq: int, kind: str, **more: Any) -> Item:
        """Something about friendship: `kind` is verify_required, verify_pass, added_buddy_sig or the like."""
        known = {"seq": self._net.count("seq:system"), "type": kind, "uiuin": "", "from_uin": self._uin(qq)}
        value = known | {"account": qq, "msg": "", "allow": 1, "stat": 20, "client_type": 1} | more
        return self._deliver("system_message", value)

    def group_system(self, number: int, kind: str, **more: Any) -> Item:
        """Something about a group: `kind` is group_create, group_join, group_leave or the like.

        People in `more` (new_member, old_member, admin_uin, owner_uin, request_uin, uin) are QQ numbers
        and get their `t_` twin.
        """
        code = self._net.ids.of(Kind.CODE, number)
        value = self._head(self._net.ids.of(Kind.GROUP, number), _GROUP_TYPES.get(kind, 33))
        value |= {"type": kind, "gcode": code, "t_gcode": number}
        for name, given in more.items():
            if name in {"new_member", "old_member", "admin_uin", "owner_uin", "request_uin", "uin"}:
                value |= {name: self._uin(given), f"t_{name}": given}
            else:
                value[name] = given
        return self._deliver("sys_g_msg", value)

    def friends_changed(self, added: Iterable[int] = (), removed: Iterable[int] = ()) -> Item:
        """Change the friend list."""
        value = {
            "added_friends": [{"groupid": 0, "uin": self._uin(qq)} for qq in added],
            "removed_friends": [{"uin": self._uin(qq)} for qq in removed],
        }
        return self._deliver("buddylist_change", value)

    def group_file(
        self, number: int, qq: int, name: str, *, xml: str | None = None, linked: bool = False
    ) -> Item:
        """Let a member share a file in a group (`xml`: something else in its place; `linked`: a card with links)."""
        form = _LINKED_FILE_XML if linked else _FILE_XML
        gid = self._net.ids.of(Kind.GROUP, number)
        more = {
            "group_code": self._net.ids.of(Kind.CODE, number) if self._net.options.rich_values else gid,
            "group_type": 1,
            "ver": 1,
            "send_uin": self._uin(qq),
            "xml": form.format(qq=qq, name=name) if xml is None else xml,
        }
        return self._deliver("group_web_message", self._head(gid, 45) | more)

    def song(self, number: int, qq: int) -> Item:
        """Send a member's song to a group: a card that is no XML."""
        return self.group_file(number, qq, "", xml=_SONG.format(qq=qq))

    def big_face(self, number: int, qq: int) -> Item:
        """Send a member's big face to a group: a message without font and text."""
        net = self._net
        head = Head(net.count("system"), net.account, int(net.clock()), net.rng.randrange(1, 1_000_000))
        gid, code = net.ids.of(Kind.GROUP, number), net.ids.of(Kind.CODE, number)
        item = polls.big_face(
            head, gid=gid, code=code, uin=self._uin(qq), seq=net.count(f"seq:group:{number}"), number=number
        )
        chats.post(net, item)
        return item

    def picture_by_id(self, qq: int, number: int) -> Item:
        """Send a member's picture through a group, named as recorded in 2012 (Miranda)."""
        elements = [["pic_id", "5E10B9BC-A2BD-F848-9CB3-239DFFA745B5"], ["image", "jpg", 0], " "]
        return chats.say(self._net, f"temp:{qq}@group:{number}", None, elements=elements)

    def befriended(self, qq: int) -> Item:
        """Grant a request to be friends: a verify_pass of four fields, as recorded in 2012 (Miranda)."""
        value = {"seq": self._net.count("seq:system"), "type": "verify_pass", "from_uin": self._uin(qq)}
        return self._deliver("system_message", value | {"stat": STAT_CODES["offline"]})

    def file(self, qq: int, mode: str, **more: Any) -> Item:
        """Let a friend offer a file (`mode` recv), refuse a transfer (refuse) or accept it (send_ack)."""
        extra: dict[str, dict[str, Any]] = {
            "recv": {"type": 101, "name": "report.docx", "inet_ip": 176752345},
            "refuse": {"type": 101, "cancel_type": 1},
        }
        value = self._head(self._uin(qq), 9) | {"mode": mode, "session_id": 4097} | extra.get(mode, {}) | more
        return self._deliver("file_message", value)

    def transfer(self, qq: int, *files: tuple[str, int]) -> Item:
        """Files on their way: name and state (0 done, 10 started, 50 error, 51 timed out, 53 refused)."""
        value = {
            "file_count": len(files),
            "file_infos": [{"file_name": name, "file_status": state, "pro_id": 0} for name, state in files],
            "from_uin": self._uin(qq),
            "to_uin": self._net.account,
            "lc_id": 4097,
            "now": int(self._net.clock()),
            "operation": 1,
            "type": 1,
        }
        return self._deliver("filesrv_transfer", value)

    def offline_file(self, qq: int, name: str, size: int = 1024) -> Item:
        """Let a friend leave a file on the server."""
        now = int(self._net.clock())
        value = {
            "msg_id": self._net.count("system"),
            "from_uin": self._uin(qq),
            "to_uin": self._net.account,
            "ip": "10.20.30.40",
            "port": 80,
            "name": name,
            "rkey": self._net.mint.hexadecimal(64),
            "size": size,
            "time": now,
            "expire_time": now + 7 * 86400,
        }
        return self._deliver("push_offfile", value)

    def offline_file_done(self, qq: int, name: str, *, refused: bool = False) -> Item:
        """Let a friend receive or refuse a file left on the server."""
        value = {"action": 2 if refused else 1, "filename": name, "filesize": 1024, "from_uin": self._uin(qq)}
        return self._deliver("notify_offfile", value)

    def service_text(self, number: int, text: str) -> Item:
        """Send a service text in a group, under an id that is no member's."""
        return chats.say(self._net, f"group:{number}", text, sender=_SYSTEM)

    def muted(self, number: int, qq: int, minutes: int = 10) -> Item:
        """Forbid a member to speak."""
        nick = self._net.world.person(qq).nick
        return self.service_text(number, f"{nick}({qq}) 被管理员禁言{minutes}分钟")

    def other(self, poll_type: str, **value: Any) -> Item:
        """Deliver a type known by name only (tips, av_request …) or not at all."""
        return self._deliver(poll_type, value)
