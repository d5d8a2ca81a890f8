"""Prove `qqbus login`: the code in the terminal, and the way from there to the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapter.bus.bus import Bus
from tests.support.cli import GOLDENS, Cli, alive, command_line, finished, lines_of, running

pytestmark = pytest.mark.anyio


@pytest.fixture
def cli(bus: Bus, redis_url: str) -> Iterator[Cli]:
    with command_line(bus, redis_url) as made:
        yield made


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
        # Asked again it says so, and sends no command.
        commands = await bus.client.xlen(bus.keys("control"))
        done = await cli("login")
        assert (done.code, done.out) == (0, "already online as 305419896 小桥; --force logs in again\n")
        assert await bus.client.xlen(bus.keys("control")) == commands


async def test_a_login_without_an_adapter_says_so_at_once(cli: Cli) -> None:
    process = cli.start("login", "--timeout", "600")
    assert process.stderr
    with anyio.fail_after(30):  # it waits for an adapter, and ends later
        line = await anyio.to_thread.run_sync(process.stderr.readline, abandon_on_cancel=True)
    assert line.startswith(b"qqbus: no adapter is running: waiting ")
    assert process.poll() is None


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


async def test_a_code_that_cannot_be_drawn_is_given_as_a_link_and_a_place(cli: Cli, bus: Bus) -> None:
    await alive(bus, state="qr")
    await session_entry(bus, "qr", expires="2099-01-01T00:00:00.000Z", text="https://example.invalid/code")
    gbk = await cli("login", "--timeout", "0.5", PYTHONIOENCODING="gbk", QQBUS_HTTP="127.0.0.1:8999")
    assert "cannot be drawn here" in gbk.out
    assert "https://example.invalid/code" in gbk.out
    assert "http://127.0.0.1:8999" in gbk.out
    assert "\\u25" not in gbk.out
    await session_entry(bus, "qr", expires="2099-01-01T00:00:00.000Z", text="", png=b"no picture")
    assert "cannot be drawn here" in (await cli("login", "--timeout", "0.5")).out


async def test_only_login_prints_a_code(cli: Cli, bus: Bus) -> None:
    await alive(bus, state="qr")
    await session_entry(bus, "qr", expires="2099-01-01T00:00:00.000Z", text="https://example.invalid/code")
    for line in (["status"], ["status", "--json"], ["check"], ["dead"], ["contacts"]):
        done = await cli(*line)
        assert "example.invalid" not in done.out + done.err
        assert "█" not in done.out
