"""The worker runtime without a server: filters, replies and their ids."""

from typing import Any

import msgpack
import pytest

from adapter import Face, Priority, Received, Text, read_event
from consumers.runtime.connection import Settings
from qqbus import At, ContentError, Event, Image, Worker, WorkerOptions
from tests.support.bus_events import Desk, fields, mapping, message, notice

pytestmark = pytest.mark.anyio

QUICK = WorkerOptions(claim_after=1.0, retry_delay=0.02, shutdown_timeout=5.0)


def received(text: str = "hello", chat: str = "group:2", sender: str = "3", *, own: bool = False) -> Received:
    return read_event("1-0", mapping(fields(message(text, chat, sender, own=own))))


def worker_at(desk: Desk, name: str = "app", options: WorkerOptions = QUICK, **more: Any) -> Worker:
    return Worker(name, options=options, settings=Settings(desk.url, desk.prefix), **more)


# --- without Redis -----------------------------------------------------------------------------


async def test_a_handler_gets_what_its_filters_let_through() -> None:
    worker, calls = Worker("app"), []

    def named(name: str) -> Any:
        async def handler(event: Event) -> None:
            calls.append((name, event.text))

        return handler

    worker.on()(named("all"))
    worker.on("message.group")(named("group"))
    worker.on("message", chat="friend:9", sender=["3", "4"])(named("chat and sender"))
    worker.on("message", text=r"^#(\w+)")(named("text"))
    worker.on("notice")(named("notice"))
    worker.on("message", own=True)(named("own"))
    await worker.feed(received("hello"))
    assert calls == [("all", "hello"), ("group", "hello"), ("own", "hello")]
    calls.clear()
    await worker.feed(received("#go", "friend:9", "4"))
    assert [name for name, _ in calls] == ["all", "chat and sender", "text", "own"]
    calls.clear()
    await worker.feed(received("mine", own=True))
    assert [name for name, _ in calls] == ["own"]
    calls.clear()
    await worker.feed(read_event("1-0", mapping(fields(notice()))))
    assert [name for name, _ in calls] == ["all", "notice"]


async def test_what_the_text_filter_found_is_in_the_event() -> None:
    worker = Worker("app")

    @worker.on("message", text=r"^#(\w+) (.*)")
    async def command(event: Event) -> None:
        assert event.match
        await event.reply(f"{event.match[2]} {event.match[1]}")

    (request,) = await worker.feed(received("#one two"))
    assert request.content == "two one"


async def test_replies_carry_ids_made_from_the_event_and_its_id_as_cause() -> None:
    worker = Worker("app")

    @worker.on("message")
    async def twice(event: Event) -> None:
        await event.reply("one")
        await event.reply((Text("two"), Face(14, "微笑")), expires=60, priority=Priority.HIGH)

    event = received()
    one, two = await worker.feed(event)
    assert (one.to, one.id, one.cause) == ("group:2", f"app/{event.id}", event.id)
    assert two.id == f"app/{event.id}/2"
    values = mapping(two.fields())
    body = msgpack.unpackb(values[b"body"])
    assert body["segments"][1] == {"type": "face", "data": {"id": 14, "name": "微笑"}}
    assert (values[b"expires"], values[b"priority"]) == (b"60", b"high")
    assert await worker.feed(event) == [one, two]


@pytest.mark.parametrize("name", ["", "adapter", "a" * 41, "a b", "a/b", "中"])
def test_a_name_that_cannot_be_a_group_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name an application"):
        Worker(name)


async def test_an_event_of_no_chat_cannot_be_answered() -> None:
    worker = Worker("app")
    worker.on()(lambda event: event.reply("x"))
    with pytest.raises(ValueError, match="belongs to no chat"):
        await worker.feed(read_event("1-0", mapping(fields(message())) | {b"chat": b""}))


# --- operations --------------------------------------------------------------------------------


def asked(kind: str = "request.friend", chat: str = "friend:3") -> Received:
    return read_event("1-0", mapping(fields(notice(kind, chat))))


async def test_requests_are_approved_denied_and_messages_recalled_under_stable_ids() -> None:
    worker = Worker("app")

    @worker.on("request.friend")
    async def approve(event: Event) -> None:
        await event.approve("小林")

    @worker.on("request.group")
    async def deny(event: Event) -> None:
        await event.deny("not now")

    @worker.on("message", text="spam")
    async def recall(event: Event) -> None:
        await event.recall()
        await event.reply("no spam")

    friend, group, spam = asked(), asked("request.group", "group:2"), received("spam")
    (request,) = await worker.feed(friend)
    assert (request.op, request.event, request.content, request.to) == ("approve", friend.id, "小林", "")
    (request,) = await worker.feed(group)
    assert (request.op, request.event, request.content) == ("deny", group.id, "not now")
    request, answer = await worker.feed(spam)
    assert (request.op, request.to, request.message_id) == ("recall", "group:2", spam.message_id)
    assert (request.id, answer.id) == (f"app/{spam.id}", f"app/{spam.id}/2")


async def test_only_requests_can_be_approved() -> None:
    worker = Worker("app")
    worker.on()(lambda event: event.approve())
    with pytest.raises(ValueError, match="is no request"):
        await worker.feed(received())


async def test_segments_arrive_typed_and_leave_in_a_list() -> None:
    worker = Worker("app")

    @worker.on("message")
    async def look(event: Event) -> None:
        assert isinstance(event.segments[0], At)
        await event.reply([At(event.sender), Text("look: "), Image(url="https://example.org/a.png")])

    said = read_event("1-0", mapping(fields(message((At("10001"), Text("hi"))))))
    (request,) = await worker.feed(said)
    body = msgpack.unpackb(mapping(request.fields())[b"body"])
    assert body["segments"] == [
        {"type": "at", "data": {"qq": "3"}},
        {"type": "text", "data": {"text": "look: "}},
        {"type": "image", "data": {"url": "https://example.org/a.png"}},
    ]


@pytest.mark.parametrize("content", ["", 5, None, ["a"], "x" * 40_000])
async def test_feed_refuses_what_live_refuses(content: Any) -> None:
    worker = Worker("app")
    worker.on("message")(lambda event: event.reply(content))
    with pytest.raises((TypeError, ContentError)):
        await worker.feed(received())
