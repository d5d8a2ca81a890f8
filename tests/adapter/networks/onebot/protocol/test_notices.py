"""Notices and requests of each dialect: type, who acted, where, and ids as text."""

from typing import Any

import pytest

from adapter.events import Notice
from adapter.networks.onebot.protocol.notices import decode_notice
from tests.onebot_server import DIALECTS, OneBotServer

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)


def decode(server: OneBotServer, kind: str, **fields: Any) -> Notice:
    return decode_notice(server.notice(kind, **fields)["event"])


def shown(notice: Notice) -> tuple[str, str, str, str]:
    return notice.kind, str(notice.chat or ""), notice.sender, notice.text


@pytest.mark.parametrize("dialect", ALL)
async def test_members_come_and_go(dialect: str) -> None:
    server = OneBotServer(dialect)
    came = decode(server, "group_increase", group=30001, user=10003, operator=10001)
    assert shown(came) == ("member", "group:30001", "10001", "加入了群")
    assert came.data == {
        "sub_type": "approve",
        "group_id": "30001",
        "user_id": "10003",
        "operator_id": "10001",
    }
    alone = decode(server, "group_increase", group=30001, user=10005, sub_type="invite")
    assert (alone.sender, alone.text, alone.data["operator_id"]) == ("10005", "受邀加入了群", "")
    left = decode(server, "group_decrease", group=30001, user=10003)
    assert shown(left) == ("member", "group:30001", "10003", "退出了群")
    kicked = decode(server, "group_decrease", group=30001, user=0, sub_type="kick_me", operator=10001)
    assert (kicked.sender, kicked.from_self, kicked.data["user_id"]) == ("10001", False, "20001")
    gone = decode(server, "group_dismiss", group=30002, operator=10001)
    assert (gone.kind, gone.data["sub_type"], gone.sender) == ("member", "disband", "10001")


@pytest.mark.parametrize("dialect", ALL)
async def test_a_recall_names_the_message_and_who_recalled(dialect: str) -> None:
    server = OneBotServer(dialect)
    said = server.say("group:30001", "hi", sender=10002)["event"]["message_id"]
    recall = decode(server, "recall", message_id=said, operator=10001)
    assert shown(recall) == ("recall", "group:30001", "10001", "撤回了一条消息")
    assert (recall.data["message_id"], recall.message_id) == (str(said), "")
    own = server.say("friend:10001", "hi")["event"]["message_id"]
    assert shown(decode(server, "recall", message_id=own))[:3] == ("recall", "friend:10001", "10001")


async def test_a_private_recall_of_the_own_account_names_no_chat_in_napcat() -> None:
    server = OneBotServer("napcat")
    said = server.say("friend:10001", "hi", sender=20001)["event"]["message_id"]
    recall = decode(server, "recall", message_id=said)
    assert (recall.chat, recall.sender, recall.from_self) == (None, "20001", True)


async def test_a_mute_of_all_names_no_user() -> None:
    server = OneBotServer("napcat")
    one = decode(server, "group_ban", group=30001, user=10002, operator=10001)
    assert shown(one) == ("mute", "group:30001", "10001", "被禁言")
    assert (one.data["user_id"], one.data["duration"]) == ("10002", 600)
    everyone = decode(server, "group_ban", group=30001, operator=10001, duration=-1)
    assert (everyone.data["user_id"], everyone.data["duration"], everyone.text) == ("", -1, "全员禁言")
    lifted = decode(server, "group_ban", group=30001, user=10002, operator=10001, duration=0)
    assert (lifted.data["sub_type"], lifted.text) == ("lift_ban", "被解除禁言")


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("group_admin", {"group": 30001, "user": 10002}, ("admin", "group:30001", "10002", "成为管理员")),
        (
            "group_card",
            {"group": 30001, "user": 10002, "card": "新"},
            ("card", "group:30001", "10002", "修改了群名片：新"),
        ),
        (
            "group_upload",
            {"group": 30001, "user": 10002},
            ("file", "group:30001", "10002", "共享文件 [文件.txt]"),
        ),
        ("offline_file", {"user": 10001}, ("file", "friend:10001", "10001", "共享文件 [文件.txt]")),
        ("friend_add", {"user": 10010}, ("friend", "friend:10010", "10010", "加为好友")),
        ("input_status", {"user": 10001}, ("typing", "friend:10001", "10001", "正在输入")),
        ("poke", {"user": 10001}, ("poke", "friend:10001", "10001", "戳一戳")),
        ("poke", {"user": 10002, "group": 30001}, ("poke", "group:30001", "10002", "戳一戳")),
        ("poke", {"user": 20001, "target": 10001}, ("poke", "friend:10001", "20001", "戳一戳")),
        ("friend_request", {"user": 10010}, ("request.friend", "", "10010", "请求加为好友：你好")),
        (
            "group_request",
            {"group": 30001, "user": 10010},
            ("request.group", "group:30001", "10010", "请求加入群"),
        ),
        (
            "group_request",
            {"group": 30009, "user": 10001, "sub_type": "invite", "comment": "来"},
            ("request.group", "group:30009", "10001", "邀请加入群：来"),
        ),
    ],
)
async def test_a_kind_has_a_type_a_chat_and_who_acted(
    kind: str, fields: dict[str, Any], expected: tuple[str, str, str, str]
) -> None:
    assert shown(decode(OneBotServer("llbot"), kind, **fields)) == expected


async def test_marks_and_reactions_name_the_message() -> None:
    server = OneBotServer("napcat")
    said = server.say("group:30001", "hi", sender=10002)["event"]["message_id"]
    essence = decode(server, "essence", message_id=said, operator=10001)
    assert (shown(essence)[:3], essence.data["message_id"]) == (
        ("essence", "group:30001", "10001"),
        str(said),
    )
    reaction = decode(server, "reaction", message_id=said, user=10002)
    assert shown(reaction)[:3] == ("reaction", "group:30001", "10002")
    assert reaction.data["likes"] == [{"emoji_id": "76", "count": 1}]
    assert reaction.data["is_add"] is True


@pytest.mark.parametrize("dialect", ALL)
async def test_a_request_keeps_its_flag_and_is_named_by_it(dialect: str) -> None:
    server = OneBotServer(dialect)
    event = server.notice("friend_request", user=10010)["event"]
    request = decode_notice(event)
    assert request.data == {"user_id": "10010", "comment": "你好", "flag": event["flag"]}
    assert request.message_id.startswith(":")
    group = decode(server, "group_request", group=30001, user=10010)
    assert (group.data["sub_type"], group.message_id[:4]) == ("add", "add:")


async def test_each_poke_and_each_typing_counts_and_copies_of_others_do_not() -> None:
    server = OneBotServer("napcat")
    assert decode(server, "poke", user=10001).ordinal == 0
    assert decode(server, "input_status", user=10001).ordinal == 0
    assert decode(server, "friend_add", user=10010).ordinal is None


@pytest.mark.parametrize(
    "frame",
    [
        {"post_type": "notice", "notice_type": "later"},
        {"post_type": "notice", "notice_type": ["poke"]},
        {"post_type": "notice", "notice_type": "notify", "sub_type": "honor", "user_id": 10001},
        {"post_type": "request", "request_type": "later"},
        {"post_type": "later", "notice_type": "friend_add"},
        {},
    ],
)
def test_an_unknown_notice_is_kept_whole(frame: dict[str, Any]) -> None:
    notice = decode_notice(frame)
    assert (notice.kind, notice.raw) == ("other", frame)


def test_ids_within_objects_are_text_and_deep_objects_are_left() -> None:
    deep: dict[str, Any] = {"user_id": 5}
    for _ in range(20):
        deep = {"deep": deep}
    frame = {"post_type": "notice", "notice_type": "group_upload", "group_id": 1, "user_id": 2}
    data = decode_notice(
        frame | {"file": {"id": "/x", "owner_id": 7, "busi_id": "1e", "size": 5}, **deep}
    ).data
    assert data["file"] == {"id": "/x", "owner_id": "7", "busi_id": "1e", "size": 5}
    assert decode_notice(frame).text == "共享文件"
