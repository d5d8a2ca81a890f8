"""The OneBot server: faults of sockets, answers, QQ and the port, and what the record says of them."""

import asyncio
import socket

import pytest

from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.onebot_client import onebot_client

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)


async def test_a_reset_ends_the_connection_without_a_close_frame() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await server.wait_connections(1)
        assert server.do.reset() == 1
        assert (await client.end())[0] == 1006
        await server.wait_connections(0)
        assert [one.cause for one in server.record.closings.entries] == ["reset"]


@pytest.mark.parametrize(("code", "seen"), [(1000, 1000), (1001, 1001), (1005, 1005), (4000, 4000)])
async def test_a_connection_is_closed_with_a_code(code: int, seen: int) -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await server.wait_connections(1)
        await server.do.close(code=code)
        assert (await client.end())[0] == seen


async def test_half_an_event_ends_the_connection() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await server.wait_connections(1)
        await server.do.cut()
        assert (await client.end())[0] == 1006
        await client.meta()
        assert client.metas.empty()


async def test_a_half_open_connection_reads_and_writes_nothing_until_it_thaws() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await server.wait_connections(1)
        server.do.freeze(1)
        await client.send({"action": "get_status", "echo": "late"})
        pong = await client.socket.ping()
        emitted = server.say("friend:10001", "x")
        async with onebot_client(server.url) as other:
            await other.call("get_login_info")
        emission = server.record.events.entries[emitted["n"] - 1]
        assert (emission.offered, emission.written, pong.done()) == ([1], [], False)
        assert [one.action for one in server.record.actions.entries] == ["get_login_info"]
        server.do.thaw(1)
        assert (await client.event())["raw_message"] == "x"
        assert (await client.answers.get())["echo"] == "late"
        await pong


async def test_what_a_half_open_connection_held_is_lost_with_it() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await server.wait_connections(1)
        server.do.freeze()
        emitted = server.say("friend:10001", "x")
        server.do.reset()
        await client.end()
        emission = server.record.events.entries[emitted["n"] - 1]
        assert (emission.offered, emission.written) == ([1], [])


@pytest.mark.parametrize("is_for_one", [False, True])
async def test_silence_stops_events_while_heartbeats_go_on(*, is_for_one: bool) -> None:
    async with OneBotServer(heartbeat_ms=20) as server, onebot_client(server.url) as client:
        await client.meta()
        if is_for_one:
            server.do.silence(1)
        else:
            server.do.deaf()
        emitted = server.say("friend:10001", "lost")
        assert [(await client.meta())["meta_event_type"] for _ in range(3)] == ["heartbeat"] * 3
        await client.call("send_private_msg", user_id=10001, message="still sent")
        await client.nothing()
        emission = server.record.events.entries[emitted["n"] - 1]
        assert emission.withheld == ("no client" if is_for_one else "deaf")
        assert (await client.call("get_status"))["online"]
        server.do.silence(1, on=False)
        server.do.deaf(on=False)
        server.say("friend:10001", "heard")
        assert (await client.event())["raw_message"] == "heard"


@pytest.mark.parametrize(("state", "count"), [("lost", 0), ("delivered", 1)])
async def test_a_mute_implementation_answers_time_outs(state: str, count: int) -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.do.mute(state)
        answer = await client.ask("send_private_msg", user_id=10001, message="x")
        assert (answer["retcode"], answer["message"].startswith("Timeout: NTEvent")) == (1200, True)
        assert server.record.received.count == count
        server.say("friend:10001", "events flow")
        assert (await client.event())["raw_message"] == "events flow"
        server.do.mute("")
        await client.call("send_private_msg", user_id=10001, message="x")


@pytest.mark.parametrize(
    ("fault", "performed"),
    [
        ({"reply": "reset"}, 1),
        ({"reply": "reset", "performs": False}, 0),
        ({"reply": "half"}, 1),
        ({"reply": "close"}, 1),
    ],
)
async def test_a_connection_may_end_in_place_of_an_answer(fault: dict[str, object], performed: int) -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        server.do.answer("send_private_msg", [fault])
        await client.send(
            {"action": "send_private_msg", "params": {"user_id": 10001, "message": "x"}, "echo": 1}
        )
        await client.end()
        assert client.answers.empty()
        assert server.record.received.count == performed
        entry = server.record.actions.entries[0]
        assert entry.answered is None
        assert str(fault["reply"]) in entry.fault


async def test_an_answer_may_never_come_or_come_as_a_time_out_or_differ() -> None:
    async with OneBotServer("napcat") as server, onebot_client(server.url) as client:
        server.do.answer(
            "send_private_msg",
            [
                {"reply": "never"},
                {"reply": "timeout"},
                {"reply": "timeout", "performs": False},
                {"answer": {"status": "async", "retcode": 1, "data": None}},
            ],
        )
        params = {"user_id": 10001, "message": "x"}
        await client.send({"action": "send_private_msg", "params": params, "echo": "never"})
        await server.wait_received(1)
        assert (await client.ask("send_private_msg", **params))["message"].startswith("Timeout: NTEvent")
        assert (await client.ask("send_private_msg", **params))["retcode"] == 1200
        assert (await client.ask("send_private_msg", **params))["status"] == "async"
        assert server.record.received.count == 3
        assert client.answers.empty()


async def test_slow_answers_come_out_of_order() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        server.do.answer("get_status", [{"delay": 0.2}, {"delay": 0.1}, {}])
        for echo in "abc":
            await client.send({"action": "get_status", "echo": echo})
        assert [(await client.answers.get())["echo"] for _ in range(3)] == ["c", "b", "a"]


async def test_an_answer_may_come_in_several_frames() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        server.do.answer("*", [{"frames": 3}])
        await client.send({"action": "get_status", "echo": "x"})
        assert [(await client.answers.get())["echo"] for _ in range(3)] == ["x"] * 3


async def test_rules_come_again_until_they_are_cleared() -> None:
    async with OneBotServer(seed=1) as server, onebot_client(server.url) as client:
        server.do.rule(action="get_status", every=2, fault={"answer": {"retcode": 7}})
        codes = [(await client.ask("get_status"))["retcode"] for _ in range(4)]
        assert codes == [0, 7, 0, 7]
        server.do.clear()
        assert (await client.ask("get_status"))["retcode"] == 0


async def test_frames_may_be_huge_or_garbage() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await client.meta()
        server.do.frame(size=20_000_000)
        assert len((await client.meta())["padding"]) == 20_000_000


@pytest.mark.parametrize("dialect", ALL)
async def test_qq_may_be_offline_behind_a_healthy_socket(dialect: str) -> None:
    async with OneBotServer(dialect, heartbeat_ms=0) as server, onebot_client(server.url) as client:
        await client.call("get_status")
        while not client.metas.empty():
            client.metas.get_nowait()
        server.do.offline(kicked=True, message="别处登录")
        server.do.heartbeat()
        status = (await client.meta())["status"]
        assert (status["online"], status["good"]) == (False, dialect == "napcat")
        emitted = server.say("friend:10001", "unheard")
        assert server.record.events.entries[emitted["n"] - 1].withheld == "offline"
        assert (await client.ask("send_private_msg", user_id=10001, message="x"))["status"] == "failed"
        if dialect == "napcat":
            event = await client.event()
            assert (event["notice_type"], event["message"]) == ("bot_offline", "别处登录")
        await client.nothing()
        server.do.options(heartbeat_lies=True)
        assert (await client.call("get_status"))["online"]
        server.do.online()
        await client.call("send_private_msg", user_id=10001, message="x")


@pytest.mark.parametrize(("dialect", "is_told"), [("llbot", True), ("napcat", False)])
async def test_llbot_reports_what_came_while_offline_with_its_old_time(
    dialect: str, *, is_told: bool
) -> None:
    async with OneBotServer(dialect, report_offline=True) as server, onebot_client(server.url) as client:
        await server.wait_connections(1)
        server.do.offline()
        server.say("friend:10001", "old", time=1_000_000_000)
        assert server.do.online() == int(is_told)
        if is_told:
            assert (await client.event())["time"] == 1_000_000_000
        await client.nothing()


async def test_a_restart_refuses_connections_and_comes_back_on_its_port() -> None:
    async with OneBotServer() as server:
        async with onebot_client(server.url) as client:
            await server.wait_connections(1)
            await server.do.down()
            assert (await client.end())[0] == 1006
            with pytest.raises(OSError, match="Connect call failed"):
                async with onebot_client(server.url):
                    pass
            emitted = server.say("friend:10001", "unheard")
            assert server.record.events.entries[emitted["n"] - 1].withheld == "down"
        await server.do.up()
        async with onebot_client(server.url) as client:
            await client.call("get_login_info")
        await server.do.restart(0.05)
        assert server.state.switches.is_down
        await server.record.until(
            lambda: not server.state.switches.is_down, 10.0, lambda: "the port is not open"
        )
        async with onebot_client(server.url) as client:
            await client.call("get_login_info")


async def test_a_client_that_does_not_read_is_cut_off_in_the_end() -> None:
    async with OneBotServer() as server, onebot_client(server.url) as client:
        await server.wait_connections(1)
        server.do.freeze()
        for _ in range(3):
            server.do.frame(size=60_000_000)
        assert (await client.end())[0] == 1006
        await server.wait_connections(0)
        assert [one.cause for one in server.record.closings.entries] == ["backlog"]


async def test_newer_snowluma_drops_events_of_a_slow_client() -> None:
    async with OneBotServer("snowluma", drop_bytes=10_000) as server, onebot_client(server.url):
        await server.wait_connections(1)
        server.do.freeze()
        numbers = [server.say("friend:10001", "x" * 1_000)["n"] for _ in range(30)]
        entries = server.record.events.entries
        dropped = [n for n in numbers if entries[n - 1].dropped]
        assert 10 < len(dropped) < 30
        server.do.thaw()


async def test_a_handshake_may_take_too_long() -> None:
    async with OneBotServer(handshake_seconds=60.0) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), onebot_client(server.url):
                pass
        server.do.options(handshake_seconds=0.0)
        async with onebot_client(server.url) as client:
            await client.call("get_status")


async def test_a_port_in_use_is_an_error_of_the_system() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            async with OneBotServer(port=taken.getsockname()[1]):
                pass
