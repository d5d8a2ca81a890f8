"""Prove tail, send, contacts, control and dead: the commands that read and write streams."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgpack
import pytest

from adapter.bus.bus import Bus
from tests.support.cli import GOLDENS, Cli, alive, command_line, ended, lines_of, publish, running
from tests.support.helpers import wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture
def cli(bus: Bus, redis_url: str) -> Iterator[Cli]:
    with command_line(bus, redis_url) as made:
        yield made


# --- tail -------------------------------------------------------------------------------------------


async def test_tail_shows_one_harmless_line_an_event_and_ends_quietly(cli: Cli, bus: Bus) -> None:
    await publish(bus, "message.friend", text="before")
    process = cli.start("tail", "--since", "0")
    assert (await lines_of(process, 1))[0].endswith("  message.friend  friend:3680212345  小林: before")
    await publish(bus, "message.group", text="\x1b]0;title\x07 你好\u202e\nsecond")
    await publish(bus, "message.own")
    await publish(bus, "session.kicked")
    group, own, session = await lines_of(process, 3)
    assert group.endswith("  message.group  group:2419712345 读书会  小林: ␛]0;title␇ 你好<U+202E>⏎second")
    assert own.endswith("305419896 (self): said on the phone")
    assert session.endswith("  session.kicked  session kicked – full")
    assert await ended(process) == (0, b"")


async def test_tail_begins_with_what_is_yet_to_come(cli: Cli, bus: Bus) -> None:
    await publish(bus, "message.friend", text="before")
    process = cli.start("tail", "--json", "--type", "message.group", "--type", "notice")

    async def reading() -> bool:
        rows: Any = await bus.client.client_list()
        return any(row["cmd"] == "xread" for row in rows)

    await wait_until(reading, "tail reads")
    await publish(bus, "message.friend", text="unwanted")
    await publish(bus, "message.group", text="\x9b wanted")
    await publish(bus, "notice.other")
    first, second = [json.loads(line) for line in await lines_of(process, 2)]
    assert (first["text"], first["body"]["segments"][1]["data"]["name"]) == ("\x9b wanted", "微笑")
    assert second["type"] == "notice.other"
    assert await ended(process) == (0, b"")


async def test_tail_survives_a_body_that_is_no_map(cli: Cli, bus: Bus) -> None:
    await bus.client.xadd(bus.keys("inbound"), {"type": "message.group", "body": b"\xc1"})
    process = cli.start("tail", "--since", "10m")
    assert "message.group" in (await lines_of(process, 1))[0]
    await ended(process)


@pytest.mark.parametrize("line", [["tail", "--since", "0"], ["status", "--watch", "0.2"]])
async def test_a_reader_that_has_gone_is_no_traceback(cli: Cli, bus: Bus, line: list[str]) -> None:
    for _ in range(2):
        await publish(bus, "message.group")
    process = cli.start(*line)
    await lines_of(process, 1)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    await publish(bus, "message.group")
    assert await anyio.to_thread.run_sync(process.wait, 15) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


# --- send, contacts, orders: with an adapter --------------------------------------------------------


@pytest.mark.timeout(180)  # two dozen commands, each a process
async def test_a_person_uses_a_running_adapter(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with running(bus, redis_url, tmp_path) as (it, cli):
        await it.adapter()
        found = await cli("contacts", "friends", "小林", "--json")
        assert found.code == 0
        friend = json.loads(found.out)
        assert friend["qq"] == "10001"
        to = friend["address"]

        sent = await cli("send", to, "hello", "[微笑]", "--id", "me/1", "--wait")
        assert (sent.code, sent.out, sent.err) == (0, "sent  ok  0 send ok\n", "")
        again = await cli("send", to, "hello", "[微笑]", "--id", "me/1", "--wait", "--json")
        assert (again.code, json.loads(again.out)["replayed"]) == (0, "1")
        piped = await cli("send", to, "-", "--wait", "10", stdin="two\nlines\n")
        assert piped.code == 0
        received = await it.sim.wait_received(2)
        assert [message.text for message in received] == ["hello [微笑]", "two\nlines"]

        lost = await cli("send", "friend:1", "x", "--wait")
        assert (lost.code, lost.out) == (
            1,
            "failed  target.unknown  friend:1 cannot be reached in this session\n",
        )
        assert (await cli("pause")).code == 0
        late = await cli("send", to, "x", "--wait", "--expires", "0.1", "--priority", "bulk")
        assert (late.code, late.out) == (1, "expired  expired\n")
        held = await cli("send", to, "held", "--wait", "0.5")
        assert held.code == 1
        assert "no result of" in held.err
        assert "`qqbus resume`" in (await cli("status")).out
        assert (await cli("resume")).code == 0
        assert [message.text for message in await it.sim.wait_received(3)][-1] == "held"

        queued = await cli("send", to, "last")
        assert re.fullmatch(r"queued as \d+-\d+\n", queued.out)
        await it.sim.wait_received(4)
        assert (await cli("contacts")).out.startswith("ADDRESS ")
        members = await cli(
            "contacts",
            "members",
            json.loads((await cli("contacts", "groups", "读书", "--json")).out)["address"],
        )
        assert "赵老师" in members.out
        assert (await cli("contacts", "no-such-name")).code == 1
        checked = await cli("check")
        assert (checked.code, checked.err) == (0, "")
        assert "nothing is wrong" in checked.out


@pytest.mark.parametrize("order", ["logout", "resume", "login --timeout 0.3"])
async def test_a_command_without_an_adapter_is_refused(cli: Cli, order: str) -> None:
    done = await cli(*order.split())
    assert (done.code, done.out) == (1, "")
    assert "no adapter is running" in done.err


async def test_orders_that_concern_something_carry_it(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    await bus.ensure_group("inbound", "bot")
    await bus.client.hset(bus.keys("status"), "state", "captcha")
    assert (await cli("lapse", "bot")).code == 0
    assert (await cli("captcha", "a7Kq")).code == 0
    rows: Any = await bus.client.xrange(bus.keys("control"))
    assert [(row[b"cmd"], row.get(b"group"), row.get(b"text")) for _, row in rows] == [
        (b"lapse", b"bot", None),
        (b"captcha", None, b"a7Kq"),
    ]


async def test_orders_that_would_change_nothing_are_refused(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    await bus.ensure_group("inbound", "bot")
    lapse, captcha = await cli("lapse", "bto"), await cli("captcha", "a7Kq")
    assert (lapse.code, captcha.code) == (1, 1)
    assert "no such consumer group: there are bot" in lapse.err
    assert "asks for no captcha" in captcha.err
    assert await bus.client.xlen(bus.keys("control")) == 0


async def test_a_type_that_nothing_has_is_refused(cli: Cli) -> None:
    done = await cli("tail", "--type", "messages")
    assert done.code == 2
    assert "message.group" in done.err


# --- dead letters -----------------------------------------------------------------------------------


async def bury(bus: Bus, fields: dict[str, bytes], entry: str = "7-1", stream: str = "outbound") -> str:
    letter = dict(GOLDENS["dead"].fields) | {
        "stream": bus.keys(stream),
        "entry": entry,
        "fields": msgpack.packb(fields),
    }
    added: Any = await bus.client.xadd(bus.keys("dead"), dict[Any, Any](letter))
    return str(added.decode())


async def test_dead_letters_are_listed_redriven_once_and_dropped(cli: Cli, bus: Bus) -> None:
    assert (await cli("dead")).out == "no dead letters\n"
    named = await bury(bus, {"to": b"friend:1", "text": b"\x1b[31mred", "id": b"bot/1", "blob": b"\xff\x00"})
    bare = await bury(bus, {"to": b"friend:2"}, entry="7-2")
    listed = (await cli("dead", "list")).out
    assert "friend:1 ␛[31mred" in listed
    assert "schema.invalid: to is missing" in listed
    as_json = [json.loads(line) for line in (await cli("dead", "--json")).out.splitlines()]
    assert [row["id"] for row in as_json] == [named, bare]

    both = await Cli(cli.settings)("dead", "redrive", named, bare)
    assert both.code == 0
    again = await cli("dead", "redrive", named)
    assert (again.code, again.out) == (1, "")
    rows: Any = await bus.client.xrange(bus.keys("outbound"))
    assert [fields for _, fields in rows] == [
        {b"to": b"friend:1", b"text": b"\x1b[31mred", b"id": b"bot/1", b"blob": b"\xff\x00"},
        # The ledger knew it by its entry: under that name it is still protected.
        {b"to": b"friend:2", b"id": b"entry:7-2"},
    ]
    last = await bury(bus, {"to": b"x"})
    assert (await cli("dead", "drop", last, "1-1")).code == 1
    await bury(bus, {"to": b"x"})
    assert (await cli("dead", "drop", "--all")).out == "1 dropped\n"
    assert (await cli("dead")).out == "no dead letters\n"


async def test_a_dead_letter_goes_nowhere_but_where_requests_and_events_stand(cli: Cli, bus: Bus) -> None:
    for stream in ("session", "control", "results"):
        await bury(bus, {"a": b"b"}, stream=stream)
    done = await cli("dead", "redrive", "--all")
    assert done.code == 1
    assert done.err.count("cannot be redriven") == 3
    assert await bus.client.xlen(bus.keys("dead")) == 3
