"""The OneBot server: sending, its traps, histories, requests, lists and files."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.onebot_client import OneBotClient, onebot_client

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)
LIVING = ("napcat", "llbot", "snowluma")


@pytest.mark.parametrize("dialect", ALL)
async def test_what_is_sent_reaches_its_chat_and_the_record(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        sent = await client.call(
            "send_group_msg", group_id="30001", message=[{"type": "text", "data": {"text": "[CQ:at,qq=all]"}}]
        )
        await client.call("send_private_msg", user_id=10001, message="a[CQ:face,id=14]&#91;")
        await client.call("send_private_msg", user_id=10001, message="a[CQ:face,id=14]", auto_escape=True)
        received = await server.wait_received(3)
        assert [(one.chat, one.text, one.form) for one in received] == [
            ("group:30001", "[CQ:at,qq=all]", "array"),
            ("friend:10001", "a[face][", "string"),
            ("friend:10001", "a[CQ:face,id=14]", "string"),
        ]
        assert received[0].message_id == sent["message_id"]
        actions = server.record.actions.entries
        assert [one.retcode for one in actions] == [0, 0, 0]
        assert [one.action for one in received] == [1, 2, 3]


SEND_MSG = {"user_id": 10001, "group_id": 30001, "message": "x"}


@pytest.mark.parametrize(
    ("dialect", "params", "chat"),
    [
        ("napcat", SEND_MSG, "group:30001"),
        ("go-cqhttp", SEND_MSG, "friend:10001"),
        ("snowluma", SEND_MSG | {"message_type": "private"}, "group:30001"),
        ("napcat", SEND_MSG | {"message_type": "private"}, "friend:10001"),
        ("llbot", SEND_MSG | {"message_type": "group"}, "group:30001"),
    ],
)
async def test_send_msg_with_both_ids_goes_where_the_dialect_sends_it(
    dialect: str, params: dict[str, Any], chat: str
) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        await client.call("send_msg", **params)
        assert (await server.wait_received(1))[0].chat == chat


@pytest.mark.parametrize("dialect", ALL)
async def test_a_private_text_to_an_unknown_user_becomes_public_in_napcat_alone(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        answer = await client.ask("send_private_msg", user_id=404, group_id=30001, message="secret")
        assert (answer["status"] == "ok") == (dialect == "napcat")
        assert [one.chat for one in server.record.received.entries] == (
            ["group:30001"] if dialect == "napcat" else []
        )
        known = await client.ask("get_group_member_info", group_id=30001, user_id=404)
        assert known["status"] == "failed"


@pytest.mark.parametrize("dialect", ALL)
async def test_temporary_sessions_are_answered_with_their_group_or_once_they_were_seen(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        assert (await client.ask("send_private_msg", user_id=10009, message="x"))["status"] == "failed"
        await client.call("send_private_msg", user_id=10009, group_id=30001, message="x")
        server.say("temp:10009@group:30001", "y")
        await client.call("send_private_msg", user_id=10009, message="z")
        assert [one.chat for one in await server.wait_received(2)] == ["temp:10009@group:30001"] * 2


async def test_segments_vanish_in_silence_and_a_message_of_none_fails() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        vanishing = [
            {"type": "at", "data": {"qq": "10001"}},
            {"type": "face", "data": {"id": "99999"}},
            {"type": "xml", "data": {"data": "<x/>"}},
            {"type": "reply", "data": {"id": "404"}},
            {"type": "nonsense", "data": None},
        ]
        assert (await client.ask("send_private_msg", user_id=10001, message=vanishing))["retcode"] == 1200
        await client.call(
            "send_private_msg", user_id=10001, message=[*vanishing, {"type": "text", "data": {"text": "x"}}]
        )
        assert [one["type"] for one in (await server.wait_received(1))[0].segments] == ["text"]


async def test_a_reply_to_a_message_that_a_restart_forgot_is_dropped() -> None:
    async with OneBotServer("napcat") as server:
        async with onebot_client(server.url) as client:
            server.say("friend:10001", "x")
            known = (await client.event())["message_id"]
            message = f"[CQ:reply,id={known}]y"
            await client.call("send_private_msg", user_id=10001, message=message)
        await server.do.restart()
        async with onebot_client(server.url) as client:
            await client.call("send_private_msg", user_id=10001, message=message)
            received = await server.wait_received(2)
            assert [[part["type"] for part in one.segments] for one in received] == [
                ["reply", "text"],
                ["text"],
            ]


# Histories


async def filled(server: OneBotServer, client: OneBotClient) -> list[dict[str, Any]]:
    """Say thirty messages in a group; return their events."""
    for n in range(30):
        server.say("group:30001", f"m{n}")
    return [await client.event() for _ in range(30)]


async def history(client: OneBotClient, **params: Any) -> list[int]:
    """Return the numbers of the messages of a history."""
    found = await client.call("get_group_msg_history", group_id=30001, **params)
    return [int(one["raw_message"][1:]) for one in found["messages"]]


async def test_the_history_of_napcat_is_anchored_by_message_id() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        anchor = (await filled(server, client))[10]["message_id"]
        assert await history(client, count=5) == [25, 26, 27, 28, 29]
        assert await history(client, count=5, reverse_order=True) == [25, 26, 27, 28, 29]
        assert await history(client, count=3, message_seq=anchor) == [10, 11, 12]
        assert await history(client, count=3, message_seq=anchor, reverse_order=True) == [8, 9, 10]
        answer = await client.ask("get_group_msg_history", group_id=30001, message_seq=1)
        assert answer["retcode"] == 1200


async def test_the_history_of_llbot_goes_back_from_a_sequence_number() -> None:
    async with OneBotServer("llbot") as server, onebot_client(server.url) as client:
        await filled(server, client)
        assert await history(client, count=3) == [27, 28, 29]
        assert await history(client, count=3, message_seq=11) == [8, 9, 10]


async def test_the_history_of_snowluma_is_anchored_by_a_signed_id() -> None:
    async with OneBotServer("snowluma") as server, onebot_client(server.url) as client:
        server.do.ids([-(n + 1) for n in range(30)])
        anchor = (await filled(server, client))[10]["message_id"]
        assert anchor == -11
        assert await history(client, count=3, message_id=anchor) == [8, 9, 10]
        assert await history(client, count=3) == [27, 28, 29]


async def test_the_history_of_snowluma_without_anchor_ends_at_what_it_has_seen() -> None:
    async with OneBotServer("snowluma") as server:
        server.say("group:30001", "m0")
        await server.do.down()
        server.say("group:30001", "m1")
        await server.do.up()
        async with onebot_client(server.url) as client:
            assert await history(client) == [0]


async def test_the_history_of_go_cqhttp_has_twenty_messages() -> None:
    async with OneBotServer("go-cqhttp") as server, onebot_client(server.url) as client:
        await filled(server, client)
        assert await history(client, count=3) == list(range(10, 30))
        assert await history(client, message_seq=25) == list(range(5, 25))


async def test_own_messages_and_those_of_a_down_time_are_in_the_history_others_are_not() -> None:
    async with OneBotServer("napcat") as server:
        async with onebot_client(server.url) as client:
            server.say("group:30001", "m0")
            recalled = server.say("group:30001", "m1")
            server.notice("recall", message_id=recalled["event"]["message_id"])
            await client.call("send_group_msg", group_id=30001, message="m2")
            server.do.offline()
            server.say("group:30001", "m3")
            server.do.online()
        await server.do.down()
        server.say("group:30001", "m4")
        await server.do.up()
        async with onebot_client(server.url) as client:
            assert await history(client) == [0, 2, 4]


# Requests, recalls, groups


@pytest.mark.parametrize("dialect", ALL)
async def test_requests_are_answered_by_their_flag_once(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        server.notice("friend_request", user=10010, comment="hi")
        flag = (await client.event())["flag"]
        assert (await client.ask("set_friend_add_request", flag="404"))["status"] == "failed"
        await client.call("set_friend_add_request", flag=flag, approve=True, remark="新人")
        assert server.world.friends[10010].remark == "新人"
        answer = await client.ask("set_friend_add_request", flag=flag)
        assert (answer["status"], answer["wording"]) == ("failed", "No such request")
        assert (await client.event())["notice_type"] == "friend_add"


@pytest.mark.parametrize("dialect", ALL)
async def test_group_requests_need_their_sub_type_in_go_cqhttp_alone(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        server.notice("group_request", group=30001, user=10010, sub_type="add")
        flag = (await client.event())["flag"]
        assert ("|" in flag) == (dialect == "llbot")
        pending = await client.call("get_group_system_msg")
        assert [one["request_id"] for one in pending["join_requests"]] == [flag]
        answer = await client.ask("set_group_add_request", flag=flag, approve=False, reason="no")
        assert (answer["status"] == "failed") == (dialect == "go-cqhttp")
        if dialect == "go-cqhttp":
            await client.call("set_group_add_request", flag=flag, sub_type="add", approve=False, reason="no")
        found = server.state.requests.all()[0]
        assert (found.answer, found.words) == ("denied", "no")
        assert 10010 not in server.world.groups[30001].members


async def test_messages_are_recalled_within_the_limits_of_time_and_rank() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.say("group:30001", "x")
        other = (await client.event())["message_id"]
        assert (await client.ask("delete_msg", message_id=other))["retcode"] == 1200
        server.do.role(30001, 20001, "admin")
        await client.call("delete_msg", message_id=other)
        assert (await client.event())["notice_type"] == "group_recall"
        sent = await client.call("send_private_msg", user_id=10001, message="y")
        server.do.options(recall_seconds=-1.0)
        assert (await client.ask("delete_msg", message_id=sent["message_id"]))["retcode"] == 1200
        assert (await client.ask("delete_msg", message_id=404))["retcode"] == 1200


async def test_managing_a_group_takes_a_rank_and_becomes_notices() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        params = {"group_id": 30001, "user_id": 10009}
        assert (await client.ask("set_group_ban", **params))["status"] == "failed"
        server.do.role(30001, 20001, "owner")
        actions: dict[str, dict[str, Any]] = {
            "set_group_ban": params,
            "set_group_whole_ban": {"group_id": 30001},
            "set_group_admin": params,
            "set_group_card": {**params, "card": "新"},
            "set_group_special_title": {**params, "special_title": "王"},
            "set_group_name": {"group_id": 30001, "group_name": "新"},
            "set_group_kick": params,
            "set_group_leave": {"group_id": 30001},
        }
        kinds = []
        for action, given in actions.items():
            await client.call(action, **given)
            event = await client.event()
            kinds.append(event.get("sub_type") if event["notice_type"] == "notify" else event["notice_type"])
        assert kinds == [
            "group_ban",
            "group_ban",
            "group_admin",
            "group_card",
            "title",
            "group_name",
            "group_decrease",
            "group_decrease",
        ]
        assert (await client.ask("send_group_msg", group_id=30001, message="x"))["status"] == "failed"


async def test_a_muted_account_cannot_send() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.notice("group_ban", group=30001, user=20001, operator=10001)
        assert (await client.ask("send_group_msg", group_id=30001, message="x"))["retcode"] == 1200


@pytest.mark.parametrize("dialect", ALL)
async def test_reactions_and_essence_are_events(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        server.say("group:30001", "x")
        known = (await client.event())["message_id"]
        await client.call("set_essence_msg", message_id=known)
        assert (await client.event())["notice_type"] == "essence"
        answer = await client.ask("set_msg_emoji_like", message_id=known, emoji_id="76")
        assert (answer["status"] == "ok") == (dialect in LIVING)


# Lists and files


async def test_napcat_tells_private_fields_of_friends_others_do_not() -> None:
    for dialect in ALL:
        async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
            friends = await client.call("get_friend_list")
            assert [one["user_id"] for one in friends] == [10001, 10002, 10003]
            assert ({"phone_num", "email", "birthday_day"} <= friends[0].keys()) == (dialect == "napcat")


async def test_nine_thousand_members_are_one_frame_of_megabytes() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.do.group(30009, members=9_000)
        members = await client.call("get_group_member_list", group_id=30009)
        assert len({one["user_id"] for one in members}) == 9_000
        groups = {one["group_id"]: one["member_count"] for one in await client.call("get_group_list")}
        assert groups[30009] == 9_000


async def fetch(url: str) -> tuple[int, bytes]:
    """Return status and body of an address."""
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, await answer.read()


async def test_a_picture_has_a_new_address_each_time_and_they_expire() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.say("friend:10001", message=[{"type": "image", "data": {"size": 3_000_000}}])
        event = await client.event()
        data = event["message"][0]["data"]
        again = (await client.call("get_msg", message_id=event["message_id"]))["message"][0]["data"]
        third = await client.call("get_image", file=data["file"])
        assert len({data["url"], again["url"], third["url"]}) == 3
        status, content = await fetch(data["url"])
        assert (status, len(content)) == (200, 3_000_000)
        assert hashlib.md5(content, usedforsecurity=False).hexdigest().upper() in data["file"]
        server.do.expire()
        assert (await fetch(data["url"]))[0] == 400


async def test_pictures_are_sent_as_base64_url_path_or_name(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        content = b"\x89PNG" + bytes(2_000)
        stored = server.state.pictures.store(content)
        path = tmp_path / "p.png"
        path.write_bytes(content)
        files = [
            "base64://" + base64.b64encode(content).decode(),
            server.state.pictures.url(stored.name),
            f"file://{path}",
            stored.name,
        ]
        for file in files:
            message = [{"type": "image", "data": {"file": file}}]
            await client.call("send_private_msg", user_id=10001, message=message)
        received = await server.wait_received(4)
        assert {one.segments[0]["data"]["file"] for one in received} == {stored.name}
        for file in ("base64://!", "file:///nowhere/p.png", "http://192.0.2.1/p.png", "nothing.png"):
            message = [{"type": "image", "data": {"file": file}}]
            answer = await client.ask("send_private_msg", user_id=10001, message=message)
            assert answer["retcode"] == 1200, file


async def test_a_file_is_streamed_in_several_frames_with_one_echo() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        stored = server.state.pictures.store(bytes(200_000))
        await client.send({"action": "download_file_stream", "params": {"file": stored.name}, "echo": "s"})
        frames = [await client.answers.get() for _ in range(6)]
        assert {one["echo"] for one in frames} == {"s"}
        assert [one["data"]["data_type"] for one in frames] == [
            "file_info",
            *["file_chunk"] * 4,
            "file_complete",
        ]
        assert [one["stream"] for one in frames] == ["stream-action"] * 5 + ["normal-action"]


async def test_a_file_is_uploaded_in_chunks_and_then_sent() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        for chunk in (b"first ", b"second"):
            data = base64.b64encode(chunk).decode()
            await client.call("upload_file_stream", stream_id="u", chunk_data=data, total_chunks=2)
        done = await client.call("upload_file_stream", stream_id="u", is_complete=True)
        assert done["file_size"] == 12
        await client.call("upload_group_file", group_id=30001, file=done["file_path"], name="a.txt")
        assert (await server.wait_received(1))[0].segments[0]["data"]["name"] == "a.txt"


async def test_forwarded_chats_are_sent_and_looked_up() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        nodes = [{"type": "node", "data": {"user_id": 1, "nickname": "a", "content": "x"}}]
        sent = await client.call("send_group_forward_msg", group_id=30001, messages=nodes)
        found = await client.call("get_forward_msg", message_id=sent["forward_id"])
        assert found["messages"] == nodes
        assert (await client.ask("get_forward_msg", message_id="404"))["status"] == "failed"
