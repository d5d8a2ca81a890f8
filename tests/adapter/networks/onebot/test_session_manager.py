"""The session: refused tokens, wrong paths, lost connections, QQ offline behind a healthy socket, and gaps."""

import json
import socket
import time
from pathlib import Path

import pytest

from adapter.content import Text
from adapter.events import Address, ChatKind, ContactList, Gap, Message, SessionChange, SessionState, Status
from adapter.networks.onebot.gaps import HeardFile
from adapter.networks.onebot.upstream import HEARD_FILE
from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.helpers import wait_until
from tests.support.onebot_harness import Listener, limits, listening, send

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)
FRIEND = Address(ChatKind.FRIEND, "10001")


@pytest.mark.parametrize(
    ("dialect", "refusal", "token"),
    [
        ("napcat", "frame-1005", "wrong"),
        ("llbot", "frame-1008", "wrong"),
        ("snowluma", "close-1008", "wrong"),
        ("go-cqhttp", "http-401", ""),
        ("go-cqhttp", "http-403", "wrong"),
    ],
)
async def test_a_token_refused_in_any_of_five_ways_is_named_and_tried_again_slowly(
    dialect: str, refusal: str, token: str, tmp_path: Path
) -> None:
    slow = limits(refused_seconds=1.0)
    async with OneBotServer(dialect, token="right", refusal=refusal) as server:
        began = time.monotonic()
        async with listening(server, tmp_path, token=token, limits=slow) as heard:
            change = await heard.state(SessionState.OFFLINE)
            assert change.reason == "token"
            assert "wrong" not in str(heard.events)
            await wait_until(lambda: server.record.handshakes.count >= 2, "another try")
            assert time.monotonic() - began > 0.9
            server.do.options(token=token or "")
            await heard.online()
            assert heard.states == ["starting", "offline", "online"]


async def test_a_token_travels_in_the_header_alone(tmp_path: Path) -> None:
    async with (
        OneBotServer("napcat", token="se cret") as server,
        listening(server, tmp_path, token="se cret") as heard,
    ):
        await heard.online()
        shake = server.record.handshakes.entries[0]
        assert (shake.token, shake.path) == ("right", "/")


async def test_a_wrong_path_answers_nothing_in_llbot_and_404_in_snowluma(tmp_path: Path) -> None:
    quick = limits(proof_seconds=0.3)
    async with OneBotServer("llbot") as llbot, listening(llbot.url + "dead", tmp_path, limits=quick) as heard:
        change = await heard.state(SessionState.OFFLINE)
        assert (change.reason, "QQBUS_ONEBOT_URL" in change.detail) == ("path", True)
    async with (
        OneBotServer("snowluma", path="/here") as snowluma,
        listening(snowluma.url.replace("/here", "/there"), tmp_path) as heard,
    ):
        assert (await heard.state(SessionState.OFFLINE)).reason == "path"


async def test_nothing_that_listens_is_unreachable_until_something_does(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with listening(f"ws://127.0.0.1:{port}/", tmp_path) as heard:
        change = await heard.state(SessionState.OFFLINE)
        assert (change.reason, change.detail) == (
            "unreachable",
            f"Connect call failed ('127.0.0.1', {port})",
        )
        async with OneBotServer("napcat", port=port):
            await heard.online()
        assert heard.states[:3] == ["starting", "offline", "online"]


async def test_no_account_behind_the_port_is_said(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server:
        server.do.answer("get_login_info", [{"answer": {"data": {"user_id": 0, "nickname": ""}}}])
        async with listening(server, tmp_path) as heard:
            assert (await heard.state(SessionState.OFFLINE)).reason == "login"
            await heard.online()


async def lose(server: OneBotServer, how: str) -> None:
    """End the connection in one of several ways."""
    if how == "reset":
        server.do.reset()
    elif how == "close":
        await server.do.close(code=1001)
    elif how == "cut":
        await server.do.cut()
    elif how == "restart":
        await server.do.restart(0.2)
    else:
        server.do.freeze()


@pytest.mark.parametrize("how", ["reset", "close", "cut", "restart", "freeze"])
async def test_a_lost_connection_comes_back_with_a_gap_before_online(how: str, tmp_path: Path) -> None:
    quick = limits(silence_seconds=0.6)
    async with (
        OneBotServer("snowluma", heartbeat_ms=100) as server,
        listening(server, tmp_path, limits=quick) as heard,
    ):
        await heard.online()
        server.say("friend:10001", "before")
        await heard.heard(1)
        last = time.time()
        await lose(server, how)
        await heard.online(2)
        assert heard.states == ["starting", "online", "relinking", "online"]
        (gap,) = heard.of(Gap)
        assert heard.events.index(gap) < len(heard.events) - 1 - heard.events[::-1].index(_last_online(heard))
        assert last - 1.5 < gap.since <= gap.until <= time.time()
        assert gap.reason.startswith("the connection was lost")
        server.say("friend:10001", "after")
        await heard.heard(2)
        assert heard.texts == ["before", "after"]


def _last_online(heard: Listener) -> SessionChange:
    return [one for one in heard.of(SessionChange) if one.state is SessionState.ONLINE][-1]


async def test_silence_is_noticed_although_the_socket_is_open_and_a_quiet_account_is_not_silent(
    tmp_path: Path,
) -> None:
    quick = limits(silence_seconds=2.0)
    async with (
        OneBotServer("napcat", heartbeat_ms=0) as server,
        listening(server, tmp_path, limits=quick) as heard,
    ):
        await heard.online()
        await server.wait_actions("get_status", 3)
        assert heard.states == ["starting", "online"]
        server.do.freeze()
        change = await heard.state(SessionState.RELINKING)
        assert "nothing came" in change.detail
        await heard.online(2)


async def test_a_server_that_ends_each_connection_is_not_hammered(tmp_path: Path) -> None:
    slow = limits(retry_first_seconds=0.2, retry_most_seconds=5.0, stable_seconds=60.0)
    async with OneBotServer("napcat") as server, listening(server, tmp_path, limits=slow) as heard:
        began = time.monotonic()
        for times in (1, 2, 3, 4):
            await heard.online(times)
            server.do.reset()
        # Delays of 0.2, 0.4 and 0.8 s, each shortened by a half at most.
        assert time.monotonic() - began > 0.7


async def test_qq_offline_behind_a_healthy_socket_is_said_and_its_gap_told(tmp_path: Path) -> None:
    async with OneBotServer("llbot", heartbeat_ms=50) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.do.offline()
        change = await heard.state(SessionState.OFFLINE)
        assert change.reason == "login"
        server.say("friend:10001", "lost")
        server.do.online()
        await heard.online(2)
        (gap,) = heard.of(Gap)
        assert gap.reason == "QQ was offline"
        assert gap.until - gap.since < 5.0
        assert len(server.record.handshakes.entries) == 1


async def test_a_gap_begins_before_qq_went_offline_though_calls_are_answered_meanwhile(
    tmp_path: Path,
) -> None:
    async with OneBotServer("napcat", heartbeat_ms=0) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("friend:10001", "heard")
        await heard.heard(1)
        server.do.offline()
        offline_at = time.time()
        server.say("friend:10001", "lost")
        # The answer to a call, and then the heartbeat that says it.
        await heard.upstream.refresh_contacts()
        server.do.heartbeat()
        await heard.state(SessionState.OFFLINE)
        server.do.online()
        for _ in range(2):
            server.do.heartbeat()
        await heard.online(2)
        (gap,) = heard.of(Gap)
        assert gap.since <= offline_at


async def test_a_heartbeat_that_waited_in_the_socket_counts_by_its_own_time(tmp_path: Path) -> None:
    async with OneBotServer("napcat", heartbeat_ms=0) as server, listening(server, tmp_path) as heard:
        await heard.online()
        proved = time.time()
        await wait_until(lambda: time.time() > proved + 1.0, "a second later")
        status = {"online": True, "good": True}
        beat = {"post_type": "meta_event", "meta_event_type": "heartbeat", "status": status, "interval": 0}
        server.do.frame(text=json.dumps(beat | {"time": int(proved) - 1, "self_id": 20001}))
        # Its answer comes behind that heartbeat.
        await heard.upstream.refresh_contacts()
        server.do.reset()
        await heard.online(2)
        (gap,) = heard.of(Gap)
        assert gap.since < proved + 0.5


async def test_an_account_that_is_offline_when_the_connection_opens_is_not_online(tmp_path: Path) -> None:
    async with OneBotServer("snowluma", heartbeat_ms=50) as server:
        server.do.offline()
        async with listening(server, tmp_path) as heard:
            await heard.state(SessionState.OFFLINE)
            assert "online" not in heard.states
            server.do.online()
            await heard.online()


async def test_a_kick_bears_qqs_words_and_ends_when_qq_is_back(tmp_path: Path) -> None:
    async with OneBotServer("napcat", heartbeat_ms=50) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.do.offline(kicked=True, message="您的账号已在另一台终端登录")
        change = await heard.state(SessionState.KICKED)
        assert (change.reason, change.detail) == ("kicked", "下线通知：您的账号已在另一台终端登录")
        server.do.online()
        await heard.online(2)
        assert heard.states == ["starting", "online", "kicked", "online"]
        assert len(heard.of(Gap)) == 1


async def test_a_kick_behind_heartbeats_that_lie_ends_after_some_of_them(tmp_path: Path) -> None:
    async with OneBotServer("napcat", heartbeat_lies=True) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.do.offline(kicked=True)
        await heard.state(SessionState.KICKED)
        server.do.heartbeat()
        server.say("friend:10001", "x")
        server.do.online()
        server.say("friend:10001", "hi")
        await heard.heard(1)
        assert heard.states[-1] == "kicked"
        server.do.heartbeat()
        await heard.online(2)


async def test_requests_wait_while_the_session_is_away(tmp_path: Path) -> None:
    async with OneBotServer("napcat", heartbeat_ms=50) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.do.offline()
        await heard.state(SessionState.OFFLINE)
        (part,) = heard.upstream.split((Text("hi"),), None)
        assert await heard.upstream.send(FRIEND, part, may_send=lambda: True) is None
        server.do.online()
        outcome = await send(heard.upstream, FRIEND, Text("hi"))
        assert outcome is not None
        assert outcome.status is Status.SENT


async def test_a_restart_is_a_gap_from_the_last_frame_on_disk(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server:
        async with listening(server, tmp_path) as heard:
            await heard.online()
            server.say("friend:10001", "hi")
            await heard.heard(1)
            await wait_until(
                lambda: (HeardFile(tmp_path / HEARD_FILE).read() or 0) > time.time() - 1.5, "the file"
            )
        kept = HeardFile(tmp_path / HEARD_FILE).read()
        server.say("friend:10001", "lost")
        async with listening(server, tmp_path) as heard:
            await heard.online()
            (gap,) = heard.of(Gap)
            assert (gap.since, gap.reason) == (kept, "the adapter was not running")


async def test_a_batch_that_is_not_stored_does_not_move_the_gap(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server:
        async with listening(server, tmp_path, limits=limits(idle_seconds=30.0)) as heard:
            await heard.online()
            await heard.first(ContactList, 2)  # behind the last one the gate holds back the message
            await wait_until(lambda: HeardFile(tmp_path / HEARD_FILE).read(), "the file")
            heard.gate = type(heard.gate)()
            server.say("friend:10001", "never stored", time=int(time.time()) + 100)
            await heard.heard(1)
            kept = HeardFile(tmp_path / HEARD_FILE).read()
            server.do.heartbeat()
            await server.wait_actions("get_status", 1)
        assert HeardFile(tmp_path / HEARD_FILE).read() == kept


async def test_events_before_the_proof_come_after_it(tmp_path: Path) -> None:
    small = limits(inbox_bytes=3_000)
    async with OneBotServer("napcat") as server:
        server.do.answer("get_login_info", [{"delay": 0.3}])
        async with listening(server, tmp_path, limits=small) as heard:
            await server.wait_actions("get_login_info")
            server.say("friend:10001", "early")
            server.say("friend:10001", "x" * 4_000)
            server.say("friend:10001", "also early")
            await heard.heard(2)
            assert heard.texts == ["early", "also early"]
            kinds = [type(event) for event in heard.events]
            assert kinds.index(Message) > kinds.index(SessionChange, 1)
