"""Sending against the official server: anchors, repeats, refusals, pictures."""

from pathlib import Path

import pytest

from adapter.content import At, Image, Markdown, Text
from adapter.errors import SchemaError
from adapter.events import Address, ChatKind, Message, Outcome, Part, Status
from adapter.networks.official.protocol.keys import sequence_of
from tests.official_server import Answer, OfficialServer
from tests.support.official_harness import Listener, friend, group, limits, listening, send

pytestmark = pytest.mark.anyio


def event_id(server: OfficialServer, message: Message, chat: str = "-") -> str:
    """Return an id as the bus gives it to a message."""
    return f"{server.appid}.{chat}.1.{message.key}.1.0000"


async def spoken(server: OfficialServer, heard: Listener, chat: str, text: str, **fields: object) -> Message:
    """Let a person speak; return the message."""
    before = len(heard.of(Message))
    server.say(chat, text, **fields)  # type: ignore[arg-type]
    return (await heard.heard(before + 1))[before]


async def test_an_answer_takes_the_message_that_it_answers(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        first = await spoken(server, heard, "group:lab", "one", sender="ann", at=True)
        second = await spoken(server, heard, "group:lab", "two", sender="bob", at=True)
        other = await spoken(server, heard, "friend:ann", "private")
        chat = group(server, "lab")
        for answers in (event_id(server, first), "", "job-7", event_id(server, other)):
            outcome = await send(heard.upstream, chat, Text("re"), answers=answers)
            assert outcome is not None
            assert outcome.status is Status.SENT
        anchors = [one.anchor for one in await server.wait_received(4)]
        assert anchors == [first.message_id, *[second.message_id] * 3]


async def test_an_answer_to_an_unknown_event_of_the_chat_borrows_no_message(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        await spoken(server, heard, "friend:ann", "hi")
        chat = friend(server, "ann")
        stable = next(iter(heard.upstream._book._openids))  # noqa: SLF001
        await send(heard.upstream, chat, Text("re"), answers=f"{server.appid}.f{stable}.1.{'0' * 16}.1.0000")
        (received,) = await server.wait_received(1)
        assert received.anchor == ""


async def test_a_notice_is_answered_by_its_event_id(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        added = server.notify("GROUP_ADD_ROBOT", "group:lab", sender="ann")
        friend_added = server.notify("FRIEND_ADD", "friend:ann")
        server.notify("GROUP_MSG_REJECT", "group:lab", sender="ann")
        await heard.noticed("group", 2)
        await send(heard.upstream, group(server, "lab"), Text("hello"))
        await send(heard.upstream, friend(server, "ann"), Text("hello"))
        anchors = [one.anchor for one in await server.wait_received(2)]
        assert anchors == [added.event_id, friend_added.event_id]
        assert "event_id" in server.record.received[0].raw


async def test_after_the_window_one_message_speaks_first_and_the_anchor_is_struck_out(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        message = await spoken(server, heard, "friend:ann", "hi")
        server.advance(3_700.0)
        outcome = await send(heard.upstream, message.chat, Text("late"), answers=event_id(server, message))
        assert outcome is not None
        assert outcome.status is Status.SENT
        posts = [one for one in server.record.requests if one.endpoint == "send"]
        assert [one.code for one in posts] == [40034005, 0]
        assert not {"msg_id", "event_id", "msg_seq"} & posts[1].body.keys()
        await send(heard.upstream, message.chat, Text("later"), answers=event_id(server, message))
        assert [one.code for one in server.record.requests if one.endpoint == "send"] == [40034005, 0, 0]


async def test_a_group_that_allows_no_first_word_has_both_codes_in_the_detail(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        message = await spoken(server, heard, "group:lab", "hi", sender="ann", at=True)
        server.advance(400.0)
        outcome = await send(heard.upstream, message.chat, Text("late"), answers=event_id(server, message))
        assert outcome is not None
        assert (outcome.status, outcome.code) == (Status.FAILED, "upstream.denied")
        assert "304103" in outcome.detail
        assert "40034105" in outcome.detail
        assert [one.endpoint for one in server.record.requests].count("send") == 2


async def test_a_repeated_part_reaches_the_chat_once_even_by_another_process(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        async with listening(server, tmp_path) as heard:
            await heard.online()
            message = await spoken(server, heard, "friend:ann", "hi")
            (part,) = heard.upstream.split((Text("once"),), None)
            server.next_answer("send", Answer(cut="after"))
            lost = await heard.upstream.send(message.chat, part, may_send=lambda: True)
            assert lost is not None
            assert (lost.status, lost.code) == (Status.UNKNOWN, "upstream.lost")
            await spoken(server, heard, "friend:ann", "a newer anchor")
        async with listening(server, tmp_path) as heard:
            await heard.upstream.connected()
            again = await heard.upstream.send(message.chat, part, may_send=lambda: True)
            assert again is not None
            assert (again.status, again.code) == (Status.SENT, "ok")
            assert "40054005" in again.detail
        (received,) = server.record.received
        assert (received.text, received.msg_seq) == ("once", sequence_of(part.message_id))


async def test_a_number_that_another_part_has_is_no_repeat(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        message = await spoken(server, heard, "friend:ann", "hi")
        (part,) = heard.upstream.split((Text("two"),), None)
        seq = sequence_of(part.message_id)
        server._service.anchors[message.message_id].seqs.add(seq)  # noqa: SLF001
        outcome = await heard.upstream.send(message.chat, part, may_send=lambda: True)
        assert outcome is not None
        assert outcome.status is Status.SENT
        assert server.record.received[0].msg_seq == seq + 1


async def test_nothing_leaves_when_it_may_not(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        chat = friend(server, "ann")
        assert await send(heard.upstream, chat, Text("x"), may_send=lambda: False) is None
        (picture,) = heard.upstream.split((Image(file="https://example.org/a.png"),), None)
        assert await heard.upstream.send(chat, picture, may_send=lambda: False) is None
        assert not any(one.endpoint in {"send", "upload"} for one in server.record.requests)
        await heard.upstream.logout()
        await server.wait(lambda: not server.is_connected, "the connection is closed", 20.0)
        assert await heard.upstream.send(chat, picture, may_send=lambda: True) is None


async def test_an_address_that_was_never_met_is_not_asked_for(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        for address in (
            Address(ChatKind.FRIEND, "123456"),
            Address(ChatKind.DISCUSS, "A" * 32),
            Address(ChatKind.TEMP, "A" * 32, Address(ChatKind.GROUP, "B" * 32)),
        ):
            outcome = await send(heard.upstream, address, Text("x"))
            assert outcome is not None
            assert (outcome.status, outcome.code) == (Status.FAILED, "target.unknown")
        assert not any(one.endpoint == "send" for one in server.record.requests)


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (Answer(code=40034006), "failed", "upstream.denied"),
        (Answer(code=40054002), "failed", "upstream.denied"),
        (Answer(status=404, body=b"404 page not found"), "failed", "upstream.denied"),
        (Answer(code=40054003), "failed", "target.unknown"),
        (Answer(code=40054007), "failed", "content.unsupported"),
        (Answer(code=11298), "failed", "session.rejected"),
        (Answer(code=304023), "unknown", "upstream.maybe"),
        (Answer(code=50055001), "unknown", "upstream.maybe"),
        (Answer(status=502, body=b"<html>"), "unknown", "upstream.maybe"),
        (Answer(status=200, json={}), "unknown", "upstream.maybe"),
        (Answer(cut="body"), "unknown", "upstream.lost"),
        (Answer(delay=5.0), "unknown", "upstream.timeout"),
        (Answer(status=200, json={"code": 40054013, "message": "x"}), "failed", "upstream.denied"),
    ],
)
async def test_each_answer_has_its_result(answer: Answer, status: str, code: str, tmp_path: Path) -> None:
    quick = limits(call_seconds=0.5 if answer.delay else 20.0)
    async with OfficialServer() as server, listening(server, tmp_path, limits=quick) as heard:
        await heard.online()
        server.next_answer("send", answer)
        outcome = await send(heard.upstream, friend(server, "ann"), Text("x"))
        assert outcome is not None
        assert (outcome.status.value, outcome.code) == (status, code)
        assert [one.endpoint for one in server.record.requests].count("send") <= 1


@pytest.mark.parametrize("answer", [Answer(status=429), Answer(code=304018), Answer(code=11244)])
async def test_what_was_certainly_not_delivered_is_repeated_once(answer: Answer, tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.next_answer("send", answer)
        outcome = await send(heard.upstream, friend(server, "ann"), Text("x"))
        assert outcome is not None
        assert outcome.status is Status.SENT
        server.next_answer("send", answer, answer)
        outcome = await send(heard.upstream, friend(server, "ann"), Text("x"))
        assert outcome is not None
        assert outcome.status is Status.FAILED
        assert len(server.record.received) == 1


async def test_a_picture_is_uploaded_by_its_address(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        chat = friend(server, "ann")
        parts = heard.upstream.split((Text("look:"), Image(file="https://example.org/a.png")), None)
        for part in parts:
            await heard.upstream.send(chat, part, may_send=lambda: True)
        text, picture = await server.wait_received(2)
        assert (text.text, picture.msg_type) == ("look:", 7)
        assert picture.media is not None
        server.next_answer("upload", Answer(code=850026))
        (part,) = heard.upstream.split((Image(file="https://example.org/b.png"),), None)
        refused = await heard.upstream.send(chat, part, may_send=lambda: True)
        assert refused is not None
        assert (refused.status, refused.code) == (Status.FAILED, "content.unsupported")
        server.next_answer("upload", Answer(cut="after"))
        refused = await heard.upstream.send(chat, part, may_send=lambda: True)
        assert refused is not None
        assert (refused.status, refused.code) == (Status.FAILED, "upstream.denied")


async def test_what_cannot_be_sent_is_named(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        for segment in (Image(file="base64://AAAA"), Markdown("*x*"), At("12345"), At("all")):
            with pytest.raises(SchemaError) as caught:
                heard.upstream.split((segment,), None)
            assert caught.value.code == "content.unsupported"


async def test_messages_that_speak_first_are_paced_and_answers_are_not(tmp_path: Path) -> None:
    slow = limits(proactive_seconds=30.0, proactive_chat_seconds=60.0)
    async with OfficialServer() as server, listening(server, tmp_path, limits=slow) as heard:
        await heard.online()
        message = await spoken(server, heard, "friend:ann", "hi")
        other = friend(server, "bob")
        server.say("friend:bob", "x")
        await heard.heard(2)
        unmet = Address(ChatKind.FRIEND, "C" * 32)
        assert heard.upstream.is_due(unmet, "")
        heard.upstream._sender._pacer.reserve(unmet)  # noqa: SLF001
        assert not heard.upstream.is_due(unmet, "")
        assert heard.upstream.is_due(message.chat, "")
        assert heard.upstream.is_due(other, "")


async def test_a_lost_connection_to_the_api_is_no_outcome(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        (part,) = heard.upstream.split((Text("x"),), None)
        api = heard.upstream._api  # noqa: SLF001
        origin, api._origin = api._origin, "http://127.0.0.1:9"  # noqa: SLF001
        assert await heard.upstream.send(friend(server, "ann"), part, may_send=lambda: True) is None
        api._origin = origin  # noqa: SLF001
        outcome = await heard.upstream.send(friend(server, "ann"), part, may_send=lambda: True)
        assert outcome == Outcome(Status.SENT, "ok", "", server.record.received[0].id)


async def test_parts_of_one_request_have_different_numbers(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        parts: tuple[Part, ...] = heard.upstream.split((Text("字" * 11_000),), None)
        assert len(parts) == 3
        assert len({sequence_of(part.message_id) for part in parts}) == 3
