"""The OneBot server: handshakes, tokens, paths, several clients, and the form of answers."""

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.onebot_client import onebot_client

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)


@pytest.mark.parametrize("dialect", ALL)
async def test_a_right_token_is_accepted_and_the_account_answers(dialect: str) -> None:
    async with OneBotServer(dialect, token="se cret") as server:
        async with onebot_client(server.url, "se cret") as client:
            assert await client.call("get_login_info") == {"user_id": 20001, "nickname": "机器人"}
            await server.wait_connections(1)
        await server.wait_connections(0)
        shake = server.record.handshakes.entries[0]
        assert (shake.token, shake.refusal, shake.role) == ("right", "", "universal")
        assert "se cret" not in str(server.record.handshakes.entries)


@pytest.mark.parametrize(
    ("dialect", "code", "reason", "frames"),
    [
        ("napcat", 1005, "", 1),
        ("llbot", 1008, "invalid access token", 1),
        ("snowluma", 1008, "invalid access token", 0),
    ],
)
async def test_a_wrong_token_is_refused_after_a_complete_handshake(
    dialect: str, code: int, reason: str, frames: int
) -> None:
    async with OneBotServer(dialect, token="right") as server, onebot_client(server.url, "wrong") as client:
        assert await client.end() == (code, reason)
        assert client.answers.qsize() == frames
        if frames:
            answer = client.answers.get_nowait()
            assert (answer["status"], answer["retcode"], answer["echo"]) == ("failed", 1403, None)
        assert client.metas.empty()
        assert server.hub.connections == {}


@pytest.mark.parametrize(
    ("refusal", "token", "status"),
    [("", "", 401), ("", "wrong", 403), ("http-401", "wrong", 401), ("http-403", "", 403)],
)
async def test_go_cqhttp_refuses_before_the_upgrade(refusal: str, token: str, status: int) -> None:
    async with OneBotServer("go-cqhttp", token="right", refusal=refusal) as server:
        with pytest.raises(InvalidStatus) as caught:
            async with onebot_client(server.url, token):
                pass
        assert caught.value.response.status_code == status
        assert server.record.handshakes.entries[0].refusal == f"http-{status}"


async def test_any_dialect_refuses_in_any_way_on_command() -> None:
    async with OneBotServer("napcat", token="right") as server:
        async with onebot_client(server.url, "right") as client:
            server.do.options(refusal="close-1008", refuse_all=True)
            await client.call("get_status")  # an open connection stays
            async with onebot_client(server.url, "right") as second:
                assert (await second.end())[0] == 1008
        server.do.options(refuse_all=False)
        async with onebot_client(server.url, "right") as client:
            await client.call("get_status")


@pytest.mark.parametrize(("dialect", "is_accepted"), [("napcat", False), ("llbot", True)])
async def test_the_query_token_wins_over_the_header_in_napcat_alone(
    dialect: str, *, is_accepted: bool
) -> None:
    async with (
        OneBotServer(dialect, token="right") as server,
        onebot_client(f"{server.url}?access_token=wrong", "right") as client,
    ):
        if is_accepted:
            await client.call("get_status")
        else:
            await client.end()
        assert "wrong" not in server.record.handshakes.entries[0].path


@pytest.mark.parametrize(
    ("dialect", "kinds"),
    [
        ("napcat", ["connect"]),
        ("llbot", ["connect"]),
        ("snowluma", ["connect", "enable", "heartbeat"]),
        ("go-cqhttp", ["connect"]),
    ],
)
async def test_meta_events_at_the_start_are_those_of_the_dialect(dialect: str, kinds: list[str]) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        metas = [await client.meta() for _ in kinds]
        assert [one.get("sub_type", one["meta_event_type"]) for one in metas] == kinds
        assert ("_post_method" in metas[0]) == (dialect == "go-cqhttp")
        await client.nothing()
        assert client.metas.empty()


@pytest.mark.parametrize("dialect", ALL)
async def test_heartbeats_come_at_the_interval_that_they_announce(dialect: str) -> None:
    async with OneBotServer(dialect, heartbeat_ms=20) as server, onebot_client(server.url) as client:
        metas = [await client.meta() for _ in range(6)]
        beats = [one for one in metas if one["meta_event_type"] == "heartbeat"]
        assert len(beats) >= 3
        assert all(one["status"]["online"] and one["interval"] == 20 for one in beats)


@pytest.mark.parametrize(
    ("dialect", "path", "takes_events", "takes_actions"),
    [
        ("napcat", "/api", False, True),
        ("napcat", "/event", True, True),
        ("napcat", "/anything", True, True),
        ("llbot", "/api", False, True),
        ("llbot", "/event", True, False),
        ("llbot", "/anything", False, False),
        ("go-cqhttp", "/event", True, False),
        ("go-cqhttp", "/anything", True, True),
        ("snowluma", "/api", False, True),
    ],
)
async def test_paths_carry_what_the_dialect_says(
    dialect: str, path: str, *, takes_events: bool, takes_actions: bool
) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url.rstrip("/") + path) as client:
        await server.wait_connections(1)
        emitted = server.say("friend:10001", "x")
        emission = server.record.events.entries[emitted["n"] - 1]
        assert emission.offered == ([1] if takes_events else [])
        if takes_events:
            assert (await client.event())["raw_message"] == "x"
        await client.send({"action": "get_status", "echo": 1})
        if takes_actions:
            await server.wait_actions("get_status")
        else:
            server.do.frame('{"echo": "marker"}')
            await client.answers.get()
            assert server.record.actions.count == 0


async def test_snowluma_serves_its_own_path_alone() -> None:
    async with OneBotServer("snowluma", path="/bot") as server:
        async with onebot_client(server.url) as client:
            await client.call("get_status")
        with pytest.raises(InvalidStatus):
            async with onebot_client(server.url.replace("/bot", "/else")):
                pass


async def test_each_client_gets_each_event_and_nothing_is_kept() -> None:
    async with OneBotServer() as server:
        lost = server.say("friend:10001", "before")
        async with onebot_client(server.url) as first, onebot_client(server.url) as second:
            await server.wait_connections(2)
            heard = server.say("friend:10001", "now")
            for client in (first, second):
                assert (await client.event())["raw_message"] == "now"
                await client.nothing()
        entries = server.record.events.entries
        assert entries[lost["n"] - 1].withheld == "no client"
        assert sorted(entries[heard["n"] - 1].written) == sorted(entries[heard["n"] - 1].offered) != []


@pytest.mark.parametrize(
    ("dialect", "unknown", "bad", "refused"),
    [
        ("napcat", 1404, 1400, 1200),
        ("llbot", 1404, 1400, 1200),
        ("snowluma", 1404, 1400, 100),
        ("go-cqhttp", 404, 100, 100),
    ],
)
async def test_return_codes_are_those_of_the_dialect(
    dialect: str, unknown: int, bad: int, refused: int
) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        assert (await client.ask("no_such_action"))["retcode"] == unknown
        assert (await client.ask("send_group_msg", group_id="x", message="y"))["retcode"] == bad
        answer = await client.ask("send_group_msg", group_id=1, message="y")
        assert (answer["status"], answer["retcode"]) == ("failed", refused)
        assert ("msg" in answer) == (dialect == "go-cqhttp")
        assert ("message" in answer) == (dialect != "snowluma")
        assert answer["wording"]
        assert ("stream" in answer) == (dialect in {"napcat", "snowluma"})


@pytest.mark.parametrize(("dialect", "expected"), [("napcat", ""), ("llbot", None), ("go-cqhttp", None)])
async def test_an_echo_comes_back_as_it_was(dialect: str, expected: Any) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        for echo in (7, {"a": [1]}, "x", None):
            await client.send({"action": "get_status", "params": None, "echo": echo})
            assert (await client.answers.get())["echo"] == echo
        await client.send({"action": "get_status"})
        assert (await client.answers.get()).get("echo") == expected


@pytest.mark.parametrize("dialect", ALL)
async def test_a_malformed_frame_is_answered_by_all_but_go_cqhttp(dialect: str) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        for text in (
            "{",
            "[1]",
            '"x"',
            "\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
        ):
            await client.send(text)
        await client.call("get_status")
        answered = [client.answers.get_nowait() for _ in range(client.answers.qsize())]
        assert [one["retcode"] for one in answered] == [1400] * (0 if dialect == "go-cqhttp" else 4)


@pytest.mark.parametrize(
    ("dialect", "suffix", "is_known"),
    [
        ("napcat", "_async", True),
        ("napcat", "_rate_limited", True),
        ("llbot", "_rate_limited", True),
        ("snowluma", "_async", False),
        ("go-cqhttp", "_async", True),
    ],
)
async def test_suffixes_are_plain_aliases_or_unknown(dialect: str, suffix: str, *, is_known: bool) -> None:
    async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
        answer = await client.ask(f"send_private_msg{suffix}", user_id=10001, message="x")
        assert (answer["retcode"] == 0) == is_known


async def test_version_info_names_the_implementation() -> None:
    for dialect, name in zip(ALL, ("NapCat.Onebot", "LLOneBot", "SnowLuma", "go-cqhttp"), strict=True):
        async with OneBotServer(dialect) as server, onebot_client(server.url) as client:
            assert (await client.call("get_version_info"))["app_name"] == name


async def test_a_frame_over_the_limit_ends_the_connection_with_1009() -> None:
    async with OneBotServer(max_frame=100_000) as server, onebot_client(server.url) as client:
        await client.send(json.dumps({"action": "x", "params": {"a": "b" * 200_000}}))
        assert (await client.end())[0] == 1009
