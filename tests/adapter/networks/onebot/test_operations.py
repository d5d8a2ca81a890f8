"""Operations: recalls, answers to requests, calls, and what is refused before the wire."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from adapter.content import Text
from adapter.events import Address, AnswerRequest, CallAction, ChatKind, EventRef, Notice, Outcome, Recall
from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.onebot_harness import limits, listening, send

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)
GROUP = Address(ChatKind.GROUP, "30001")


def yes() -> bool:
    return True


def shown(outcome: Outcome | None) -> tuple[str, str]:
    assert outcome is not None
    return outcome.status.value, outcome.code


def ref(notice: Notice) -> EventRef:
    return EventRef("", notice.chat, notice.sender, notice.message_id, notice.time or 0.0)


@pytest.mark.parametrize("dialect", ALL)
async def test_a_message_is_recalled_by_the_id_of_its_result(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path) as heard:
        sent = await send(heard.upstream, GROUP, Text("hi"))
        assert sent is not None
        assert shown(await heard.upstream.perform(Recall(sent.message_id), yes)) == ("sent", "ok")
        said = server.state.messages.find(int(sent.message_id))
        assert said is not None
        assert said.is_recalled
        assert shown(await heard.upstream.perform(Recall("5"), yes)) == ("failed", "upstream.denied")
        assert shown(await heard.upstream.perform(Recall("x"), yes)) == ("failed", "content.unsupported")


@pytest.mark.parametrize("dialect", ALL)
async def test_requests_are_answered_by_their_event(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.notice("friend_request", user=10010)
        server.notice("group_request", group=30001, user=10011)
        server.notice("group_request", group=30009, user=10001, sub_type="invite")
        (friend,) = await heard.noticed("request.friend")
        join, invite = await heard.noticed("request.group", 2)
        for notice, is_approved in ((friend, True), (join, False), (invite, True)):
            operation = AnswerRequest(ref(notice), is_approved, "words")
            assert shown(await heard.upstream.perform(operation, yes)) == ("sent", "ok")
        assert [(one.kind, one.sub_type, one.answer, one.words) for one in server.state.requests.all()] == [
            *(("friend", "", "approved", "words"), ("group", "add", "denied", "words")),
            ("group", "invite", "approved", "words"),
        ]
        again = await heard.upstream.perform(AnswerRequest(ref(friend), is_approved=True), yes)
        assert shown(again) == ("failed", "upstream.denied")


async def test_a_request_is_not_answered_at_once(tmp_path: Path) -> None:
    slow = limits(answer_request_seconds=1.0)
    async with OneBotServer("napcat") as server, listening(server, tmp_path, limits=slow) as heard:
        await heard.online()
        came = time.time()
        server.notice("friend_request", user=10010)
        (friend,) = await heard.noticed("request.friend")
        await heard.upstream.perform(AnswerRequest(ref(friend), is_approved=True), yes)
        (answered,) = await server.wait_actions("set_friend_add_request")
        assert answered.time - came >= 1.0


async def test_an_event_that_is_no_request_is_refused(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await heard.online()
        for event in (EventRef("", GROUP, "1", "5", 0.0), EventRef("", None, "1", "add:5", 0.0)):
            outcome = await heard.upstream.perform(AnswerRequest(event, is_approved=True), yes)
            assert shown(outcome) == ("failed", "content.unsupported")


async def test_a_call_brings_the_answer(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await heard.online()
        outcome = await heard.upstream.perform(CallAction("get_group_info", {"group_id": 30001}), yes)
        assert outcome is not None
        assert json.loads(outcome.data)["group_name"] == "茶馆"
        unknown = await heard.upstream.perform(CallAction("get_moon"), yes)
        assert shown(unknown) == ("failed", "content.unsupported")
        server.do.group(30009, members=5_000)
        large = await heard.upstream.perform(CallAction("get_group_member_list", {"group_id": 30009}), yes)
        assert large is not None
        assert (shown(large), large.data, "over the limit" in large.detail) == (("sent", "ok"), "", True)


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("send_msg", {"user_id": 10077, "group_id": 30001, "message": "secret"}),
        ("send_msg_async", {"user_id": 10077, "group_id": 30001, "message": "secret"}),
        ("send_private_msg", {"user_id": 10077, "group_id": 30001, "message": "secret"}),
        ("send_private_msg_rate_limited", {"user_id": 10077, "group_id": "30001", "message": "secret"}),
        ("send_private_forward_msg", {"user_id": 10077, "group_id": 30001, "messages": ["secret"]}),
        ("../send_msg", {}),
        ("", {}),
    ],
)
async def test_a_call_by_which_a_private_text_could_become_public_is_refused(
    action: str, params: dict[str, Any], tmp_path: Path
) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await heard.online()
        outcome = await heard.upstream.perform(CallAction(action, params), yes)
        assert shown(outcome) == ("failed", "content.unsupported")
        assert server.record.received.count == 0


async def test_an_answer_that_does_not_come_is_unknown_and_what_may_not_leave_does_not(
    tmp_path: Path,
) -> None:
    quick = limits(call_seconds=0.2)
    async with OneBotServer("napcat") as server, listening(server, tmp_path, limits=quick) as heard:
        await heard.online()
        server.do.answer("set_group_name", [{"reply": "never"}, {"reply": "reset"}])
        call = CallAction("set_group_name", {"group_id": 30001, "group_name": "x"})
        assert shown(await heard.upstream.perform(call, yes)) == ("unknown", "upstream.timeout")
        assert shown(await heard.upstream.perform(call, yes)) == ("unknown", "upstream.lost")
        assert await heard.upstream.perform(call, lambda: False) is None
        await heard.online(2)
        assert await heard.upstream.perform(call, lambda: False) is None


async def test_only_calls_that_change_something_are_paced(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        event = EventRef("", None, "1", ":5", 0.0)
        paced = [
            heard.upstream.is_paced(one)
            for one in (
                CallAction("send_like"),
                CallAction("get_status"),
                Recall("1"),
                AnswerRequest(event, True),
            )
        ]
        assert paced == [True, False, False, False]
