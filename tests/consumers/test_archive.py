"""The archive: everything once, found again in any language."""

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapter import read_event
from adapter.codec.inbound import RecordContext, encode_message
from adapter.content import Text
from adapter.events import Address, ChatKind, ContactRef, Message, Participants
from consumers.archive import Archive, Progress
from tests.support.bus_events import desk_at, fields, mapping, message, notice, program
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio


async def test_what_is_said_is_kept_and_found_by_another_process(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    file = str(tmp_path / "talk.db")
    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, "-m", "consumers.archive", file) as archive:
            await desk.publish(
                message("今天天气很好"), message("hello world"), message("mine", own=True), notice("shake")
            )
            await wait_until(lambda: desk.all_done("archive"), "all acknowledged")
            async with program(desk, "-m", "consumers.archive", file, "--query", "天气很") as query:
                assert await query.ended() == 0
                assert query.output.strip().endswith("group:2 the chat | the sender: 今天天气很好")
            archive.terminate()
            assert await archive.ended() == 0
        async with program(desk, "-m", "consumers.archive", file, "--query", "") as everything:
            assert await everything.ended() == 0
            assert len(everything.lines) == 4


async def test_a_worker_that_is_killed_loses_nothing_and_doubles_nothing(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    file = tmp_path / "talk.db"
    drafts = [message(f"number {n}", f"group:{n % 7 + 1}") for n in range(300)]
    async with desk_at(redis_url, prefix) as desk:
        for start in range(0, 300, 100):
            async with program(desk, "-m", "consumers.archive", str(file)) as archive:
                await desk.publish(*drafts[start : start + 100])
                await wait_until(lambda: desk.has_group("archive"), "reading")
                archive.kill()
                await archive.ended()
        left: Any = await desk.client.xpending_range(desk.key("inbound"), "archive", "-", "+", 1000)
        for row in left:
            ids = [row["message_id"]]
            await desk.client.xclaim(desk.key("inbound"), "archive", "gone", 0, ids, idle=60_000, justid=True)
        async with program(desk, "-m", "consumers.archive", str(file)):
            await wait_until(lambda: desk.all_done("archive"), "all acknowledged", 20)
        with Archive.open(file) as archived:
            texts = [row.text for row in archived.find("number", limit=1000)]
        assert sorted(texts) == sorted(f"number {n}" for n in range(300))


def add(archive: Archive, text: str, chat_name: str = "读书", sender_name: str = "小林") -> None:
    chat = Address(ChatKind.GROUP, "2")
    said = Message(chat, "3", 1_445_653_507.0, (Text(text),), text)
    place = Participants(chat, ContactRef("2", chat_name), ContactRef("3", sender_name))
    draft = encode_message(said, place, RecordContext("10001", 1, 1_445_653_507.0), raw=False)
    archive.add(read_event("1-1", mapping(fields(draft))))


def test_short_words_find_what_long_ones_do(tmp_path: Path) -> None:
    with Archive.open(tmp_path / "talk.db") as archive:
        add(archive, "plain Hello World")
        for words in ("小林", "读书", "小林 plain", "林", "hello", "LLO", "HE", "lo 读", "h", "小林\0plain"):
            assert [row.text for row in archive.find(words)] == ["plain Hello World"], words
        for words in ("小明", "hx", "小林 absent", "%", "_"):
            assert archive.find(words) == []
    assert stat.S_IMODE((tmp_path / "talk.db").stat().st_mode) == 0o600


async def test_a_foreign_text_is_one_harmless_line(redis_url: str, prefix: str, tmp_path: Path) -> None:
    file = tmp_path / "talk.db"
    with Archive.open(file) as archive:
        add(
            archive,
            "evil \x1b[2J\x1b]0;owned\x07\n2026-01-01 00:00:00 forged | boss: pay",
            "a\nb",
            "\u202eme",
        )
        for number in range(3):
            add(archive, f"evil {number}")
    async with desk_at(redis_url, prefix) as desk:
        line = ("-m", "consumers.archive", str(file), "--query", "evil")
        async with program(desk, *line) as query:
            assert await query.ended() == 0
            assert len(query.lines) == 4
            assert "\x1b" not in query.output
            assert "evil ␛[2J␛]0;owned␇⏎2026" in query.output
        async with program(desk, *line, PYTHONIOENCODING="ascii") as query:
            assert await query.ended() == 0
            assert "Traceback" not in query.output
        shell = f"{sys.executable} -m consumers.archive {file} --query evil | head -n 1"
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)  # noqa: ASYNC221
        assert done.stderr == ""


def test_an_event_that_comes_twice_is_kept_once_and_words_are_only_words(tmp_path: Path) -> None:
    with Archive.open(tmp_path / "talk.db") as archive:
        texts = ['say "NEAR" OR nothing', "好", "100% sure", "x' OR 1=1 --"]
        for text in texts:
            event = read_event("1-0", mapping(fields(message(text))))
            archive.add(event)
            archive.add(event)
        archive.add(read_event("1-0", mapping(fields(message("好 elsewhere", "friend:9")))))
        assert [row.text for row in archive.find('"NEAR" OR')] == texts[:1]
        assert [row.text for row in archive.find("好")] == ["好", "好 elsewhere"]
        assert [row.text for row in archive.find("好", "friend:9")] == ["好 elsewhere"]
        assert [row.text for row in archive.find("100%")] == ["100% sure"]
        assert [row.text for row in archive.find("x' OR")] == ["x' OR 1=1 --"]
        assert archive.find("nowhere") == []
        assert len(archive.find("", limit=3)) == 3


async def test_a_query_of_no_file_is_told(redis_url: str, prefix: str, tmp_path: Path) -> None:
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, "-m", "consumers.archive", str(tmp_path / "none.db"), "--query", "x") as query,
    ):
        assert await query.ended() == 1
        assert "does not exist" in query.output


def test_the_past_that_is_read_in_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress()
    with caplog.at_level("INFO"):
        for number in range(100):
            progress.note(1_000.0 + number, number / 10, 5_000.0)
        progress.note(4_990.0, 100.0, 5_000.0)  # of the present
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [1, 51]
