"""The session against the official server: what each end of a connection leads to, and what is lost: nothing."""

from pathlib import Path

import anyio
import pytest

from adapter.events import Gap, Message, SessionState
from tests.official_server import Answer, OfficialServer
from tests.support.helpers import wait_until
from tests.support.official_harness import Listener, credentials, limits, listening

pytestmark = pytest.mark.anyio


def entries(server: OfficialServer) -> list[str]:
    """Return how each connection began."""
    return [one.entry for one in server.record.connections]


async def lost_and_back(server: OfficialServer, heard: Listener, connections: int) -> None:
    """Say something while no client is connected, and wait until it came."""
    await server.wait(lambda: not server.is_connected, "the connection is lost", 20.0)
    server.say("friend:ann", "while away")
    await server.wait(lambda: server.is_connected, "the connection is back", 20.0)
    await wait_until(lambda: "while away" in heard.texts, "what was said while away", 20.0)
    assert server.record.count("connections") >= connections


@pytest.mark.parametrize("code", [1000, 1001, 4009, 4999])
async def test_a_lost_connection_is_resumed_without_a_gap(code: int, tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("friend:ann", "before")
        await heard.heard(1)
        await server.kill(code)
        server.say("friend:ann", "after")
        await heard.heard(2)
        assert heard.texts == ["before", "after"]
        assert entries(server)[:2] == ["identify", "resume"]
        assert not heard.of(Gap)


async def test_a_reset_connection_is_resumed(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        await server.kill(how="reset")
        server.say("friend:ann", "after")
        await heard.heard(1)
        assert entries(server)[:2] == ["identify", "resume"]
        await heard.online(2)
        assert heard.states == ["starting", "online", "relinking", "online"]


async def test_an_expired_connection_is_resumed_and_the_state_stays_online(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        for number in range(2, 5):
            await server.kill(4009)
            await server.wait(
                lambda number=number: server.record.count("connections") >= number and server.is_connected,
                f"connection {number}",
                20.0,
            )
        await server.reconnect()
        await server.wait(
            lambda: server.record.count("connections") >= 5 and server.is_connected, "a fifth", 20.0
        )
        assert set(entries(server)[1:]) == {"resume"}
        server.say("friend:ann", "hi")
        await heard.heard(1)
        assert heard.states == ["starting", "online"]


async def test_4009_every_moment_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    # 0.3 s stand for the few seconds of a gateway that expires connections too early.
    async with (
        OfficialServer(expire_every=0.3, replay_overlap=2) as server,
        listening(server, tmp_path, limits=limits(stable_seconds=0.1)) as heard,
    ):
        await heard.online()
        for number in range(60):
            server.say("friend:ann", f"m{number}")
            server.say("group:lab", f"g{number}", sender="bob", at=True)
            await anyio.lowlevel.checkpoint()
            if number % 10 == 9:
                connections = server.record.count("connections")
                await server.wait(
                    lambda connections=connections: server.record.count("connections") > connections,
                    "another connection",
                    20.0,
                )
        await wait_until(
            lambda: len({message.key for message in heard.of(Message)}) == 120, "all messages", 30.0
        )
        assert not heard.of(Gap)
        assert set(entries(server)[1:]) <= {"resume", ""}


@pytest.mark.parametrize("how", ["op9", "4006", "4902"])
async def test_a_session_that_is_gone_is_one_gap(how: str, tmp_path: Path) -> None:
    async with OfficialServer(bad_resume=how) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("friend:ann", "before")
        await heard.heard(1)
        await server.invalidate(quiet=True)
        await server.kill(4009)
        (gap,) = await wait_until(lambda: heard.of(Gap), "the gap", 20.0)
        server.say("friend:ann", "after")
        await heard.heard(2)
        assert heard.texts == ["before", "after"]
        assert gap.since <= gap.until
        assert "identify" in entries(server)[1:]
        await server.kill(4009)
        server.say("friend:ann", "and on")
        await heard.heard(3)
        assert len(heard.of(Gap)) == 1


@pytest.mark.parametrize("entry", ["resume", "identify"])
async def test_an_invalid_session_is_resumed_or_begun_anew_as_the_gateway_says(
    entry: str, tmp_path: Path
) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        await server.invalidate(resumable=entry == "resume")
        await server.wait(
            lambda: server.record.count("connections") >= 2 and server.is_connected, "back", 20.0
        )
        server.say("friend:ann", "hi")
        await heard.heard(1)
        assert entries(server)[1] == entry
        assert len(heard.of(Gap)) == (0 if entry == "resume" else 1)


async def test_another_process_resumes_where_this_one_has_stored(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        async with listening(server, tmp_path) as heard:
            await heard.online()
            server.say("friend:ann", "stored")
            await heard.heard(1)
            await wait_until(lambda: () in heard.batches, "the next batch", 20.0)
            heard.gate = anyio.Event()
            server.say("friend:ann", "taken, and not stored")
            await heard.heard(2)
            server.say("friend:ann", "received, and not taken")
            inbox = heard.upstream._inbox  # noqa: SLF001
            await wait_until(lambda: not inbox.is_idle, "a frame in the inbox", 20.0)
        server.say("friend:ann", "while away")
        async with listening(server, tmp_path) as heard:
            await heard.heard(3)
            assert heard.texts == ["taken, and not stored", "received, and not taken", "while away"]
            assert not heard.of(Gap)
        await server.wait(lambda: not server.is_connected, "the end of the connection", 20.0)
        server.advance(400.0)  # longer than the gateway keeps a session
        async with listening(server, tmp_path) as heard:
            (gap,) = await wait_until(lambda: heard.of(Gap), "the gap", 20.0)
            assert gap.reason == "the adapter was not running"
            await heard.online()


async def test_a_gap_that_was_not_stored_is_yielded_by_the_next_process_that_resumes(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        async with listening(server, tmp_path) as heard:
            await heard.online()
            server.say("friend:ann", "stored")
            await heard.heard(1)
            await wait_until(lambda: () in heard.batches, "the next batch", 20.0)
            heard.holds = lambda batch: any(isinstance(one, Gap) for one in batch)
            await server.invalidate()
            (gap,) = await wait_until(lambda: heard.of(Gap), "the gap", 20.0)
        server.say("friend:ann", "while away")
        async with listening(server, tmp_path) as heard:
            await heard.heard(1)
            assert (heard.texts, heard.of(Gap)) == (["while away"], [gap])
        async with listening(server, tmp_path) as heard:
            await heard.online()
            assert not heard.of(Gap)
        assert entries(server) == ["identify", "identify", "resume", "resume"]


async def test_a_new_token_is_got_when_the_old_one_is_refused(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.revoke_tokens()
        await server.kill(4009)
        server.say("friend:ann", "hi")
        await heard.heard(1)
        assert len(server._service.tokens.given) == 2  # noqa: SLF001
        await server.kill(4004)
        server.say("friend:ann", "hi again")
        await heard.heard(2)
        assert not heard.of(Gap)


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (4014, SessionState.OFFLINE, "QQBUS_OFFICIAL_INTENTS"),
        (4001, SessionState.OFFLINE, "4001"),
        (4914, SessionState.OFFLINE, "sandbox"),
        (4915, SessionState.KICKED, "banned"),
    ],
)
async def test_what_only_a_person_can_mend_waits_for_login(
    code: int, state: SessionState, words: str, tmp_path: Path
) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        await server.kill(code)
        change = await heard.state(state)
        assert words in change.detail
        connections = server.record.count("connections")
        server.say("friend:ann", "while stopped")
        await wait_until(lambda: heard.batches[-2:] == [(), ()], "two signs of life", 20.0)
        assert server.record.count("connections") == connections
        await heard.upstream.login()
        await heard.heard(1)
        assert not heard.of(Gap)


async def test_sent_too_fast_waits(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        began = anyio.current_time()
        await server.kill(4008)
        await server.wait(lambda: server.record.count("connections") >= 2, "back", 20.0)
        assert anyio.current_time() - began >= 0.3  # `slow_seconds`, a minute in real life


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"token_code": 100016}, "credentials", "100016"),
        ({"ip_allowed": False}, "ip", "white list"),
        ({"banned": True}, "credentials", "100007"),
    ],
)
async def test_a_refusal_is_named_and_tried_again_slowly(
    change: dict[str, object], reason: str, words: str, tmp_path: Path
) -> None:
    async with OfficialServer(**change) as server, listening(server, tmp_path) as heard:
        offline = await heard.state(SessionState.OFFLINE)
        assert (offline.reason, words in offline.detail) == (reason, True)
        assert server.secret not in str(offline)
        server.set(token_code=0, ip_allowed=True, banned=False)
        await heard.online()


async def test_an_api_that_is_away_is_asked_again_with_growing_delays(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        for answer in (
            Answer(status=502),
            Answer(cut="before"),
            Answer(body=b"<html>"),
            Answer(json={"url": "x"}),
        ):
            server.next_answer("gateway", answer)
        server.next_answer("token", Answer(status=500), Answer(cut="body"), Answer(json={"code": 100001}))
        async with listening(server, tmp_path) as heard:
            await heard.online()
            assert [one.endpoint for one in server.record.requests].count("gateway") == 5


async def test_silence_of_the_gateway_ends_the_connection(tmp_path: Path) -> None:
    async with (
        OfficialServer(heartbeat_ms=100, heartbeat_acks=False, heartbeats_missed=0.0) as server,
        listening(server, tmp_path) as heard,
    ):
        await heard.online()
        await server.wait(lambda: server.record.count("connections") >= 2, "another connection", 20.0)
        server.set(heartbeat_acks=True)
        await server.wait(lambda: server.is_connected, "back", 20.0)
        assert not heard.of(Gap)


async def test_a_gateway_that_says_no_hello_is_left(tmp_path: Path) -> None:
    async with (
        OfficialServer(hello=False) as server,
        listening(server, tmp_path, limits=limits(hello_seconds=0.2)) as heard,
    ):
        await server.wait(lambda: server.record.count("connections") >= 2, "another connection", 20.0)
        server.set(hello=True)
        await heard.online()


async def test_a_heartbeat_names_the_last_stored_event(tmp_path: Path) -> None:
    async with OfficialServer(heartbeat_ms=100) as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("friend:ann", "hi")
        await heard.heard(1)

        def last_beat() -> object:
            beats = [one for one in server.record.frames if one.op == 1 and one.direction == "in"]
            return beats[-1].payload["d"] if beats else None

        stored = server.sessions[-1].seq
        await server.wait(lambda: last_beat() == stored, "a heartbeat with the last s", 20.0)
        heard.gate = anyio.Event()
        server.say("friend:ann", "not stored")
        await heard.heard(2)
        count = len(server.record.frames)
        await server.wait(lambda: len(server.record.frames) > count + 4, "more heartbeats", 20.0)
        assert last_beat() == stored


async def test_quick_drops_wait_long(tmp_path: Path) -> None:
    slow = limits(quick_seconds=30.0, retry_seconds=(0.01, 0.4))
    async with OfficialServer() as server, listening(server, tmp_path, limits=slow) as heard:
        await heard.online()
        times = []
        for number in range(2, 5):
            began = anyio.current_time()
            await server.kill(1001)
            await server.wait(
                lambda number=number: server.record.count("connections") >= number and server.is_connected,
                f"connection {number}",
                20.0,
            )
            times.append(anyio.current_time() - began)
        assert times[2] >= 0.4


async def test_credentials_of_another_bot_begin_anew(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("friend:ann", "hi")
        await heard.heard(1)
    async with (
        OfficialServer(appid="102000002", secret="another") as server,
        listening(server, tmp_path, given=credentials(server)) as heard,
    ):
        await heard.online()
        assert entries(server) == ["identify"]
        assert not heard.of(Gap)
