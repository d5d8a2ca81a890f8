"""Proof of the listener: the token first, browsers refused, actions over HTTP."""

import contextlib
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.bus_events import desk_at, program
from tests.support.gateway_harness import bot, gateway, options, set_status, stub_adapter
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


async def test_a_token_is_asked_before_anything_else(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        chosen = options(token="se cret")
        async with gateway(desk, chosen), httpx.AsyncClient(base_url=f"http://{chosen.listen}") as client:
            for path in ("/", "/get_status", "/nothing/at/all", "/event"):
                assert (await client.get(path)).status_code == 401
                assert (await client.get(path, headers={"Authorization": "Bearer x"})).status_code == 403
                assert (await client.get(path, params={"access_token": "x"})).status_code == 403
            # Only now does it say that the account is not known.
            good = {"Authorization": "Token se cret"}
            assert (await client.get("/get_status", headers=good)).status_code == 503
            await set_status(desk)

            async def is_known() -> bool:
                return (await client.get("/get_status", headers=good)).status_code == 200

            await wait_until(is_known, "the account is known", 20)
            async with bot(chosen) as one:
                assert (await one.call("get_status"))["retcode"] == 0
            for headers, query in (
                ({"Authorization": "Bearer se cret"}, {}),
                (good, {}),
                ({}, {"access_token": "se cret"}),
            ):
                answer = await client.get("/get_status", headers=headers, params=query)
                assert (answer.status_code, answer.json()["data"]["good"]) == (200, True)
            for path in ("/", "/event", "/api"):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(f"ws://{chosen.listen}{path}")
                assert refused.value.response.status_code == 401


async def test_without_a_token_a_browser_is_refused(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        async with gateway(desk, chosen), httpx.AsyncClient(base_url=f"http://{chosen.listen}") as client:
            assert (await client.get("/get_status")).status_code == 200
            for headers in (
                {"Origin": "http://127.0.0.1"},
                {"Host": "evil.example"},
                {"Host": "127.0.0.1.evil"},
            ):
                assert (await client.get("/get_status", headers=headers)).status_code == 403
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{chosen.listen}/", origin="http://127.0.0.1")  # type: ignore[arg-type]
            assert refused.value.response.status_code == 403


async def test_actions_over_http(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        async with (
            gateway(desk, chosen),
            stub_adapter(desk) as adapter,
            httpx.AsyncClient(base_url=f"http://{chosen.listen}") as client,
        ):

            async def post(action: str, **more: Any) -> httpx.Response:
                return await client.post(f"/{action}", **more)

            said = {"group_id": 2, "message": "hi", "echo": [1]}
            answer = (await post("send_group_msg", json=said)).json()
            assert (answer["status"], answer["echo"]) == ("ok", [1])
            form = {"group_id": "2", "message": "form"}
            assert (await post("send_group_msg", data=form)).json()["retcode"] == 0
            assert (await client.get("/send_group_msg", params=form)).json()["retcode"] == 0
            assert len(adapter.requests) == 3
            assert (await post("get_nothing")).status_code == 404
            assert (await post("get_nothing")).json()["retcode"] == 1404
            for body in (b"{", b"[1]", b"\xff", b'"x"'):
                answer = (await post("get_status", content=body)).json()
                assert answer["retcode"] == 1400, body
            assert (await client.put("/get_status")).status_code == 405
            assert (await client.get("/")).status_code == 404
            assert (await post("get_status", content=b" " * (16 * 1024 * 1024 + 1))).status_code == 413


async def test_a_frame_over_the_limit_closes_with_1009(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        async with gateway(desk, chosen):
            async with connect(f"ws://{chosen.listen}/api", max_size=None) as socket:
                with contextlib.suppress(ConnectionClosed):
                    await socket.send("x" * (16 * 1024 * 1024 + 1))
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1009
            async with bot(chosen) as one:
                assert (await one.call("get_status"))["retcode"] == 0


async def test_a_port_in_use_and_a_missing_token_end_the_program_with_2(redis_url: str, prefix: str) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await set_status(desk)
        chosen = options()
        async with gateway(desk, chosen), bot(chosen):
            async with program(desk, "-m", "consumers.onebot", "--listen", chosen.listen) as second:
                assert await second.ended(60) == 2
                assert "cannot be used" in second.output
            line = ("-m", "consumers.onebot", "--listen", f"0.0.0.0:{free_port()}")
            async with program(desk, *line) as third:
                assert await third.ended(60) == 2
                assert "QQBUS_GATEWAY_TOKEN" in third.output
