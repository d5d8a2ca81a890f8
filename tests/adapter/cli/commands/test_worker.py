"""Proof of `qqbus worker` and consumers/runtime/launch.py: bots as processes."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.bus_events import desk_at, message, program
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

BOT = """
import os
from qqbus import Event, Worker
from words import ANSWER

worker = Worker("bot")

@worker.on("message")
async def answer(event: Event) -> None:
    await event.reply(f"{ANSWER} {os.getpid()}")
"""


def write(folder: Path, *, main: bool = True, answer: str = "one") -> Path:
    (folder / "words.py").write_text(f"ANSWER = {answer!r}\n")
    path = folder / "bot.py"
    path.write_text(BOT + ("\nworker.main()\n" if main else ""))
    return path


@pytest.mark.parametrize("main", [True, False])
async def test_a_bot_runs_with_and_without_a_call_of_main(
    redis_url: str, prefix: str, tmp_path: Path, *, main: bool
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("hi"))
        async with program(desk, "-m", "adapter", "worker", str(write(tmp_path, main=main))) as bot:
            await wait_until(lambda: desk.all_done("bot"), "answered", 30)
            bot.process.send_signal(signal.SIGINT)
            assert await bot.ended(20) == 0
            assert "stopping" in bot.output
        assert len(await desk.texts()) == 1


async def test_a_bot_runs_beside_modules_named_as_our_packages_and_ends_with_its_terminal(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "consumers.py").write_text("")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "__init__.py").write_text("")
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("hi"))
        env = ("/usr/bin/env", "--default-signal=HUP", "-C", str(tmp_path))
        python = (*env, sys.executable, "-P", "-m", "adapter")
        async with program(desk, *python, "worker", str(write(tmp_path))) as bot:
            await wait_until(lambda: desk.all_done("bot"), "answered", 30)
            for _ in range(2):
                bot.process.send_signal(signal.SIGHUP)
            assert await bot.ended(20) == 0
            assert "stopping" in bot.output


async def test_processes_share_the_work_and_a_dead_one_is_started_again(
    redis_url: str, prefix: str, tmp_path: Path
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        line = ("-m", "adapter", "worker", str(write(tmp_path)), "--processes", "2")
        async with program(desk, *line) as bot:
            await wait_until(lambda: bot.output.count("bot reads") == 2, "two processes read", 40)
            await desk.publish(message("hi"))
            await wait_until(desk.texts, "answered", 20)
            pid = int((await desk.texts())[0].split()[1])
            os.kill(pid, signal.SIGKILL)
            await wait_until(lambda: bot.output.count("bot reads") == 3, "a third one reads", 40)
            assert "exit code -9: starting it again" in bot.output
            bot.terminate()
            assert await bot.ended(20) == 0


async def test_a_saved_file_restarts_the_bot(redis_url: str, prefix: str, tmp_path: Path) -> None:
    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, "-m", "adapter", "worker", str(write(tmp_path)), "--reload") as bot:
            await bot.says("bot reads", 40)
            (tmp_path / "words.py").write_text("ANSWER = 'broken\n")
            await bot.says("waiting for a change", 40)
            (tmp_path / "words.py").write_text("ANSWER = 'two'\n")
            await wait_until(lambda: bot.output.count("bot reads") == 2, "reads again", 40)
            await desk.publish(message("hi"))
            await wait_until(desk.texts, "answered", 20)
            bot.terminate()
            assert await bot.ended(20) == 0
        assert (await desk.texts())[0].startswith("two ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "makes no Worker"),
        ("from qqbus import Worker\na, b = Worker('a'), Worker('b')\n", "makes 2 workers"),
        ("from qqbus import Worker\nWorker('a'\n", "SyntaxError: '(' was never closed"),
        ("import nosuchmodule\n", "ModuleNotFoundError: No module named 'nosuchmodule'"),
        ("from qqbus import Worker\nWorker('a').on('mesage')\n", "do you mean 'message'?"),
    ],
)
async def test_a_file_that_is_no_bot_ends_in_words(
    redis_url: str, prefix: str, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "bot.py"
    path.write_text(text)
    async with desk_at(redis_url, prefix) as desk, program(desk, "-m", "adapter", "worker", str(path)) as bot:
        assert await bot.ended(30) == 2
        assert words in bot.output
        assert "runpy" not in bot.output


async def test_a_missing_file_and_wrong_options_are_named(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        async with program(desk, "-m", "adapter", "worker", "nothing.py") as bot:
            assert await bot.ended(30) == 2
            assert "nothing.py is no file" in bot.output
        async with program(desk, "-m", "adapter", "worker", "x.py", "--processes", "0") as bot:
            assert await bot.ended(30) == 2
            assert "'0' is not a number from 1 up" in bot.output
