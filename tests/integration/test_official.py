"""The adapter on the official API: events, answers, kills at each step, a Redis that is away, and secrets."""

import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.bus.embedded import run_server
from adapter.failpoints import Failpoint
from tests.official_server import Answer, Rule
from tests.support.helpers import wait_until
from tests.support.official_system import OfficialSystem, official_system
from tests.support.ports import free_port
from tests.support.system_harness import Program

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.fixture
async def it(bus: Bus, redis_url: str, tmp_path: Path) -> AsyncIterator[OfficialSystem]:
    async with official_system(bus, redis_url, tmp_path) as made:
        yield made


async def doomed(it: OfficialSystem, step: Failpoint) -> Program:
    """Start an adapter that is online and dies at a failpoint once it is armed."""
    it.settings["QQBUS_LEASE"] = "1"
    program = it.start("tests.chaos.crash", step.value, "1", "run")
    await it.online(program)
    await it.events(1, "session.online", 30.0)  # its own steps are over
    return program


async def arm(program: Program) -> None:
    os.kill(program.process.pid, signal.SIGUSR1)
    await wait_until(lambda: "armed" in program.text(), "the hook is armed", 20.0)


async def died(it: OfficialSystem, program: Program) -> None:
    """Wait until an adapter has killed itself; its lease ends with it."""
    assert await program.ended(60.0) == -signal.SIGKILL, program.text()
    await it.bus.client.delete(it.bus.keys("lease"))


async def test_a_message_is_answered_recalled_and_answered_by_its_event(it: OfficialSystem) -> None:
    await it.adapter()
    said = it.server.say("group:lab", "hi [微笑]", sender="ann", at=True)
    (event,) = await it.events(1)
    assert (event["type"], event["text"], event["account"]) == (
        "message.group",
        " hi [微笑]",
        it.server.appid,
    )
    assert int(event["chat"].removeprefix("group:")) < 2**53
    assert int(event["sender"]) < 2**53
    body = (await it.bodies("message."))[0]
    assert body["chat"]["identity"] == body["sender"]["identity"] == "exact"
    assert (body["sender"]["name"], body["sender"]["role"]) == ("ann", "member")
    assert "qq" not in body["sender"]
    assert body["upstream"]["group_openid"] == it.server.openid("group:lab")
    await it.ask(f"reply:{event['id']}", "by its event", id="x/1")
    await it.ask(event["chat"], "by its cause", id="x/2", cause=event["id"])
    results = {row["id"]: row for row in await it.results(2)}
    first, second = await it.server.wait_received(2)
    assert first.anchor == second.anchor == said.message_id
    assert (results["x/1"]["status"], results["x/1"]["message_id"]) == ("sent", first.id)
    await it.order(op="recall", to=event["chat"], message_id=first.id, id="x/3")
    await it.order(op="call", body='{"action":"get_status"}', id="x/4")
    rows = {row["id"]: row for row in await it.results(4)}
    assert rows["x/3"]["status"] == "sent"
    assert (rows["x/4"]["status"], rows["x/4"]["code"]) == ("failed", "content.unsupported")
    assert [one.text for one in it.server.shown] == ["by its cause"]
    await it.ask("friend:123456", "to a stranger", id="x/5")
    assert {row["id"]: row for row in await it.results(5)}["x/5"]["code"] == "target.unknown"


async def test_a_restart_without_redis_data_gives_the_same_ids_and_can_answer(it: OfficialSystem) -> None:
    program = await it.adapter()
    it.server.say("friend:ann", "one")
    (before,) = await it.events(1)
    await program.stop()
    await it.bus.client.delete(it.bus.keys("ids:permanent"), it.bus.keys("friends"))
    await it.adapter()
    await wait_until(lambda: it.bus.hgetall(it.bus.keys("friends")), "the friends", 20.0)
    await it.ask(f"reply:{before['id']}", "late", id="x/1")
    (result,) = await it.results(1)
    assert result["status"] == "sent"
    it.server.say("friend:ann", "two")
    rows = await it.events(2)
    assert rows[0]["chat"] == rows[1]["chat"]


async def test_two_copies_and_two_forms_of_a_message_are_one_event(it: OfficialSystem) -> None:
    it.server.change("group:lab", receives="all")
    it.server.set(full_at="both")
    await it.adapter()
    it.server.say("group:lab", "hi", sender="ann", at=True, attachments=[{"kind": "image"}])
    it.server.repeat()
    it.server.notify("FRIEND_ADD", "friend:bob")
    it.server.repeat()
    it.server.say("friend:ann", "end")
    await wait_until(lambda: _has(it, "end"), "the last message", 20.0)
    rows = [row for row in await it.rows("inbound") if not row["type"].startswith("session.")]
    assert [row["type"] for row in rows] == ["message.group", "notice.friend", "message.friend"]


async def _has(it: OfficialSystem, text: str) -> bool:
    return text in await it.texts()


@pytest.mark.parametrize(
    "step", [Failpoint.RECEIVED, Failpoint.SPOOLED, Failpoint.APPENDED, Failpoint.DRAINED]
)
async def test_a_kill_between_a_dispatch_and_its_storing_loses_and_doubles_nothing(
    step: Failpoint, it: OfficialSystem
) -> None:
    program = await doomed(it, step)
    await arm(program)
    it.server.say("friend:ann", "in the way")
    it.server.say("friend:bob", "behind it")
    await died(it, program)
    it.server.say("friend:ann", "while away")
    await it.adapter()
    it.server.say("friend:ann", "after it")
    await wait_until(lambda: _has(it, "after it"), "the last message", 30.0)
    assert await it.texts() == ["in the way", "behind it", "while away", "after it"]
    assert not [row for row in await it.rows("inbound") if row["type"] == "session.gap"]


async def test_a_kill_before_anything_was_stored_resumes_the_first_session(it: OfficialSystem) -> None:
    program = it.start("tests.chaos.crash", Failpoint.RECEIVED.value, "2", "armed", "run")
    await it.server.wait_connected(45.0)
    it.server.say("friend:ann", "in the way")
    await died(it, program)
    it.server.say("friend:ann", "while away")
    await it.adapter()
    await it.events(2, seconds=30.0)
    assert await it.texts() == ["in the way", "while away"]


async def test_a_session_that_was_lost_meantime_is_exactly_one_gap(it: OfficialSystem) -> None:
    program = await it.adapter()
    it.server.say("friend:ann", "before")
    await it.events(1)
    os.kill(program.process.pid, signal.SIGKILL)
    await program.ended()
    await it.server.invalidate(quiet=True)
    await it.bus.client.delete(it.bus.keys("lease"))
    await it.adapter()
    it.server.say("friend:ann", "after")
    await it.events(2)
    assert len([row for row in await it.rows("inbound") if row["type"] == "session.gap"]) == 1


@pytest.mark.parametrize("step", [Failpoint.SPOOLED, Failpoint.APPENDED])
async def test_a_kill_right_after_identify_leaves_one_gap_and_resumes_the_new_session(
    step: Failpoint, it: OfficialSystem
) -> None:
    program = await doomed(it, step)
    it.server.say("friend:ann", "before")
    await it.events(1)
    await arm(program)
    await it.server.invalidate()
    await died(it, program)
    it.server.say("friend:ann", "while away")
    await it.adapter()
    await it.events(2, seconds=30.0)
    assert await it.texts() == ["before", "while away"]
    assert len([row for row in await it.rows("inbound") if row["type"] == "session.gap"]) == 1
    assert [one.entry for one in it.server.record.connections] == ["identify", "identify", "resume"]


async def test_another_machine_resumes_the_session_without_a_gap(it: OfficialSystem) -> None:
    it.settings["QQBUS_LEASE"] = "2"
    first = await it.adapter()
    second = it.start("adapter", "run", state="another")
    it.server.say("friend:ann", "one")
    await it.events(1)
    os.kill(first.process.pid, signal.SIGKILL)
    it.server.say("friend:ann", "two")
    await it.online(second)
    it.server.say("friend:ann", "three")
    await it.events(3, seconds=30.0)
    assert await it.texts() == ["one", "two", "three"]
    assert not [row for row in await it.rows("inbound") if row["type"] == "session.gap"]
    # The first machine comes back: what it knows itself is older.
    third = it.start("adapter", "run")
    os.kill(second.process.pid, signal.SIGKILL)
    it.server.say("friend:ann", "four")
    await it.online(third)
    await it.events(4, seconds=30.0)
    assert await it.texts() == ["one", "two", "three", "four"]
    assert [one.entry for one in it.server.record.connections] == ["identify", "resume", "resume"]


@pytest.mark.parametrize("step", [Failpoint.BEGUN, Failpoint.ANSWERED, Failpoint.STEPPED, Failpoint.SETTLED])
async def test_an_anchored_send_repeated_after_a_kill_reaches_the_chat_once(
    step: Failpoint, it: OfficialSystem
) -> None:
    program = await doomed(it, step)
    it.server.say("friend:ann", "hi")
    (event,) = await it.events(1)
    await arm(program)
    await it.ask(event["chat"], "once " * 1_500, id="x/1", delivery="at-least-once")
    await died(it, program)
    it.server.say("friend:ann", "a newer message to answer")
    await it.adapter()
    (result,) = await it.results(1, 30.0)
    assert (result["status"], result["parts"]) == ("sent", "2/2")
    counts = Counter(one.text for one in it.server.shown)
    assert set(counts.values()) == {1}
    assert "".join(counts) == "once " * 1_500


async def test_4009_every_second_and_a_redis_that_is_away_lose_nothing(tmp_path: Path) -> None:
    # A second stands for the few seconds of the gateway, five of them for the minute without Redis: what
    # matters is that the connection expires several times within the outage.
    url = f"redis://127.0.0.1:{(port := free_port())}"
    async with Bus.open(url, "qq") as bus, official_system(bus, url, tmp_path, expire_every=1.0) as it:
        it.settings["QQBUS_LEASE"] = "30"
        async with run_server(tmp_path / "redis", port):
            program = await it.adapter()
            for number in range(20):
                it.server.say("friend:ann", f"m{number}")
            await it.events(20, seconds=30.0)
        connections = it.server.record.count("connections")
        for number in range(20, 60):
            it.server.say("friend:ann", f"m{number}")
        await it.server.wait(
            lambda: it.server.record.count("connections") >= connections + 4, "four connections", 60.0
        )
        async with run_server(tmp_path / "redis", port):
            it.server.say("friend:ann", "m60")
            await wait_until(lambda: _has(it, "m60"), "the last message", 60.0)
            assert await it.texts() == [f"m{number}" for number in range(61)]
            assert not [row for row in await it.rows("inbound") if row["type"] == "session.gap"]
            assert await program.stop() == 0


async def test_a_bot_is_bound_by_the_code_on_the_session_stream(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with official_system(bus, redis_url, tmp_path, is_bound=False) as it:
        program = it.start("adapter", "run")

        async def code() -> list[dict[str, str]]:
            return [row for row in await it.rows("session") if row["state"] == "qr"]

        (row,) = await wait_until(code, "the code", 30.0)
        assert row["text"].startswith(f"{it.server.url}/qqbot/openclaw/connect.html?task_id=")
        it.server.scan()
        await it.online(program)
        assert await program.stop() == 0
        await it.adapter()
        assert len(await code()) == 1


async def test_no_secret_is_on_the_bus_in_a_log_or_in_the_state_folder_but_the_bound_one(
    it: OfficialSystem,
) -> None:
    it.server.set(union_openids=True, expire_every=1.5)
    it.server.change("group:lab", receives="all")
    it.server.add_rule(Rule("send", Answer(code=40034006), every=7))
    it.server.add_rule(Rule("gateway", Answer(status=502), every=5))
    program = await it.adapter(QQBUS_LOG_LEVEL="DEBUG", QQBUS_RAW="1")
    for number in range(150):
        files = [{"kind": kind, "name": f"{kind}{number}"} for kind in ("image", "voice", "video", "file")]
        quote = {"text": "before", "author": "x", "attachments": files[:1]} if number % 3 else None
        it.server.say("friend:ann", f"m{number}", attachments=files, quote=quote)
        it.server.say("group:lab", f"g{number}", sender="bob", at=bool(number % 2), attachments=files[:2])
        it.server.notify("INTERACTION_CREATE", "friend:ann")
    it.server.push("NEW_EVENT", {"id": "n", "url": "https://h/?a=1&rkey=" + "R" * 40, "auth_token": "T" * 40})
    await it.server.push_frame({"op": 0, "t": 7, "d": "auth_token=" + "T" * 40})
    rows = await it.events(300, seconds=60.0)
    for number, row in enumerate(rows[:30]):
        await it.ask(f"reply:{row['id']}", f"re {number}", id=f"x/{number}")
    it.server.revoke_tokens()
    await it.results(30, 60.0)
    await it.server.kill(4009)
    it.server.say("friend:ann", "the end")
    await wait_until(lambda: _has(it, "the end"), "the last message", 30.0)
    assert await program.stop() == 0
    secrets = [one.encode() for one in [*it.server.secrets(), "R" * 40, "T" * 40]]
    assert len(secrets) > 500
    found = "\n".join(map(str, [*await _dump(it), *_files(it)])).encode("latin-1", "replace")
    words = set(re.findall(rb"[A-Za-z0-9_=-]{16,}", found))
    assert not [one for one in secrets if one in words or one in found]
    for name in (b"auth_token", b"rkey"):
        assert name not in found


async def _dump(it: OfficialSystem) -> list[object]:
    """Return all that Redis holds of the bus, packed values opened."""
    dump: list[object] = []
    async for key in it.bus.client.scan_iter(match=f"{it.bus.keys.prefix}:*"):
        kind = await it.bus.client.type(key)
        if kind == b"stream":
            dump += [_open(value) for _, row in await it.bus.client.xrange(key) for value in row.values()]
        elif kind == b"hash":
            dump += [_open(value) for value in (await it.bus.client.hgetall(key)).values()]
        dump.append(key)
    assert len(dump) > 1_000
    return dump


def _open(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return msgpack.unpackb(value, strict_map_key=False)


def _files(it: OfficialSystem) -> list[str]:
    """Return what lies in the folder: logs, spool, store."""
    return [path.read_bytes().decode("latin-1") for path in sorted(it.folder.rglob("*")) if path.is_file()]
