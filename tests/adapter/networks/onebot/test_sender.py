"""Sending: results of each dialect and fault, and the ways in which a private text could become public."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from adapter.content import At, File, Text
from adapter.events import Address, ChatKind, Outcome, Status
from adapter.networks.onebot.protocol.messages import NO_GROUP
from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.onebot_harness import Listener, limits, listening, send

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)
GROUP = Address(ChatKind.GROUP, "30001")
FRIEND = Address(ChatKind.FRIEND, "10001")
MEMBER = Address(ChatKind.TEMP, "10009", GROUP)
STRANGER = Address(ChatKind.TEMP, "10077", GROUP)


def shown(outcome: Outcome | None) -> tuple[str, str]:
    assert outcome is not None
    return outcome.status.value, outcome.code


def actions(server: OneBotServer, prefix: str = "send_") -> list[tuple[str, Any]]:
    return [
        (one.action, {name: value for name, value in one.params.items() if name != "message"})
        for one in server.record.actions.entries
        if one.action.startswith(prefix)
    ]


@pytest.mark.parametrize("dialect", ALL)
async def test_each_chat_is_reached_by_its_own_action(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path) as heard:
        for chat in (FRIEND, GROUP, MEMBER):
            assert shown(await send(heard.upstream, chat, Text("hi"))) == ("sent", "ok")
        received = [one.chat for one in await server.wait_received(3)]
        assert received == ["friend:10001", "group:30001", "temp:10009@group:30001"]
        assert actions(server) == [
            ("send_private_msg", {"user_id": 10001}),
            ("send_group_msg", {"group_id": 30001}),
            ("send_private_msg", {"user_id": 10009, "group_id": 30001}),
        ]


@pytest.mark.parametrize("dialect", ALL)
async def test_a_private_text_to_a_stranger_never_reaches_the_group(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path) as heard:
        assert shown(await send(heard.upstream, STRANGER, Text("secret"))) == ("failed", "target.unknown")
        assert actions(server) == []
        assert server.record.received.count == 0


async def test_a_member_who_has_left_is_asked_for_again(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("group:30001", "hi", sender=10009)
        await heard.heard(1)
        assert shown(await send(heard.upstream, MEMBER, Text("a"))) == ("sent", "ok")
        assert not [one for one in server.record.actions.entries if one.action == "get_group_member_info"]
        server.notice("group_decrease", group=30001, user=10009)
        await heard.noticed("member")
        assert shown(await send(heard.upstream, MEMBER, Text("secret"))) == ("failed", "target.unknown")
        assert [one.chat for one in server.record.received.entries] == ["temp:10009@group:30001"]


async def test_a_membership_that_is_not_answered_or_is_anothers_is_none(tmp_path: Path) -> None:
    quick = limits(call_seconds=0.2)
    async with OneBotServer("napcat") as server, listening(server, tmp_path, limits=quick) as heard:
        await heard.online()
        server.do.answer(
            "get_group_member_info",
            [{"reply": "never"}, {"answer": {"data": None}}, {"answer": {"data": {"user_id": 1}}}],
        )
        for _ in range(3):
            assert shown(await send(heard.upstream, MEMBER, Text("secret"))) == ("failed", "target.unknown")
        assert actions(server) == []


@pytest.mark.parametrize("dialect", ["napcat", "snowluma"])
async def test_a_session_whose_group_is_unknown_names_no_group(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("temp:10009@group:0", "hi")
        (message,) = await heard.heard(1)
        assert message.chat == Address(ChatKind.TEMP, "10009", NO_GROUP)
        server.state.remember_temp(10009, 30001)
        assert shown(await send(heard.upstream, message.chat, Text("secret"))) == ("sent", "ok")
        assert actions(server) == [("send_private_msg", {"user_id": 10009})]
        assert [one.chat for one in server.record.received.entries] == ["temp:10009@group:30001"]


@pytest.mark.parametrize(
    ("dialect", "fault", "expected"),
    [
        ("napcat", {"performs": False, "reply": "timeout"}, ("unknown", "upstream.maybe")),
        ("snowluma", {"reply": "timeout"}, ("unknown", "upstream.maybe")),
        ("napcat", {"reply": "never"}, ("unknown", "upstream.timeout")),
        ("napcat", {"reply": "reset"}, ("unknown", "upstream.lost")),
        ("napcat", {"reply": "half"}, ("unknown", "upstream.lost")),
        ("llbot", {"reply": "close"}, ("unknown", "upstream.lost")),
        ("napcat", {"frames": 3}, ("sent", "ok")),
        ("napcat", {"answer": {"status": "async", "retcode": 1, "data": None}}, ("sent", "ok")),
        ("napcat", {"answer": {"retcode": 1403, "status": "failed"}}, ("failed", "session.rejected")),
    ],
)
async def test_a_fault_has_its_result(
    dialect: str, fault: dict[str, Any], expected: tuple[str, str], tmp_path: Path
) -> None:
    quick = limits(call_seconds=0.3)
    async with OneBotServer(dialect) as server, listening(server, tmp_path, limits=quick) as heard:
        await heard.online()
        server.do.answer("send_private_msg", [fault])
        assert shown(await send(heard.upstream, FRIEND, Text("hi"))) == expected


async def muted(server: OneBotServer, heard: Listener) -> Outcome | None:
    server.notice("group_ban", group=30001, user=20001)
    return await send(heard.upstream, GROUP, Text("hi"))


@pytest.mark.parametrize("dialect", ALL)
async def test_a_refusal_bears_the_implementations_words(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path) as heard:
        outcome = await muted(server, heard)
        assert shown(outcome) == ("failed", "upstream.denied")
        assert outcome is not None
        assert "已被禁言" in outcome.detail


async def test_answers_out_of_order_find_their_messages(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.do.answer("send_private_msg", [{"delay": 0.3}])
        outcomes: dict[str, Outcome | None] = {}

        async def one(name: str, to: Address) -> None:
            outcomes[name] = await send(heard.upstream, to, Text(name))

        async with anyio.create_task_group() as tasks:
            for name, to in (("a", FRIEND), ("b", GROUP), ("c", GROUP)):
                tasks.start_soon(one, name, to)
        by_text = {one.text: str(one.message_id) for one in server.record.received.entries}
        assert {name: outcome and outcome.message_id for name, outcome in outcomes.items()} == by_text
        assert list(outcomes)[-1] == "a"


async def test_what_may_not_leave_does_not(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        assert await send(heard.upstream, FRIEND, Text("hi"), may_send=lambda: False) is None
        assert actions(server) == []


@pytest.mark.parametrize(
    ("dialect", "to", "segment", "code"),
    [
        ("napcat", FRIEND, At("10001"), "content.unsupported"),
        ("napcat", MEMBER, At("all"), "content.unsupported"),
        ("go-cqhttp", GROUP, File(file="file:///a"), "content.unsupported"),
        ("napcat", Address(ChatKind.DISCUSS, "5"), Text("hi"), "target.unknown"),
        ("napcat", Address(ChatKind.FRIEND, "x"), Text("hi"), "target.unknown"),
    ],
)
async def test_what_would_vanish_is_refused_before_the_wire(
    dialect: str, to: Address, segment: Any, code: str, tmp_path: Path
) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path) as heard:
        assert shown(await send(heard.upstream, to, segment)) == (Status.FAILED.value, code)
        assert actions(server) == []


async def test_text_that_looks_like_a_segment_is_text(tmp_path: Path) -> None:
    async with OneBotServer("go-cqhttp") as server, listening(server, tmp_path) as heard:
        line = '{"type":"at","data":{"qq":"all"}} {"type":"file",'
        assert shown(await send(heard.upstream, FRIEND, Text(line))) == ("sent", "ok")
        assert server.record.received.entries[0].text == line
