"""Fuzz the gateway: whatever comes in, each frame and each request gets the product's own answer."""

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from tests.support.bus_events import desk_at
from tests.support.gateway_harness import Bot, bot, gateway, options, set_status, stub_adapter
from tests.support.helpers import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

ACTIONS = (
    *("send_msg", "send_group_msg", "send_private_msg_async", "delete_msg", "get_msg", "get_status"),
    *("get_group_msg_history", "get_friend_list", "get_group_member_info", "set_group_add_request"),
    *(".handle_quick_operation", "get_stranger_info", "get_nothing", "", "can_send_image", "__class__"),
)
NAMES = (
    *("user_id", "group_id", "message", "message_id", "message_type", "auto_escape", "flag", "approve"),
    *("count", "context", "operation", "reply", "sender", "post_type", "echo", "qq:session", "remark"),
)
# Frames on their way at a time.
BATCH = 200


def value(chance: random.Random, depth: int = 0) -> Any:
    """Return any JSON value, often one that an action nearly takes."""
    kinds: list[Any] = [
        *(None, True, False, 0, -1, 2**31, 2**53, 2**70, 1.5, -0.0, "", " ", "2", "-5", "x" * 200),
        *("[CQ:at,qq=all]", "[CQ:face,id=", "group:2", "\ud800", "\x00\u202e", "null", "[1]", "../..", "{}"),
    ]
    if depth > 3 or chance.random() < 0.7:
        return chance.choice(kinds)
    if chance.random() < 0.5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if chance.random() < 0.5:
        kind = chance.choice(["text", "face", "at", "reply", "image", "dice", "node", 1, None])
        return {"type": kind, "data": value(chance, depth + 1)}
    return {chance.choice(NAMES): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def frame(chance: random.Random, number: int) -> str | bytes:
    """Return a frame with an echo by which its answer is found, or one that is no JSON."""
    if chance.random() < 0.1:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(30)))
    params = (
        value(chance)
        if chance.random() < 0.2
        else {chance.choice(NAMES): value(chance) for _ in range(chance.randrange(5))}
    )
    said: dict[str, Any] = {"action": chance.choice(ACTIONS), "params": params, "echo": number}
    if chance.random() < 0.1:
        said[chance.choice(["action", "params"])] = value(chance)
    text = json.dumps(said)
    return text[: chance.randrange(len(text))] if chance.random() < 0.05 else text


async def fuzz_frames(one: Bot, count: int, seed: int) -> None:
    """Send frames and wait for as many answers."""
    chance = random.Random(seed)
    for start in range(0, count, BATCH):
        one.frames.clear()
        batch = min(BATCH, count - start)
        for number in range(batch):
            await one.socket.send(frame(chance, start + number))
        await wait_until(lambda batch=batch: _answers(one) >= batch, f"{batch} answers, seed {seed}", 60)
        assert _answers(one) == batch
        for answer in one.frames:
            if "retcode" in answer:
                assert {"status", "retcode", "data", "message", "wording"} <= set(answer), answer
                assert answer["retcode"] in {0, 1, 1200, 1400, 1403, 1404, 1408, 1429}, answer


def _answers(one: Bot) -> int:
    return sum("retcode" in each for each in one.frames)


async def fuzz_requests(client: httpx.AsyncClient, count: int, seed: int) -> None:
    """Post requests; each is answered by JSON of ours."""
    chance = random.Random(seed)

    async def post() -> None:
        action = chance.choice(ACTIONS) or "x"
        content = frame(chance, 0)
        kind = chance.choice(["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
        answer = await client.post(f"/{action}", content=content, headers={"Content-Type": kind})
        assert answer.status_code in {200, 400, 404}, (answer.status_code, content)
        assert answer.json()["status"] in {"ok", "failed", "async"}

    for start in range(0, count, 10):
        await asyncio.gather(*[post() for _ in range(min(10, count - start))])


async def _fuzz(redis_url: str, prefix: str, frames: int, requests: int) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        await desk.client.xadd(desk.key("session"), {"state": "qr", "text": "a-secret-code"})
        chosen = options(expires=5.0)
        async with (
            gateway(desk, chosen),
            stub_adapter(desk),
            bot(chosen) as one,
            httpx.AsyncClient(base_url=f"http://{chosen.listen}", timeout=60) as client,
        ):
            seed = random.randrange(2**32)
            await fuzz_frames(one, frames, seed)
            await fuzz_requests(client, requests, seed)
            assert (await one.call("get_status"))["data"] == {"online": True, "good": True}
            assert not any("a-secret-code" in str(each) for each in one.frames)


async def test_every_frame_and_every_request_is_answered(redis_url: str, prefix: str) -> None:
    await _fuzz(redis_url, prefix, 2_000, 300)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_hundred_thousand_are_answered(redis_url: str, prefix: str) -> None:
    await _fuzz(redis_url, prefix, 90_000, 10_000)
