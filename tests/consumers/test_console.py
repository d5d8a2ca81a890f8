"""The chat in the terminal, as a real process fed through its standard input."""

import pytest

from tests.support.bus_events import Desk, desk_at, message, notice, program
from tests.support.helpers import wait_until

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
            await console.says("-- failed: upstream.denied")
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
