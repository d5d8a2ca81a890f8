"""Calls: echoes, time limits, and what an ended connection does to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from adapter.networks.onebot.client.calls import Calls, dump
from adapter.networks.onebot.client.errors import CallTimeoutError
from adapter.networks.onebot.client.socket import open_socket
from adapter.networks.onebot.protocol.frames import parse_frame
from adapter.networks.onebot.protocol.return_codes import Verdict
from adapter.networks.websocket import SocketClosedError
from tests.onebot_server import OneBotServer
from tests.support.onebot_harness import FAST

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def calling(server: OneBotServer, max_calls: int = 10) -> AsyncIterator[Calls]:
    """Open a socket and yield its calls, whose answers are resolved until it ends."""
    async with open_socket(server.url, "", FAST) as socket, anyio.create_task_group() as tasks:
        calls = Calls(socket, max_calls=max_calls)

        async def read() -> None:
            try:
                while True:
                    frame = parse_frame(await socket.receive())
                    calls.resolve(frame)
            except SocketClosedError as exc:
                calls.fail(exc)

        tasks.start_soon(read)
        yield calls
        tasks.cancel_scope.cancel()


async def test_an_answer_finds_its_call_and_several_frames_count_once() -> None:
    async with OneBotServer("napcat") as server, calling(server) as calls:
        server.do.answer("get_status", [{"frames": 3}])
        answer = await calls.call("get_status", "{}", seconds=5.0)
        assert answer is not None
        assert (answer.verdict, answer.data) == (Verdict.DONE, {"online": True, "good": True, "stat": {}})
        answer = await calls.call("get_login_info", {}, seconds=5.0)
        assert answer is not None
        assert answer.data == {"user_id": 20001, "nickname": "机器人"}


async def test_no_answer_in_time_is_an_error_that_says_that_it_may_have_been_done() -> None:
    async with OneBotServer("napcat") as server, calling(server) as calls:
        server.do.answer("get_status", [{"reply": "never"}])
        with pytest.raises(CallTimeoutError, match=r"no answer to get_status in 0\.1 s") as caught:
            await calls.call("get_status", {}, seconds=0.1)
        assert caught.value.may_have_sent
        assert await calls.call("get_status", {}, seconds=5.0) is not None


async def test_a_connection_that_ends_ends_all_calls_and_takes_no_more() -> None:
    async with OneBotServer("napcat") as server, calling(server) as calls:
        server.do.rule(every=1, fault={"reply": "never"})
        errors: list[SocketClosedError] = []

        async def call() -> None:
            with pytest.raises(SocketClosedError) as caught:
                await calls.call("get_status", {}, seconds=5.0)
            errors.append(caught.value)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(call)
            await server.wait_actions("get_status", 3)
            server.do.reset()
        assert [one.may_have_sent for one in errors] == [True] * 3
        with pytest.raises(SocketClosedError) as caught:
            await calls.call("get_status", {}, seconds=5.0)
        assert not caught.value.may_have_sent


async def test_only_so_many_calls_wait_at_a_time_and_a_call_that_may_not_be_sent_is_none() -> None:
    async with OneBotServer("napcat") as server, calling(server, max_calls=2) as calls:
        server.do.rule(action="get_status", every=1, fault={"delay": 0.2})
        answers: list[object] = []

        async def call() -> None:
            answers.append(await calls.call("get_status", {}, seconds=5.0))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(call)
            await server.wait_actions("get_status", 2)
            assert await calls.call("get_version_info", {}, seconds=5.0, may_send=lambda: False) is None
        assert len(answers) == 4
        assert not [one for one in server.record.actions.entries if one.action == "get_version_info"]


async def test_an_answer_that_no_call_waits_for_is_left() -> None:
    async with OneBotServer("napcat") as server, calling(server) as calls:
        assert not calls.resolve({"retcode": 0, "echo": "99"})
        assert not calls.resolve({"retcode": 0})


def test_json_has_no_blanks_and_keeps_characters() -> None:
    assert dump({"a": ["中", 1]}) == '{"a":["中",1]}'
