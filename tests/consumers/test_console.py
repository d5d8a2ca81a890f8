"""The chat in the terminal, as a real process fed through its standard input."""

import contextlib
import os
import pty
import subprocess
import sys

import pytest

from tests.support.bus_events import Desk, desk_at, message, notice, program
from tests.support.helpers import clean_environment, wait_until

pytestmark = pytest.mark.anyio


async def _said(desk: Desk) -> bool:
    return bool(await desk.rows("outbound"))


async def test_a_line_typed_goes_to_the_chat_and_what_is_heard_is_shown(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("from before"))
        async with program(desk, "-m", "consumers.console", "group:2", "--since", "60") as console:
            await console.says("the sender: from before")
            await desk.publish(
                message("elsewhere", "group:9"), message("mine", own=True), notice("shake", "group:2")
            )
            await console.says("me: mine")
            await console.says("-- it shakes")
            assert "elsewhere" not in console.output
            await console.type("hello [微笑]")
            await wait_until(lambda: _said(desk), "the line on qq:outbound")
            (row,) = await desk.rows("outbound")
            assert (row["to"], row["text"].decode()) == (b"group:2", "hello [微笑]")
            await desk.settle("failed", "upstream.denied")
            await console.says("✗ group:2 the chat: hello [微笑] -- failed: upstream.denied")
            await console.type("/help")
            await console.says("/quit             leave")
            await console.type("/hlep me")
            await console.says("-- /hlep is no command, and was not sent")
            await console.type("again")
            await wait_until(lambda: _said(desk), "the second line on qq:outbound")
            assert [row["text"] for row in await desk.rows("outbound")] == [b"again"]
            await desk.settle()
            await console.says("✓ group:2 the chat: again")
            await console.type("/quit")
            assert await console.ended() == 0


async def test_without_a_chat_it_answers_where_it_heard_somebody_last(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("old"))
        async with program(desk, "-m", "consumers.console") as console:
            await console.type("too early")
            await console.says("-- no message yet")
            await wait_until(lambda: _heard(desk, console.lines), "something heard")
            await console.type("answer")
            await wait_until(lambda: _said(desk), "the line on qq:outbound")
            assert (await desk.rows("outbound"))[0]["to"] == b"friend:8"
            await desk.settle()
            await console.type("@nonsense x")
            await console.says("-- address 'nonsense' is not one of")
            await console.type("@friend:9 hi")
            await wait_until(lambda: _said(desk), "the second line")
            assert (await desk.rows("outbound"))[0]["to"] == b"friend:9"
            await desk.settle()
            await console.type("/quit")
            assert await console.ended() == 0
            assert "old" not in console.output


async def _heard(desk: Desk, lines: list[str]) -> bool:
    if any("friend:8" in line for line in lines):
        return True
    await desk.publish(message("\x1b[31mred", "friend:8"))
    return False


async def test_nothing_in_a_message_steers_the_terminal(redis_url: str, prefix: str) -> None:
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, "-m", "consumers.console", "--since", "60") as console,
    ):
        await desk.publish(message("\x1b[31mred\r\nfake: line"))
        assert "\x1b" not in await console.says("[31mred")


async def test_a_wrong_address_is_refused_with_the_forms_that_exist(redis_url: str, prefix: str) -> None:
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, "-m", "consumers.console", "room:1") as console,
    ):
        assert await console.ended() == 2
        assert "friend:<id>" in console.output


class Terminal:
    """A console on a pseudo-terminal, as a person has it."""

    def __init__(self, desk: Desk) -> None:
        self.screen, self._slave = pty.openpty()
        os.set_blocking(self.screen, False)
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "consumers.console"],
            env=clean_environment(
                REDIS_URL=desk.url, QQBUS_PREFIX=desk.prefix, TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1"
            ),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
        )

    def read(self) -> str:
        with contextlib.suppress(OSError):
            self.output += os.read(self.screen, 65536).decode(errors="replace")
        return self.output

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    async def says(self, words: str, seconds: float = 30.0) -> None:
        await wait_until(lambda: words in self.read(), f"{words!r} on the terminal", seconds)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.screen)
        os.close(self._slave)


async def test_the_chat_of_a_line_is_fixed_by_its_first_key(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        terminal = Terminal(desk)
        try:
            await terminal.says("/help lists the commands")
            await terminal.says("no chat yet>")

            async def heard(chat: str) -> bool:
                await desk.publish(message("hi", chat))
                return f"{chat} the chat>" in terminal.read()

            await wait_until(lambda: heard("friend:1"), "Lin is the target", 30)
            terminal.type("secret for Lin")
            await terminal.says("secret for Lin")
            await desk.publish(message("I am Chen", "friend:2"))
            await terminal.says("I am Chen")
            terminal.type("\r")
            await wait_until(lambda: _said(desk), "the line on qq:outbound", 30)
            (row,) = await desk.rows("outbound")
            assert (row["to"], row["text"]) == (b"friend:1", b"secret for Lin")
            await desk.settle()
            await terminal.says("✓ friend:1 the chat: secret for Lin")
            await terminal.says("friend:2 the chat>")
            terminal.type("/help\r")
            await terminal.says("/quit             leave")
            terminal.type("/quit\r")
            await wait_until(lambda: (terminal.read(), terminal.process.poll())[1] == 0, "it ends", 30)
            assert await desk.rows("outbound") == []
        finally:
            terminal.close()
