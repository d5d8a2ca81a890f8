"""Proof of the delivery of events: a test of each line of what the gateway promises."""

import time
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from adapter import pack
from consumers.onebot.intake import BYTES
from tests.support.bus_events import Desk, desk_at, fields, message, notice, program
from tests.support.gateway_harness import bot, gateway, options, set_status, silent_bot
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

# Seconds of a test after which a bot that confirms nothing is closed.
CONFIRM = 3.0


def numbered(start: int, end: int, chat: str = "group:2") -> list[Any]:
    return [message(str(number), chat) for number in range(start, end)]


def texts(start: int, end: int) -> list[str]:
    return [str(number) for number in range(start, end)]


async def test_a_bot_hears_lifecycle_first_and_events_are_acknowledged(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        async with gateway(desk, chosen), bot(chosen) as one:
            await desk.publish(*numbered(0, 300), notice("presence"))
            await one.hears(300)
            await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
        assert one.frames[0]["meta_event_type"] == "lifecycle"
        assert one.texts == texts(0, 300)
        assert not any("redelivered" in frame for frame in one.messages)


async def test_a_bot_that_was_restarted_gets_what_came_in_between_in_order_and_once(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        heard: list[str] = []
        async with gateway(desk, chosen):
            for start in range(0, 150, 50):
                async with bot(chosen) as one:
                    await desk.publish(*numbered(start, start + 20))
                    await one.hears(50 if start else 20)
                    await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
                heard += one.texts
                await desk.publish(*numbered(start + 20, start + 50))
            assert heard == texts(0, 120)
            assert not await desk.pending("onebot"), "nothing is read while no bot is connected"
            async with bot(chosen) as one:
                await one.hears(30)
            assert one.texts == texts(120, 150)


async def test_a_bot_that_hangs_is_closed_and_its_events_come_again(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options(confirm_seconds=CONFIRM)
        async with gateway(desk, chosen):
            async with silent_bot(chosen, reads=True) as heard:
                await desk.publish(*numbered(0, 130))
                await wait_until(lambda: len(heard) >= 102, "a window of events")
                assert sum(frame["post_type"] == "message" for frame in heard) == 100
                await wait_until(lambda: desk.has_group("onebot"), "the group")
            async with bot(chosen) as one:
                await one.hears(130)
                await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
            assert one.texts == texts(0, 130)
            first = [frame for frame in heard if frame["post_type"] == "message"]
            assert [frame["message_id"] for frame in one.messages[:100]] == [f["message_id"] for f in first]
            assert [frame.get("redelivered", False) for frame in one.messages] == [True] * 100 + [False] * 30


async def test_a_bot_that_never_reads_costs_the_others_of_its_gateway_a_bounded_time(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen, other = options(confirm_seconds=CONFIRM), options(app="other")
        # Larger than what the sockets hold.
        large = [message("x" * 40_000, "group:2") for _ in range(600)]
        async with (
            gateway(desk, chosen),
            gateway(desk, other),
            silent_bot(chosen, reads=False),
            bot(chosen) as one,
            bot(other) as two,
        ):
            await desk.publish(*large)
            await two.hears(600, 60)
            await one.hears(600, 60)
            assert len(one.messages) == 600
            await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
            assert not any(frame.get("redelivered") for frame in two.messages)


async def test_gateways_of_one_name_share_and_gateways_of_two_names_both_get_all(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        first, second, other = options(), options(), options(app="other")
        async with (
            gateway(desk, first),
            gateway(desk, second),
            gateway(desk, other),
            bot(first) as one,
            bot(second) as two,
            bot(other) as three,
        ):
            for start in range(0, 200, 10):
                await desk.publish(*numbered(start, start + 10))
                await three.hears(start + 10)
            await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
            assert three.texts == texts(0, 200)
            assert sorted(one.texts + two.texts, key=int) == texts(0, 200)
            for shared in (one, two):
                assert shared.texts == sorted(shared.texts, key=int)


async def test_events_that_are_too_old_are_acknowledged_unsent(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen, patient = options(max_age=60.0), options(app="patient", max_age=0.0)
        async with gateway(desk, chosen), gateway(desk, patient):
            old = int(time.time() * 1000) - 120_000
            for number in range(5):
                await desk.client.execute_command(  # type: ignore[no-untyped-call]
                    "XADD", desk.key("inbound"), f"{old}-{number}", *fields(message(f"old {number}"))
                )
            await desk.publish(*numbered(0, 3))
            async with bot(chosen) as one, bot(patient) as two:
                await one.hears(3)
                await two.hears(8)
                await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
            assert one.texts == texts(0, 3)


async def test_a_new_group_begins_now_before_a_bot_comes(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        await desk.publish(*numbered(0, 3))
        chosen = options()
        async with gateway(desk, chosen):
            await desk.publish(*numbered(3, 5))
            async with bot(chosen) as one:
                await one.hears(2)
            assert one.texts == texts(3, 5)


async def test_what_one_bot_has_confirmed_is_done_though_another_was_cut(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options(confirm_seconds=CONFIRM)
        async with gateway(desk, chosen), bot(chosen) as one:
            async with silent_bot(chosen, reads=True) as heard:
                await desk.publish(*numbered(0, 10))
                await one.hears(10)
                await wait_until(lambda: len(heard) >= 12, "the other one has them too")
                assert await desk.pending("onebot") == 10
            await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
            async with bot(chosen) as three:
                await desk.publish(*numbered(10, 12))
                await three.hears(2)
            assert three.texts == texts(10, 12)


async def test_api_hears_nothing_and_confirms_nothing(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        async with gateway(desk, chosen):
            async with bot(chosen, "/api") as one:
                assert (await one.call("get_status"))["data"]["online"] is True
                await desk.publish(*numbered(0, 2))
                assert (await one.call("get_login_info"))["data"]["user_id"] == 10001
                assert one.frames == []
            async with bot(chosen, "/event") as two:
                await two.hears(2)
                await two.socket.send('{"action": "get_status", "echo": 7}')
                await wait_until(lambda: any(frame.get("echo") == 7 for frame in two.frames), "an answer")
                assert two.frames[-1]["retcode"] == 1400


async def test_own_messages_are_passed_on_only_if_asked_for(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen, telling = options(), options(app="telling", reports_self=True)
        async with gateway(desk, chosen), gateway(desk, telling), bot(chosen) as one, bot(telling) as two:
            await desk.publish(message("mine", own=True), message("yours"))
            await one.hears(1)
            await two.hears(2)
            assert one.texts == ["yours"]
            assert [frame["post_type"] for frame in two.messages] == ["message_sent", "message"]


async def test_a_change_of_the_session_is_a_heartbeat_at_once(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        async with gateway(desk, chosen), bot(chosen) as one:
            await set_status(desk, "offline")
            await wait_until(
                lambda: any(frame.get("status") == {"online": False, "good": False} for frame in one.frames),
                "a heartbeat that says offline",
            )
            await _kick(desk)
            await wait_until(lambda: one.of("notice"), "the notice of a kick")
            assert one.of("notice")[0]["notice_type"] == "bot_offline"
            assert one.of("notice")[0]["message"] == "elsewhere"


async def _kick(desk: Desk) -> None:
    row = dict(zip(*[iter(fields(notice()))] * 2, strict=True))
    row |= {"type": "session.kicked", "chat": "", "sender": ""}
    row |= {"body": pack({"reason": "kicked", "detail": "elsewhere"})}
    await desk.client.xadd(desk.key("inbound"), row)


async def test_a_gateway_that_is_killed_delivers_again_in_order(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        line = ("-m", "consumers.onebot", "--listen", chosen.listen)
        async with program(desk, *line) as process:
            await process.says("bots connect to", 60)
            async with silent_bot(chosen, reads=True) as heard:
                await desk.publish(*numbered(0, 40))
                await wait_until(lambda: len(heard) >= 42, "events that are not confirmed")
                process.kill()
                await process.ended()
        await desk.publish(*numbered(40, 60))
        async with program(desk, *line) as process:
            await process.says("bots connect to", 60)
            async with bot(chosen) as one:
                await one.hears(60)
                await wait_until(lambda: desk.all_done("onebot"), "all acknowledged", 60)
            process.terminate()
            assert await process.ended(60) == 0
            assert "Traceback" not in process.output
        assert one.texts == texts(0, 60)
        assert [frame.get("redelivered", False) for frame in one.messages] == [True] * 40 + [False] * 20


async def test_bots_are_refused_until_the_account_is_known(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        chosen = options()
        async with gateway(desk, chosen):
            with pytest.raises(InvalidStatus) as refused:
                async with bot(chosen):
                    raise AssertionError("the bot was accepted")
            assert refused.value.response.status_code == 503
            await set_status(desk)
            await wait_until(lambda: _can_connect(chosen), "accepted", 20)


async def _can_connect(chosen: Any) -> bool:
    try:
        async with bot(chosen):
            return True
    except InvalidStatus:
        return False


async def test_what_is_read_of_large_events_is_bounded_from_the_first_batch_on(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        size = 200_000
        async with gateway(desk, chosen):
            large = message("x" * size, "group:2")
            async with desk.client.pipeline(transaction=False) as pipe:
                for _ in range(200):
                    pipe.execute_command("XADD", desk.key("inbound"), "*", *fields(large))
                await pipe.execute()
            async with silent_bot(chosen, reads=True) as heard:
                most = 0

                async def is_full() -> bool:
                    nonlocal most
                    most = max(most, await desk.pending("onebot"))
                    # Lifecycle and heartbeat come first.
                    return 30 + 2 < len(heard) == most + 2

                await wait_until(is_full, "as many as it takes unconfirmed", 60)
                # The text stands in the entry twice, as field and as segment.
                assert most * size * 2 <= BYTES + size * 2
