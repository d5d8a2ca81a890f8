"""Prove the command line: exit codes, streams, status, colour, contract, completion."""

import json
import os
import pty
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from rich.cells import cell_len
from rich.text import Text

from adapter.bus.bus import Bus
from adapter.cli.parser import make_parser
from tests.support.cli import Cli, alive, command_line, finished, publish
from tests.support.helpers import clean_environment
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def cli(bus: Bus, redis_url: str) -> Iterator[Cli]:
    with command_line(bus, redis_url) as made:
        yield made


# --- exit codes -------------------------------------------------------------------------------------


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
        (["send", "friend:1", " "], "nothing to send"),
        (["send", "friend:1", "x", "--id", "a b"], "id is not"),
        (["send", "friend:1", "x", "--expires", "soon"], "expires is neither"),
        (["send", "friend:1", "x" * 40_000], "over the limit"),
        (["send", "friend:1"], "required: TEXT"),
        (["tail", "--since", "lately"], "neither an entry id"),
        (["contacts", "members"], "members of what"),
        (["contacts", "members", "friend:1"], "has no members"),
        (["dead", "redrive"], "give ids, or --all"),
        (["dead", "drop", "x"], "is not the id of an entry"),
        (["acl", "king"], "invalid choice"),
        (["check", "python"], "--worker"),
        (["nonsense"], "invalid choice"),
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
    done = await cli("status", REDIS_URL=cli.settings["REDIS_URL"].replace("://", "://stranger:secret@"))
    assert done.code == 3
    assert "Redis refuses this user" in done.err
    assert "secret" not in done.err


async def test_a_terminal_that_is_not_utf_8_is_no_traceback(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    done = await cli("status", PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "\\u5c0f\\u6865" in done.out


# --- standard streams, no home ----------------------------------------------------------------------


async def in_shell(redirection: str, cli: Cli, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run a command as the shell does with this redirection of its standard streams."""
    line = shlex.join([sys.executable, "-m", "adapter", *arguments])
    with anyio.fail_after(30):
        done = await anyio.run_process(
            ["sh", "-c", f"{line} {redirection}"],
            env=clean_environment(**(cli.settings | settings)),
            check=False,
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("redirection", [">&-", "<&- >&- 2>&-"])
async def test_a_closed_standard_output_is_the_null_device(cli: Cli, bus: Bus, redirection: str) -> None:
    await alive(bus)
    for arguments in (["status"], ["status", "--help"], ["send", "friend:1", "x"]):
        assert await in_shell(redirection, cli, *arguments) == (0, "", "")
    assert await bus.client.xlen(bus.keys("outbound")) == 1


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["status", "--help"], ["contract"]])
async def test_a_full_standard_output_is_one_line(cli: Cli, arguments: list[str]) -> None:
    code, _, errors = await in_shell(">/dev/full", cli, *arguments, PYTHONUNBUFFERED="")
    assert (code, errors) == (1, "qqbus: standard output: No space left on device\n")


async def test_a_full_standard_error_is_no_traceback(cli: Cli) -> None:
    assert await in_shell("2>/dev/full", cli, "lapse", "no-such-group") == (1, "", "")


@pytest.mark.parametrize("arguments", [["status"], ["contract"], ["acl", "worker"], ["contacts"]])
async def test_only_commands_that_use_the_state_folder_need_one(cli: Cli, arguments: list[str]) -> None:
    done = await cli(*arguments, QQBUS_STATE_DIR="~no-such-user/x")
    assert done.code in {0, 1}
    assert done.err == ""


# --- status -----------------------------------------------------------------------------------------


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
        ({"state": "offline", "reason": "logout", "paused": "1"}, "run `qqbus login`"),
        ({"state": "online", "paused": "1"}, "`qqbus resume`"),
        ({"state": "online", "disk": "No space left on device"}, "No space left on device"),
        ({"state": "online", "disk": "No space left on device"}, "make room on the adapter's disk"),
        ({"state": "online", "disk": ""}, "messages flow"),
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
    await bus.ensure_group("inbound", "bot")
    for seq in "123":
        await publish(bus, "message.group", seq=seq)
    await bus.client.xreadgroup("bot", "c", {bus.keys("inbound"): ">"}, count=1)
    lines = (await cli("status")).out.splitlines()
    assert lines[-2].split() == ["GROUP", "CONSUMERS", "UNREAD", "UNFINISHED", "OLDEST"]
    assert lines[-1].split()[:4] == ["bot", "1", "2", "1"]
    found = json.loads((await cli("status", "--json")).out)
    assert (found["state"], found["adapter"], found["entries"]["inbound"]) == ("online", True, 3)
    assert found["groups"][0]["lag"] == 2


async def test_status_again_and_again_ends_with_ctrl_c(cli: Cli) -> None:
    process = cli.start("status", "--watch", "0.2", "--json")
    assert process.stdout
    for _ in range(2):
        assert "entries" in json.loads(await anyio.to_thread.run_sync(process.stdout.readline))
    process.send_signal(signal.SIGINT)
    _, errors = await finished(process)
    assert (process.returncode, errors) == (0, b"")


# --- the terminal -----------------------------------------------------------------------------------


async def on_terminal(cli: Cli, *arguments: str, **settings: str) -> str:
    """Return the output of a command whose standard output is a terminal."""
    main, side = pty.openpty()
    try:
        process = cli.start(*arguments, stdout=side, **({"TERM": "xterm"} | settings))
    finally:
        os.close(side)
    try:
        output = b""
        while chunk := await anyio.to_thread.run_sync(_read, main):
            output += chunk
        assert process.wait(15) == 0
        return output.decode()
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
    assert [line.split()[:1] for line in Text.from_ansi(coloured.replace("\r", "")).plain.splitlines()] == [
        line.split()[:1] for line in piped.splitlines()
    ]


async def test_a_table_fits_a_narrow_window(cli: Cli, bus: Bus) -> None:
    await alive(bus)
    for name in ("echo", "a-consumer-group-with-a-long-name"):
        await bus.ensure_group("inbound", name)
    shown = await on_terminal(cli, "status", COLUMNS="44", NO_COLOR="1")
    lines = shown.replace("\r", "").splitlines()
    assert max(map(cell_len, lines)) <= 44
    assert any(line.split()[:1] == ["echo"] for line in lines)


# --- contract and check -----------------------------------------------------------------------------


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
    found = json.loads((await cli("check", "--json")).out)
    assert found["entries"]["inbound"] == 2
    assert found["wrong"]


# --- completion -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("qqbus sta", ["status"]),
        ("qqbus acl w", ["worker"]),
        ("qqbus send --w", ["--wait"]),
        ("qqbus presence b", ["busy"]),
    ],
)
async def test_the_shell_offers_what_may_be_typed(line: str, offered: list[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash on this machine")
    script = (await Cli({})("completion", "bash")).out
    ask = f"COMP_LINE='{line}'; COMP_POINT={len(line)}; _python_argcomplete qqbus; echo ${{COMPREPLY[@]}}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = await anyio.run_process(
        ["bash", "--norc", "-c", f"{script}\n{ask}"], env=clean_environment(PATH=path)
    )
    assert done.stdout.decode().split() == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_get_theirs(shell: str) -> None:
    done = await Cli({})("completion", shell)
    assert done.code == 0
    assert "qqbus" in done.out
    if shutil.which(shell):
        checked = await anyio.run_process([shell, "-n"], input=done.out.encode(), check=False)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("port", ["0", "65536", "99999999", "-1", "x"])
def test_what_is_no_port_is_bad_use(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(["redis", f"--port={port}"])
    assert caught.value.code == 2
    assert f"{port!r} is not a port" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "inf", "-0.5", "soon"])
def test_what_is_no_time_to_wait_is_bad_use(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(["send", "friend:1", "x", f"--wait={seconds}"])
    assert caught.value.code == 2
    assert f"{seconds!r} is not a number of seconds" in capsys.readouterr().err
