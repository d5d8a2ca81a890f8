"""The gateway of the official server: sessions, Resume, events, faults."""

import pytest

from tests.official_server import Answer, OfficialServer
from tests.official_server.visitor import INTENTS, Visitor

pytestmark = pytest.mark.anyio


def is_resumed(frame: dict[str, object]) -> bool:
    return frame.get("t") == "RESUMED"


async def test_a_client_says_hello_identifies_and_hears_a_friend() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        assert (await bot.open()) == {"op": 10, "d": {"heartbeat_interval": 45_000}}
        ready = await bot.identify()
        assert (ready["op"], ready["s"], ready["t"], ready["d"]["shard"]) == (0, 1, "READY", [0, 1])
        event = server.say("friend:ann", "hi [微笑]")
        frame = await bot.frame()
        assert (frame["s"], frame["t"], frame["id"]) == (2, "C2C_MESSAGE_CREATE", event.event_id)
        body = frame["d"]
        assert body["id"] == event.message_id
        assert 60 <= len(body["id"]) <= 100
        assert body["content"] == 'hi <faceType=1,faceId="14",ext="eyJ0ZXh0Ijoi5b6u56yRIn0=">'
        assert body["author"]["user_openid"] == server.openid("friend:ann")
        assert [part.partition("=")[0] for part in body["message_scene"]["ext"]] == ["msg_idx", "auth_token"]
        assert [copy.sent for copy in event.copies] == [1]


async def test_heartbeats_are_answered_and_a_client_without_them_is_closed() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify()
        await bot.write({"op": 1, "d": bot.seq})
        assert await bot.frame() == {"op": 11}
        server.set(heartbeat_acks=False, heartbeat_ms=100)
        await bot.write({"op": 1, "d": bot.seq})
        assert (await bot.closed())[0] == 4009
        assert [one.code for one in server.record.connections] == [4009]


async def test_resume_brings_what_was_missed_with_other_addresses() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify()
        server.say("friend:ann", "one", attachments=[{"kind": "image"}])
        first = await bot.frame()
        await server.kill(4009)
        assert (await bot.closed())[0] == 4009
        server.say("friend:ann", "two")
        await bot.resume(seq=first["s"] - 1)
        frames = await bot.frames_until(is_resumed)
        assert [(one["s"], one["d"] and one["d"]["content"]) for one in frames] == [
            (2, "one"),
            (3, "two"),
            (4, ""),
        ]
        again = frames[0]["d"]
        assert again["id"] == first["d"]["id"]
        assert again["attachments"][0]["url"] != first["d"]["attachments"][0]["url"]
        assert again["message_scene"]["ext"][1] != first["d"]["message_scene"]["ext"][1]
        last = server.record.connections[-1]
        assert (last.entry, last.resumed_from, last.replayed) == ("resume", 1, 2)
        assert [copy.sent for event in server.record.events for copy in event.copies] == [2, 1]


async def test_a_resume_may_repeat_what_was_known_already() -> None:
    async with OfficialServer(replay_overlap=1) as server, Visitor(server) as bot:
        await bot.identify()
        server.say("friend:ann", "one")
        await bot.frame()
        await server.kill(how="reset")
        assert (await bot.closed())[0] == 1006
        await bot.resume()
        assert [one["s"] for one in await bot.frames_until(is_resumed)] == [2, 3]


@pytest.mark.parametrize(("how", "code"), [("op9", 0), ("4006", 4006), ("4902", 4902)])
async def test_a_session_that_is_gone_cannot_be_resumed(how: str, code: int) -> None:
    async with OfficialServer(bad_resume=how, resume_seconds=60.0) as server, Visitor(server) as bot:
        await bot.identify()
        await server.kill(1001)
        await bot.closed()
        server.advance(61)
        lost = server.say("friend:ann", "lost")
        await bot.resume()
        if code:
            assert (await bot.closed())[0] == code
        else:
            assert await bot.frame() == {"op": 9, "d": False}
        assert lost.copies == []
        assert [one.end_reason for one in server.sessions] == ["expired"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("no json", 4002),
        (b"bytes", 4002),
        ({"d": 1}, 4002),
        ({"op": 99}, 4001),
        ({"op": 2, "d": {"token": "QQBot wrong", "intents": INTENTS}}, 4004),
        ({"op": 2, "d": {"token": "{}", "intents": INTENTS, "shard": [3, 2]}}, 4010),
        ({"op": 2, "d": {"token": "{}", "intents": 1 << 5}}, 4013),
        ({"op": 2, "d": {"token": "{}", "intents": 1 << 28}}, 4014),
    ],
)
async def test_what_is_wrong_closes_with_its_code(frame: object, code: int) -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.fetch_token()
        await bot.open()
        if isinstance(frame, dict) and isinstance(d := frame.get("d"), dict):
            frame = frame | {"d": d | {"token": d["token"].format(f"QQBot {bot.token}")}}
        await bot.write(frame)
        assert (await bot.closed())[0] == code


async def test_a_seq_from_the_future_closes_with_4007() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify()
        await server.kill()
        await bot.closed()
        await bot.resume(seq=1_000)
        assert (await bot.closed())[0] == 4007


async def test_too_many_frames_close_with_4008_and_a_banned_bot_with_4915() -> None:
    async with OfficialServer(frame_limit=3) as server, Visitor(server) as bot:
        await bot.identify()
        for _ in range(3):
            await bot.write({"op": 1, "d": None})
        assert (await bot.closed())[0] == 4008
        server.set(banned=True)
        await bot.resume()
        assert (await bot.closed())[0] == 4915


async def test_reconnect_is_asked_for_before_the_connection_expires() -> None:
    async with OfficialServer(reconnect_grace=0.1) as server, Visitor(server) as bot:
        await bot.identify()
        await server.reconnect()
        assert await bot.frame() == {"op": 7}
        assert (await bot.closed())[0] == 4009
        await bot.resume()
        assert is_resumed(await bot.frame())


async def test_invalid_session_says_whether_resume_may_work() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify()
        await server.invalidate(resumable=True)
        assert await bot.frame() == {"op": 9, "d": True}
        await bot.resume()
        assert is_resumed(await bot.frame())
        await server.invalidate()
        assert await bot.frame() == {"op": 9, "d": False}
        await bot.resume()
        assert await bot.frame() == {"op": 9, "d": False}


async def test_a_connection_expires_every_few_moments_and_loses_nothing() -> None:
    async with OfficialServer(expire_every=0.1) as server, Visitor(server) as bot:
        await bot.identify()
        heard = []
        for number in range(3):
            assert (await bot.closed())[0] == 4009
            server.say("friend:ann", str(number))
            await bot.resume()
            heard += [one["d"]["content"] for one in (await bot.frames_until(is_resumed))[:-1]]
        assert heard == ["0", "1", "2"]


async def test_a_silent_gateway_holds_events_back() -> None:
    async with OfficialServer(silent=True) as server, Visitor(server) as bot:
        await bot.identify()
        event = server.say("friend:ann", "later")
        await bot.write({"op": 1, "d": 1})
        assert await bot.frame() == {"op": 11}
        assert event.copies[0].sent == 0
        server.set(silent=False)
        assert (await bot.frame())["d"]["content"] == "later"


async def test_the_gateway_may_say_nothing_at_all_or_refuse_the_upgrade() -> None:
    async with OfficialServer(hello=False) as server, Visitor(server) as bot:
        server.next_answer("websocket", Answer(status=503))
        with pytest.raises(Exception, match="503"):
            await bot.open()
        server.set(hello=True)
        assert (await bot.open())["op"] == 10


async def test_intents_decide_what_comes() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify(1 << 24)
        server.say("friend:ann", "unheard")
        server.notify("GROUP_MEMBER_ADD", "group:lab", "bob")
        frame = await bot.frame()
        assert (frame["t"], frame["d"]["member_openid"]) == (
            "GROUP_MEMBER_ADD",
            server.openid("group:lab", "bob"),
        )


async def test_two_sessions_both_hear_or_one_of_them() -> None:
    async with OfficialServer() as server, Visitor(server) as bot, Visitor(server) as other:
        await bot.identify()
        await other.identify()
        assert len(server.say("friend:ann", "both").copies) == 2
        server.set(second_session="one")
        assert len(server.say("friend:ann", "one").copies) == 1
