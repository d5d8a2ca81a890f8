"""The webhook: signed, patient, in order for each chat."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumers.webhook import replies, signature
from tests.support.bus_events import desk_at, message, notice, program
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


@dataclass
class Receiver:
    """An HTTP endpoint that keeps what it was posted."""

    port: int
    status: int = 200
    answer: bytes = b""
    headers: str = ""
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def texts(self) -> list[str]:
        return [json.loads(body)["text"] for _, body in self.posts]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.posts.append((headers, body))
        writer.write(
            f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(self.answer)}\r\n"
            f"{self.headers}Connection: close\r\n\r\n".encode()
        )
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@dataclass
class Ailing(Receiver):
    """The same, but while it is down it resets, says 503, or breaks off its answer, in turn."""

    down: bool = True
    refused: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the first refused attempt to the last."""
        return self.refused[-1] - self.refused[0] if self.refused else 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.down:
            await super()._serve(reader, writer)
            return
        self.refused.append(time.monotonic())
        if len(self.refused) % 3:
            broken = b"HTTP/1.1 200 OK\r\nContent-Le"
            refusal = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            await reader.readuntil(b"\r\n\r\n")
            writer.write(refusal if len(self.refused) % 3 == 1 else broken)
            writer.close()
        else:
            writer.transport.abort()


async def test_a_post_is_signed_and_its_answer_is_sent(redis_url: str, prefix: str) -> None:
    receiver = Receiver(free_port(), answer=json.dumps({"reply": ["one [微笑]", "two"]}).encode())
    line = ("-m", "consumers.webhook", receiver.url)
    async with (
        desk_at(redis_url, prefix) as desk,
        receiver.listening(),
        program(desk, *line, QQBUS_WEBHOOK_SECRET="s3"),
    ):
        said = message("hello 中文")
        await desk.publish(said, notice("shake"), message("mine", own=True))
        await wait_until(lambda: desk.all_done("webhook"), "all acknowledged")
        ((headers, body),) = receiver.posts
        assert headers["x-qqbus-signature"] == signature(b"s3", headers["x-qqbus-timestamp"], body)
        assert headers["x-qqbus-id"] == said.id
        value = json.loads(body)
        assert (value["text"], value["chat"], value["self"]) == ("hello 中文", "group:2", False)
        assert value["body"]["segments"] == [{"type": "text", "data": {"text": "hello 中文"}}]
        rows = [(row["id"].decode(), row["text"].decode()) for row in await desk.rows("outbound")]
        assert rows == [(f"webhook/{said.id}", "one [微笑]"), (f"webhook/{said.id}/2", "two")]


@pytest.mark.long
async def test_an_endpoint_that_is_down_or_failing_costs_neither_an_event_nor_their_order(
    redis_url: str, prefix: str
) -> None:
    receiver = Receiver(free_port(), status=503)
    line = ("-m", "consumers.webhook", receiver.url)
    async with desk_at(redis_url, prefix) as desk:
        drafts = [message(f"{n} {chat}", f"group:{chat}") for n in range(6) for chat in (1, 2, 3)]
        await desk.publish(*drafts[:9])
        async with program(desk, *line, QQBUS_WEBHOOK_SECRET="s3") as hook:
            await wait_until(lambda: desk.has_group("webhook"), "reading")
            async with receiver.listening():
                await wait_until(lambda: len(receiver.posts) >= 3, "failed posts", 20)
            # Down for a while, and the worker restarted meanwhile: what is in hand is given back.
            await desk.publish(*drafts[9:])
            hook.terminate()
            assert await hook.ended(30) == 0
        receiver.status = 200
        receiver.posts.clear()
        async with program(desk, *line, QQBUS_WEBHOOK_SECRET="s3"), receiver.listening():
            await wait_until(lambda: desk.all_done("webhook"), "all acknowledged", 30)
        for chat in (1, 2, 3):
            mine = [text for text in receiver.texts if text.endswith(f" {chat}")]
            assert mine == [f"{n} {chat}" for n in range(6)]
        assert await desk.rows("dead") == []


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_a_minute_without_an_endpoint_costs_nothing_and_keeps_every_chat_in_order(
    redis_url: str, prefix: str
) -> None:
    receiver = Ailing(free_port(), answer=b'{"reply": "taken"}', down=False)
    line = ("-m", "consumers.webhook", receiver.url)
    chats = [f"group:{n}" for n in range(1, 6)]
    drafts = [message(f"{n} {chat}", chat) for n in range(12) for chat in chats]
    async with desk_at(redis_url, prefix) as desk, program(desk, *line, QQBUS_WEBHOOK_SECRET="s3"):
        await desk.publish(*drafts[:15])
        async with receiver.listening():
            await wait_until(lambda: len(receiver.posts) == 15, "the first are taken", 20)
        # Nobody listens at first; then somebody does who cannot serve, and people go on talking.
        receiver.down = True
        await desk.publish(*drafts[15:30])
        await wait_until(lambda: desk.pending("webhook"), "some are in hand")
        async with receiver.listening():
            await wait_until(lambda: len(receiver.refused) > 10, "attempts while it is down", 30)
            await desk.publish(*drafts[30:])
            await wait_until(lambda: receiver.seconds >= 60, "an attempt a minute after the first", 120)
            assert len(receiver.posts) == 15
            receiver.down = False
            await wait_until(lambda: desk.all_done("webhook"), "all acknowledged", 60)
        for headers, body in receiver.posts:
            moment = headers["x-qqbus-timestamp"]
            assert headers["x-qqbus-signature"] == signature(b"s3", moment, body)
        # What is posted after an hour must not look an hour old: each attempt is signed anew.
        said, late = int(receiver.posts[0][0]["x-qqbus-timestamp"]), receiver.posts[15:]
        assert all(int(headers["x-qqbus-timestamp"]) >= said + 59 for headers, _ in late)
        assert [headers["x-qqbus-id"] for headers, _ in receiver.posts] == list(
            dict.fromkeys(headers["x-qqbus-id"] for headers, _ in receiver.posts)
        )
        answers = [(row["to"].decode(), row["cause"].decode()) for row in await desk.rows("outbound")]
        for chat in chats:
            mine = [draft for draft in drafts if draft.chat == chat]
            assert [text for text in receiver.texts if text.endswith(f" {chat}")] == [
                draft.text for draft in mine
            ]
            assert [cause for to, cause in answers if to == chat] == [draft.id for draft in mine]
        assert await desk.rows("dead") == []


async def test_what_the_endpoint_refuses_for_good_goes_to_the_dead_letters(
    redis_url: str, prefix: str
) -> None:
    receiver = Receiver(free_port(), status=422)
    async with (
        desk_at(redis_url, prefix) as desk,
        receiver.listening(),
        program(desk, "-m", "consumers.webhook", receiver.url, QQBUS_WEBHOOK_SECRET="s3"),
    ):
        await desk.publish(message())
        await wait_until(lambda: desk.rows("dead"), "a dead letter")
        (letter,) = await desk.rows("dead")
        assert (letter["reason"], len(receiver.posts)) == (b"refused", 1)
        assert b"HTTP 422" in letter["detail"]


async def test_without_a_secret_it_does_not_start(redis_url: str, prefix: str) -> None:
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, "-m", "consumers.webhook", "http://127.0.0.1:9/") as hook,
    ):
        assert await hook.ended() == 2
        assert "QQBUS_WEBHOOK_SECRET is not set" in hook.output


@pytest.mark.parametrize(
    ("answer", "texts"),
    [
        (b"", []),
        (b"ok", []),
        (b"\xff", []),
        (b"[]", []),
        (b"{}", []),
        (b'{"reply": null}', []),
        (b'{"reply": " "}', []),
        (b'{"reply": "x"}', ["x"]),
        (b'{"reply": ["x", 1, "y"]}', ["x", "y"]),
    ],
)
def test_an_answer_is_a_reply_only_where_it_says_so(answer: bytes, texts: Any) -> None:
    assert replies(answer) == texts


SECRET = "TOPSECRET"


def secret_url(receiver: Receiver) -> str:
    return f"http://user:{SECRET}@127.0.0.1:{receiver.port}/hook/{SECRET}?access_token={SECRET}"


async def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(redis_url: str, prefix: str) -> None:
    receiver = Receiver(free_port())
    line = ("-m", "consumers.webhook", secret_url(receiver))
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, *line, QQBUS_WEBHOOK_SECRET="s3") as hook,
    ):
        await desk.publish(message("one"), message("two", "group:3"))
        await wait_until(lambda: "does not take events" in hook.output, "a warning", 20)
        async with receiver.listening():
            await wait_until(lambda: desk.all_done("webhook"), "all acknowledged", 40)
            await wait_until(lambda: "takes events again" in hook.output, "the word that it is over", 20)
        assert hook.output.count("does not take events") == 1
        assert f"http://127.0.0.1:{receiver.port}/…" in hook.output
        assert SECRET not in hook.output


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (
            301,
            "Location: https://other.example/hook?token=TOPSECRET\r\n",
            "redirects to https://other.example/…",
        ),
        (307, "Location: /x\r\n", "give that address itself"),
        (503, "", "HTTP 503"),
    ],
)
async def test_why_an_endpoint_does_not_take_events_is_named(
    redis_url: str, prefix: str, status: int, headers: str, words: str
) -> None:
    receiver = Receiver(free_port(), status=status, headers=headers)
    line = ("-m", "consumers.webhook", secret_url(receiver))
    async with (
        desk_at(redis_url, prefix) as desk,
        receiver.listening(),
        program(desk, *line, QQBUS_WEBHOOK_SECRET="s3") as hook,
    ):
        await desk.publish(message("one"))
        await wait_until(lambda: words in hook.output, f"{words}, not only {hook.output}", 20)
        assert SECRET not in hook.output


async def test_the_address_reaches_neither_a_dead_letter_nor_the_log(redis_url: str, prefix: str) -> None:
    receiver = Receiver(free_port(), status=404)
    line = ("-m", "consumers.webhook", secret_url(receiver))
    async with (
        desk_at(redis_url, prefix) as desk,
        receiver.listening(),
        program(desk, *line, QQBUS_WEBHOOK_SECRET="s3") as hook,
    ):
        await desk.publish(message("one"))
        await wait_until(lambda: desk.all_done("webhook"), "acknowledged", 20)
        (letter,) = await desk.rows("dead")
        assert letter["detail"] == f"http://127.0.0.1:{receiver.port}/…: HTTP 404".encode()
        assert SECRET not in hook.output + str(letter)


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (b"no gzip", "Content-Encoding: gzip\r\n"),
        (b"x", "Content-Encoding: br\r\n"),
        (b"[" * 60_000, ""),
        (b"x" * 200_000, ""),
        (gzip.compress(bytes(10**8)), "Content-Encoding: gzip\r\n"),
    ],
    ids=["broken gzip", "brotli", "nested", "long", "bomb"],
)
async def test_a_taken_event_is_posted_once_whatever_the_body(
    redis_url: str, prefix: str, answer: bytes, headers: str
) -> None:
    receiver = Receiver(free_port(), answer=answer, headers=headers)
    line = ("-m", "consumers.webhook", receiver.url)
    async with (
        desk_at(redis_url, prefix) as desk,
        receiver.listening(),
        program(desk, *line, QQBUS_WEBHOOK_SECRET="s3"),
    ):
        await desk.publish(message("one"))
        await wait_until(lambda: desk.all_done("webhook"), "acknowledged", 20)
        assert len(receiver.posts) == 1
        assert await desk.rows("dead") == []


@pytest.mark.parametrize("url", ["example.org/hook", "ftp://x/", "http://", "http://a b/", "http://[::1"])
async def test_what_is_no_address_is_refused_at_the_start(redis_url: str, prefix: str, url: str) -> None:
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, "-m", "consumers.webhook", url, QQBUS_WEBHOOK_SECRET="s3") as hook,
    ):
        assert await hook.ended() == 2
        assert "the address is not valid" in hook.output
