"""Prove session_manager.py and session_requests.py: logout, kicks, stops; no secret is shown."""

import logging
from contextlib import aclosing
from pathlib import Path

import anyio
import anyio.abc
import pytest

from adapter.events import ContactList, Gap, SessionState
from adapter.networks.smartqq.upstream import SmartQQUpstream
from tests.simulator import Answer as Scripted
from tests.simulator import Simulator
from tests.support.smartqq_harness import FAST, config, friend, listening, names, online, send

pytestmark = pytest.mark.anyio


SEND = "/channel/send_buddy_msg2"


# --- leaving, being thrown out, being stopped ---


async def test_logout_says_farewell_and_stays_away(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        await listener.upstream.logout()
        change = await listener.state(SessionState.OFFLINE)
        assert change.reason == "logout"
        assert names(sim)[-1] == "logout2"
        assert "skey" not in (tmp_path / "smartqq.json").read_text(encoding="utf-8")
        await listener.upstream.login()
        await listener.state(SessionState.ONLINE, 2)
        assert listener.states[-4:] == ["starting", "qr", "scanned", "online"]


async def test_logout_while_a_code_is_shown(tmp_path: Path) -> None:
    async with Simulator("e3", auto_scan=False) as sim, listening(sim, tmp_path) as listener:
        await listener.state(SessionState.QR)
        await listener.upstream.logout()
        assert (await listener.state(SessionState.OFFLINE)).reason == "logout"


async def test_a_kick_is_told_and_answered_once(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.kick()
        change = await listener.state(SessionState.KICKED)
        assert "另一地点" in change.detail
        await listener.state(SessionState.ONLINE, 2)
        await sim.wait_poll()
        sim.kick()
        again = await listener.state(SessionState.KICKED, 2)
        assert again.reason == "kicked.again"
        since = len(sim.requests)
        await listener.upstream.login()
        await listener.state(SessionState.ONLINE, 3)
        assert listener.of(Gap)
        assert "poll2" not in names(sim, since)[:2]


async def test_stopping_does_not_wait_for_a_parked_poll(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        del listener
        with anyio.fail_after(10):
            async with SmartQQUpstream(config(sim, tmp_path), limits=FAST) as other:
                with anyio.move_on_after(0.2):
                    async with aclosing(other.events()) as events:
                        async for _ in events:
                            pass


async def test_an_operator_can_have_the_session_probed_and_opened_again(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        assert await listener.upstream.probe()
        assert listener.states[-1] == "online"
        await listener.upstream.reconnect()
        change = await listener.state(SessionState.ONLINE, 2)
        assert change.ids_changed
        await listener.upstream.connected()
        sim.network.sessions.end(100001)
        assert await listener.upstream.probe()
        assert listener.states.count("online") == 3


async def test_a_probe_that_is_overtaken_by_a_reconnect_leads_to_the_new_link(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.next_answer("/channel/get_online_buddies2", Scripted(delay=0.3))
        sim.next_poll(Scripted(json={"retcode": 103}))
        await sim.wait_delayed("/channel/get_online_buddies2")
        await listener.upstream.reconnect()
        change = await listener.state(SessionState.ONLINE, 2)
        assert change.reason == "relink"
        await listener.upstream.connected()


async def test_messages_can_be_sent_only_after_the_lists_have_been_stored(tmp_path: Path) -> None:
    async with (
        Simulator("e3") as sim,
        SmartQQUpstream(config(sim, tmp_path), limits=FAST) as upstream,
        aclosing(upstream.events()) as events,
    ):
        async for batch in events:
            with anyio.move_on_after(0) as scope:
                await upstream.connected()
            assert scope.cancelled_caught  # until the batch with the lists has been taken
            if any(isinstance(event, ContactList) for event in batch):
                break
        await anext(events)
        with anyio.fail_after(10):
            await upstream.connected()


# --- secrets ---


async def test_no_secret_is_logged_or_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = {"login": "password", "account": "305419896", "password": "secret-password"}
    async with Simulator("e1", password="secret-password") as sim:
        async with online(sim, tmp_path, settings=settings) as listener:
            await send(listener, friend(sim))
            sim.next_poll(Scripted(json={"retcode": 116, "p": "beef" * 12}), Scripted(status=502))
            sim.next_answer(SEND, Scripted(json={"retcode": 100001}), Scripted(cut="before"))
            await send(listener, friend(sim))
            sim.drop_session(cookies=True)
            await listener.state(SessionState.ONLINE, 2)
            await sim.wait_poll()
            sim.kick()
            await listener.state(SessionState.KICKED)
        shown = caplog.text + repr(listener.events) + repr(listener.upstream.__dict__)
    grants = list(sim.network.sessions.grants.values())
    secrets = ["secret-password", "beef" * 12, *sim.network.sessions.dead]
    for grant in grants:
        secrets += [grant.skey, grant.p_skey, grant.ptwebqq, grant.vfwebqq, grant.supertoken, grant.ptsigx]
    assert grants
    assert not [secret for secret in secrets if secret and secret in shown]
