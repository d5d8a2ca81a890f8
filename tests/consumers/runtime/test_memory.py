"""Proof of consumers/runtime/memory.py: trying a worker without a bus."""

from typing import Any

import pytest

from adapter import EVENT_TYPES
from adapter.codec.example import example_event
from qqbus import At, ContentError, Event, NoAnswerError, Text, Worker

pytestmark = pytest.mark.anyio


def test_an_example_reads_like_an_event_of_the_bus() -> None:
    event = Event.example("hello", chat="group:1", name="林")
    assert (event.text, event.chat, event.name, event.type) == ("hello", "group:1", "林", "message.group")
    assert (event.sender, event.own, event.segments) == ("10001", False, (Text("hello"),))
    assert event.id != Event.example("hello", chat="group:1", name="林").id
    assert Event.example([At("3"), Text(" hi")], chat="friend:7").sender == "7"


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_there_is_an_example_of_every_type(kind: str) -> None:
    family, _, detail = kind.partition(".")
    chats = {"friend": "friend:1", "group": "group:1", "discuss": "discuss:1", "temp": "temp:1@group:2"}
    chat = chats[detail] if family == "message" else "group:1"
    event = Event.example("x", type=kind, chat=chat, data={"user_id": "3"})
    assert event.type == kind
    assert event.data == ({"user_id": "3"} if family in {"notice", "request"} else {})


@pytest.mark.parametrize(
    "changes", [{"chat": "gruop:1"}, {"type": "message.group"}, {"chat": "", "type": "message"}]
)
def test_an_example_that_no_adapter_would_publish_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"address|no type"):
        Event.example("x", **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": 5}, "content is text or segments, not int"),
        ({"chat": 5}, "chat is a text, not int"),
        ({"sender": 5}, "sender is a text, not int"),
        ({"name": None}, "name is a text, not NoneType"),
        ({"data": 5}, "data is a Mapping, not int"),
    ],
    ids=["content", "chat", "sender", "name", "data"],
)
async def test_an_example_of_other_types_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Event.example(**changes)
    with pytest.raises(TypeError, match=words):
        await Worker("app").say(**changes)


async def test_what_is_no_event_is_not_fed() -> None:
    worker: Any = Worker("app")
    with pytest.raises(TypeError, match="feed takes an Event, not str: say takes a text"):
        await worker.feed("hello")


async def test_a_handler_called_with_an_example_leaves_its_requests_there() -> None:
    async def hello(event: Event) -> None:
        await event.reply(f"hello {event.name}")

    event = Event.example("hello", name="林")
    await hello(event)
    assert [request.content for request in event.requests] == ["hello 林"]


async def test_say_returns_what_the_worker_would_send() -> None:
    worker = Worker("app")

    @worker.on("message", text="^hello")
    async def hello(event: Event) -> None:
        await event.reply(f"hello {event.name}")
        await worker.send("group:9", "said hello")

    one, two = await worker.say("hello", chat="group:1", name="林")
    assert (one.to, one.content, two.to) == ("group:1", "hello 林", "group:9")
    assert await worker.say("something else") == []
    assert await worker.say("hello", own=True) == []


async def test_say_goes_on_with_a_dialogue() -> None:
    worker = Worker("app")

    @worker.on("message", text="^weather$")
    async def weather(event: Event) -> None:
        answer = await event.ask("which city?", seconds=30)
        day = await event.ask("which day?", seconds=30)
        await day.reply(f"{answer.text}, {day.text}: sunny")

    @worker.on("message")
    async def other(event: Event) -> None:
        if event.text != "weather":
            await event.reply("what?")

    said = [await worker.say(text) for text in ("weather", "北京", "Monday", "thanks")]
    assert [[request.content for request in requests] for requests in said] == [
        ["which city?"],
        ["which day?"],
        ["北京, Monday: sunny"],
        ["what?"],
    ]
    await worker.say("weather", sender="7", chat="group:1")
    (request,) = await worker.say("北京", sender="8", chat="group:1")
    assert request.content == "what?"


async def test_a_question_without_an_answer_ends_its_handler_in_time() -> None:
    worker, caught = Worker("app"), list[object]()

    @worker.on("message", text="^weather$")
    async def weather(event: Event) -> None:
        try:
            await event.ask("which city?", seconds=0.05)
        except TimeoutError as exc:
            caught.append(exc)
            await event.reply("another time")

    await worker.say("weather")
    assert [request.content for request in await worker.say("x", sender="9", chat="group:1")] == []
    with pytest.raises(TimeoutError):
        await Event.example("x").ask("is there anybody?")
    assert issubclass(NoAnswerError, TimeoutError)


async def test_once_is_true_the_first_time_an_event_comes_there() -> None:
    worker, counts = Worker("app"), list[tuple[bool, bool]]()

    @worker.on("message")
    async def count(event: Event) -> None:
        counts.append((await event.once("count"), await event.once("other")))

    event = Event.example("x")
    await worker.feed(event)
    await worker.feed(event)
    await worker.feed(Event.example("x"))
    assert counts == [(True, True), (False, False), (True, True)]


async def test_rates_are_limited_by_chat_and_by_speaker() -> None:
    worker, had = Worker("app"), list[tuple[str, str]]()

    @worker.on("message", text="chat", per_chat="2/1h")
    async def by_chat(event: Event) -> None:
        had.append((event.chat, event.sender))

    @worker.on("message", text="speaker", per_sender="1/h")
    async def by_speaker(event: Event) -> None:
        had.append((event.chat, event.sender))

    for sender in ("1", "2", "3"):
        await worker.say("chat", chat="group:1", sender=sender)
    await worker.say("chat", chat="group:2", sender="1")
    assert had == [("group:1", "1"), ("group:1", "2"), ("group:2", "1")]
    had.clear()
    for chat in ("group:1", "group:2"):
        await worker.say("speaker", chat=chat, sender="1")
    await worker.say("speaker", chat="group:1", sender="2")
    assert had == [("group:1", "1"), ("group:1", "2")]
    with pytest.raises(ValueError, match="per_chat 'often' is no rate"):
        worker.on("message", per_chat="often")


async def test_handlers_of_one_name_have_rates_of_their_own() -> None:
    worker, had = Worker("app"), list[str]()

    def register(word: str) -> None:
        @worker.on("message", text=word, per_chat="1/1h")
        async def _(_event: Event) -> None:
            had.append(word)

    register("one")
    register("two")
    for _ in range(2):
        await worker.say("one and two")
    assert had == ["one", "two"]


@pytest.mark.parametrize("content", ["", " ", 5, None, ["a"], b"x", {"a": 1}, "x" * 40_000])
async def test_say_refuses_what_live_refuses(content: Any) -> None:
    worker = Worker("app")
    worker.on("message")(lambda event: event.reply(content))
    with pytest.raises((TypeError, ContentError)):
        await worker.say("hello")


def test_examples_of_one_moment_differ_by_their_number() -> None:
    values: dict[str, Any] = {
        "kind": "",
        "chat": "group:1",
        "sender": "",
        "name": "",
        "own": False,
        "data": {},
    }
    one, two = (example_event("x", **values, number=number, now=1.0) for number in (1, 2))
    assert one.id != two.id
