"""Proof of adapter/ops/commands: the real command line against a real server, adapter and simulator."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgpack
import pytest

from adapter.bus.embedded import free_port
from adapter.bus.streams import Bus
from adapter.contract.samples import goldens
from adapter.ops.terminal import plain
from tests.helpers import clean_environment, wait_until
from tests.system import System, system

pytestmark = pytest.mark.anyio

GOLDENS = {golden.name: golden for golden in goldens()}
LINE = [sys.executable, "-m", "adapter"]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    """Runs commands against one server and prefix."""

    settings: dict[str, str]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    async def __call__(self, *arguments: str, stdin: str = "", **settings: str) -> Done:
        with anyio.fail_after(30):
            done = await anyio.run_process(
                [*LINE, *arguments],
                input=stdin.encode(),
                env=clean_environment(**(self.settings | settings)),
                check=False,
            )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self, *arguments: str, stdout: int = subprocess.PIPE, **settings: str
    ) -> "subprocess.Popen[bytes]":
        """Start a command that does not end by itself; `over` ends it, whatever happens."""
        process = subprocess.Popen(
            [*LINE, *arguments],
            env=clean_environment(**(self.settings | settings)),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    def over(self) -> None:
        """End what was started."""
        for process in self.processes:
            process.kill()
            with process:
                pass


@pytest.fixture
def cli(bus: Bus, redis_url: str) -> Iterator[Cli]:
    made = Cli({"REDIS_URL": redis_url, "QQBUS_PREFIX": bus.keys.prefix})
    yield made
    made.over()


@asynccontextmanager
async def running(
    bus: Bus, redis_url: str, folder: Path, **options: Any
) -> AsyncIterator[tuple[System, Cli]]:
    async with system(bus, redis_url, folder, **options) as it:
        cli = Cli(it.settings)
        try:
            yield it, cli
        finally:
            cli.over()


async def publish(bus: Bus, name: str, **changes: str) -> None:
    await bus.client.xadd(bus.keys("inbound"), dict[Any, Any](GOLDENS[name].fields | changes))


async def alive(bus: Bus, **figures: str) -> None:
    """As if an adapter were running."""
    await bus.client.set(bus.keys("lease"), "host:1:x", ex=60)
    await bus.client.hset(bus.keys("status"), mapping=dict[Any, Any](GOLDENS["status"].fields | figures))


# --- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        ["status"],
        ["send", "friend:1", "x"],
        ["login"],
        ["check"],
    ],
)
async def test_no_redis_is_exit_code_3_in_words(line: list[str]) -> None:
    url = f"redis://user:secret@127.0.0.1:{free_port()}"
    done = await Cli({"REDIS_URL": url})(*line)
    assert (done.code, done.out) == (3, "")
    assert "no Redis answers at redis://127.0.0.1" in done.err
    assert "secret" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["send", "frend:1", "x"], "is not one of friend:<id>"),
        (["send", "friend:1", " "], "nothing to say"),
        (["send", "friend:1", "x", "--id", "a b"], "id is not"),
        (["send", "friend:1", "x", "--expires", "soon"], "expires is neither"),
        (["send", "friend:1", "x" * 40_000], "over the limit"),
        (["send", "friend:1"], "required: TEXT"),
        (["tail", "--since", "yesterday"], "neither an entry id"),
        (["contacts", "members"], "members of what"),
        (["contacts", "members", "friend:1"], "has no members"),
        (["dead", "redrive"], "give ids, or --all"),
        (["dead", "drop", "x"], "is not the id of an entry"),
        (["acl", "king"], "invalid choice"),
        (["check", "python"], "--worker"),
        (["nonsense"], "invalid choice"),
        ([], "required: COMMAND"),
    ],
)
async def test_bad_use_is_exit_code_2_and_nothing_reaches_the_bus(
    cli: Cli, bus: Bus, line: list[str], words: str
) -> None:
    done = await cli(*line)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not await bus.client.exists(bus.keys("outbound"))


async def test_a_bad_setting_is_exit_code_2_and_names_its_variable(cli: Cli) -> None:
    done = await cli("status", QQBUS_PREFIX="a b")
    assert done.code == 2
    assert "QQBUS_PREFIX" in done.err


async def test_a_password_that_is_wrong_is_exit_code_3(cli: Cli) -> None:
    done = await cli("status", REDIS_URL=cli.settings["REDIS_URL"].replace("://", "://nobody:secret@"))
    assert done.code == 3
    assert "does not let us in" in done.err
    assert "secret" not in done.err


async def test_a_terminal_that_is_not_utf_8_is_no_traceback(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    done = await cli("status", PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "\\u5c0f\\u6865" in done.out


# --- status ---------------------------------------------------------------------------------------


async def test_status_of_an_empty_bus_says_what_to_start(cli: Cli) -> None:
    done = await cli("status")
    assert (done.code, done.err) == (0, "")
    assert "start one with `qqbus run`" in done.out


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"state": "qr"}, "run `qqbus login`"),
        ({"state": "scanned"}, "confirm the login on the phone"),
        ({"state": "kicked"}, "close WebQQ there"),
        ({"state": "offline", "reason": "network"}, "SmartQQ does not answer"),
        ({"state": "online", "paused": "1"}, "`qqbus resume`"),
        ({"state": "online"}, "messages flow"),
        ({"state": "later"}, "later"),
    ],
)
async def test_status_says_what_to_do(cli: Cli, bus: Bus, figures: dict[str, str], words: str) -> None:
    await alive(bus, **figures)
    assert words in (await cli("status")).out


async def test_status_of_an_adapter_that_was_killed_does_not_say_online(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    await bus.client.delete(bus.keys("lease"))
    out = (await cli("status")).out
    assert "no adapter is running" in out
    assert "online" not in out


async def test_status_names_the_groups_that_are_behind(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    await bus.make_group("inbound", "bot")
    for seq in "123":
        await publish(bus, "message.group", seq=seq)
    await bus.client.xreadgroup("bot", "c", {bus.keys("inbound"): ">"}, count=1)
    lines = (await cli("status")).out.splitlines()
    assert lines[-2].split() == ["GROUP", "CONSUMERS", "UNREAD", "UNFINISHED", "OLDEST"]
    assert lines[-1].split()[:4] == ["bot", "1", "2", "1"]
    told = json.loads((await cli("status", "--json")).out)
    assert (told["state"], told["adapter"], told["entries"]["inbound"]) == ("online", True, 3)
    assert told["groups"][0]["lag"] == 2


async def test_status_again_and_again_ends_with_ctrl_c(cli: Cli) -> None:
    process = cli.start("status", "--watch", "0.2", "--json")
    assert process.stdout
    for _ in range(2):
        assert "entries" in json.loads(await anyio.to_thread.run_sync(process.stdout.readline))
    process.send_signal(signal.SIGINT)
    _, errors = await finished(process)
    assert (process.returncode, errors) == (0, b"")


# --- tail -----------------------------------------------------------------------------------------


async def lines_of(process: "subprocess.Popen[bytes]", count: int) -> list[str]:
    assert process.stdout
    with anyio.fail_after(15):
        return [
            (await anyio.to_thread.run_sync(process.stdout.readline, abandon_on_cancel=True))
            .decode()
            .rstrip("\n")
            for _ in range(count)
        ]


async def ended(process: "subprocess.Popen[bytes]", number: int = signal.SIGINT) -> tuple[int, bytes]:
    process.send_signal(number)
    _, errors = await finished(process)
    return process.returncode, errors


async def finished(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    return await anyio.to_thread.run_sync(lambda: process.communicate(timeout=15))


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


# --- send, contacts, orders: with an adapter -------------------------------------------------------


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
        assert (await cli("contacts", "nobody-of-that-name")).code == 1
        checked = await cli("check")
        assert (checked.code, checked.err) == (0, "")
        assert "nothing is wrong" in checked.out


@pytest.mark.parametrize("order", ["logout", "resume", "login --timeout 0.3"])
async def test_an_order_that_nobody_would_hear_is_refused(cli: Cli, order: str) -> None:
    done = await cli(*order.split())
    assert (done.code, done.out) == (1, "")
    assert "no adapter is running" in done.err


async def test_orders_that_concern_something_carry_it(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    assert (await cli("lapse", "bot")).code == 0
    assert (await cli("captcha", "a7Kq")).code == 0
    rows: Any = await bus.client.xrange(bus.keys("control"))
    assert [(row[b"cmd"], row.get(b"group"), row.get(b"text")) for _, row in rows] == [
        (b"lapse", b"bot", None),
        (b"captcha", None, b"a7Kq"),
    ]


# --- dead letters ---------------------------------------------------------------------------------


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


# --- login ----------------------------------------------------------------------------------------


async def test_login_draws_the_code_and_follows_it_to_the_end(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with running(bus, redis_url, tmp_path) as (it, cli):
        it.sim.set(auto_scan=False)
        it.start("adapter", "run")
        process = cli.start("login")
        lines = await lines_of(process, 1)
        while "scan this with QQ" not in lines[-1]:
            lines += await lines_of(process, 1)
        drawn = [line for line in lines if "█" in line]
        assert len(drawn) > 15
        assert len({len(line) for line in drawn}) == 1
        it.sim.expire()
        # Another code, then the way in.
        while sum("scan this with QQ" in line for line in lines) < 2:
            lines += await lines_of(process, 1)
        assert "that code is no longer valid, here is another" in lines
        it.sim.scan()
        while "confirm the login on the phone" not in lines[-1]:
            lines += await lines_of(process, 1)
        it.sim.confirm()
        while "online as" not in lines[-1]:
            lines += await lines_of(process, 1)
        assert lines[-1] == "online as 305419896 小桥"
        assert await anyio.to_thread.run_sync(process.wait, 15) == 0
        process.communicate()
        # Whoever asks again is told, and nothing is asked.
        commands = await bus.client.xlen(bus.keys("control"))
        done = await cli("login")
        assert (done.code, done.out) == (0, "already online as 305419896 小桥; --force logs in again\n")
        assert await bus.client.xlen(bus.keys("control")) == commands


async def session_entry(bus: Bus, name: str, **changes: str | bytes) -> None:
    entry = dict(GOLDENS[f"session-stream.{name}"].fields) | changes
    await bus.client.xadd(bus.keys("session"), dict[Any, Any](entry))


async def test_a_code_that_shows_already_is_drawn_and_none_is_asked_for(cli: Cli, bus: Bus) -> None:
    await alive(bus, state="qr")
    await session_entry(bus, "qr", expires="2099-01-01T00:00:00.000Z", text="https://example.invalid/code")
    process = cli.start("login")
    lines = await lines_of(process, 3)
    assert "█" in lines[0]
    assert not await bus.client.exists(bus.keys("control"))
    await session_entry(bus, "offline", reason="login.refused", detail="no \x1b[31m entry")
    _, errors = await finished(process)
    assert (process.returncode, errors) == (1, b"")


async def test_a_code_that_has_expired_is_not_drawn_but_another_asked_for(cli: Cli, bus: Bus) -> None:
    await alive(bus, state="qr")
    await session_entry(bus, "qr", expires="2001-01-01T00:00:00.000Z")
    done = await cli("login", "--timeout", "0.5")
    assert (done.code, done.out) == (1, "")
    assert "not online after" in done.err
    rows: Any = await bus.client.xrange(bus.keys("control"))
    assert [fields[b"cmd"] for _, fields in rows] == [b"login"]
    assert b"@" in rows[0][1][b"by"]


async def test_a_code_whose_text_is_unknown_is_drawn_from_its_picture(cli: Cli, bus: Bus) -> None:
    await alive(bus, state="qr")
    png = await anyio.to_thread.run_sync(_png)
    await session_entry(bus, "qr", expires="2099-01-01T00:00:00.000Z", text="", png=png)
    drawn = await cli("login", "--timeout", "0.5")
    assert len([line for line in drawn.out.splitlines() if "█" in line]) > 10


def _png() -> bytes:
    import io  # noqa: PLC0415

    import segno  # noqa: PLC0415

    buffer = io.BytesIO()
    segno.make("https://example.invalid/code", error="l").save(buffer, kind="png", scale=5, border=4)
    return buffer.getvalue()


async def test_only_login_prints_a_code(cli: Cli, bus: Bus) -> None:
    await alive(bus, state="qr")
    await session_entry(bus, "qr", expires="2099-01-01T00:00:00.000Z", text="https://example.invalid/code")
    for line in (["status"], ["status", "--json"], ["check"], ["dead"], ["contacts"]):
        done = await cli(*line)
        assert "example.invalid" not in done.out + done.err
        assert "█" not in done.out


# --- the terminal ---------------------------------------------------------------------------------


async def on_terminal(cli: Cli, *arguments: str, **settings: str) -> str:
    """The output of a command whose standard output is a terminal."""
    main, side = pty.openpty()
    try:
        process = cli.start(*arguments, stdout=side, **({"TERM": "xterm"} | settings))
    finally:
        os.close(side)
    try:
        told = b""
        while chunk := await anyio.to_thread.run_sync(_read, main):
            told += chunk
        assert process.wait(15) == 0
        return told.decode()
    finally:
        os.close(main)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux tells the end of a terminal so
        return b""


async def test_colour_is_for_terminals_whose_user_wants_it(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    coloured = await on_terminal(cli, "status")
    assert "\x1b[32m" in coloured
    piped = (await cli("status")).out
    assert "\x1b" not in piped
    for settings in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in await on_terminal(cli, "status", **settings)
    assert [line.split()[:1] for line in plain(coloured).splitlines()] == [
        line.split()[:1] for line in piped.splitlines()
    ]


# --- contract and check ---------------------------------------------------------------------------


async def test_the_contract_is_printed_as_asyncapi_and_as_schemas() -> None:
    cli = Cli({})
    assert "asyncapi: " in (await cli("contract")).out
    assert json.loads((await cli("contract", "--schema", "inbound")).out)["properties"]["seq"]


async def test_check_of_a_broken_bus_fails_and_says_where(cli: Cli, bus: Bus) -> None:
    await publish(bus, "message.group", seq="1", id="a")
    await publish(bus, "message.group", seq="3", id="b", chat="group:x\x1b")
    done = await cli("check")
    assert done.code == 1
    assert "seq 3 follows 1: 1 events are missing" in done.out
    assert "\x1b" not in done.out
    told = json.loads((await cli("check", "--json")).out)
    assert told["entries"]["inbound"] == 2
    assert told["wrong"]


# --- completion -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["qqbus", "sta"], ["status"]),
        (["qqbus", "acl", "w"], ["worker"]),
        (["qqbus", "send", "--w"], ["--wait"]),
    ],
)
async def test_the_shell_offers_what_may_be_typed(words: list[str], offered: list[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash on this machine")
    script = (await Cli({})("completion", "bash")).out
    line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _qqbus; echo ${{COMPREPLY[@]}}"
    done = await anyio.run_process(["bash", "--norc", "-c", f"{script}\n{line}"])
    assert done.stdout.decode().split() == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_get_theirs(shell: str) -> None:
    done = await Cli({})("completion", shell)
    assert done.code == 0
    assert "qqbus" in done.out
    assert "login" in done.out
    if shutil.which(shell):
        checked = await anyio.run_process([shell, "-n"], input=done.out.encode(), check=False)
        assert checked.returncode == 0, checked.stderr
