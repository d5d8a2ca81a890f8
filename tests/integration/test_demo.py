"""The demo on each network: an answer is shown, and nothing outlives it, however it is ended."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapter.bus.connection import connect
from tests import demo_bot
from tests.demo import port_near
from tests.peers import environment
from tests.support.helpers import clean_environment, wait_until
from tests.support.ports import free_port, is_free

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


def started_in(folder: Path) -> list[str]:
    """Return the processes whose environment or command line names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:  # it has ended, or belongs to another user
            continue
        if str(folder).encode() in known:
            found.append(process.name)
    return found


async def run_demo(
    folder: Path, seconds: float, *options: str, numbers: Sequence[signal.Signals]
) -> list[str]:
    """Run the demo until it has shown an answer, end it with these signals; returns the lines it showed."""
    shown = folder / "shown"
    (folder / "data").mkdir()
    with shown.open("wb") as output:
        demo = subprocess.Popen(  # noqa: ASYNC220 – starting takes no time
            [sys.executable, "-m", "tests.demo", "--any-ports", *options],
            env=clean_environment(TMPDIR=str(folder / "data")),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await wait_until(lambda: "Ctrl-C ends it" in shown.read_text(encoding="utf-8"), "the answer", seconds)
        assert demo.poll() is None
    finally:
        for number in numbers:
            demo.send_signal(number)
        try:
            await wait_until(lambda: demo.poll() is not None, "its end", 30.0)
        finally:
            demo.kill()
            demo.wait()
    lines = shown.read_text(encoding="utf-8").splitlines()
    assert demo.returncode == 0, lines
    return lines


@pytest.mark.parametrize(("network", "number"), [("smartqq", signal.SIGINT), ("onebot", signal.SIGHUP)])
async def test_the_demo_shows_an_answer_and_leaves_nothing_behind(
    tmp_path: Path, network: str, number: signal.Signals
) -> None:
    # Who is impatient leaves nothing behind either.
    lines = await run_demo(tmp_path, 60.0, "--network", network, numbers=(number, signal.SIGINT))
    assert any("receives: hello" in line for line in lines), lines
    assert lines[-1] == "ended cleanly"
    assert started_in(tmp_path) == []
    assert os.listdir(tmp_path / "data") == []  # noqa: PTH208 – names alone


async def test_it_goes_on_after_a_malformed_entry_and_names_who_asked(tmp_path: Path) -> None:
    """Without an echo the only requests are those of this test; the demo's lines fit a terminal of 80."""
    (tmp_path / "data").mkdir()
    shown = tmp_path / "shown"
    with shown.open("wb") as output:
        demo = subprocess.Popen(  # noqa: ASYNC220 – starting takes no time
            [sys.executable, "-m", "tests.demo", "--any-ports"],
            env=clean_environment(
                TMPDIR=str(tmp_path / "data"), ECHO="0", COLUMNS="80", SSH_CONNECTION="1.2.3.4 5 6.7.8.9 22"
            ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def text() -> str:
        return shown.read_text(encoding="utf-8")

    try:
        await wait_until(lambda: "Ctrl-C ends it" in text(), "the hints", 60.0)
        assert "receives" not in text()
        assert re.search(r"ssh -L (\d+):127\.0\.0\.1:\1 -L (\d+):127\.0\.0\.1:\2 ", text())
        url = next(re.finditer(r"REDIS_URL=(\S+)", text()))[1]
        chat = next(re.finditer(r"(friend:\d{8,})", text()))[1]
        client = connect(url, timeout=10.0)
        try:
            await client.xadd("qq:outbound", {"to": chat})
            await client.xadd("qq:outbound", {"to": chat, "text": "hi", "results": "mine"})
            await client.xadd("qq:inbound", {"nonsense": "1"})
            await client.xadd("qq:outbound", {"to": chat, "text": "by hand " + "x" * 200, "id": "bot/1"})
        finally:
            await client.aclose()
        await wait_until(lambda: "receives: by hand" in text(), "the message", 30.0)
        lines = text().splitlines()
        assert any("you" in line and "cannot be read" in line for line in lines)
        assert any(line.startswith("      bot  qq:outbound") for line in lines)
        assert [line for line in lines if len(line) > 79 and "http" not in line and "/" not in line] == []
    finally:
        demo.send_signal(signal.SIGINT)
        await wait_until(lambda: demo.poll() is not None, "its end", 30.0)
        demo.wait()
    assert demo.returncode == 0, text()


def test_the_usual_ports_are_taken_where_they_are_free() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert port_near(port, is_any=False) != port
    assert port_near(port, is_any=False) == port


async def test_a_bot_of_nonebot2_answers_in_the_place_of_the_worker(tmp_path: Path) -> None:
    """It is installed first, which takes a package index; then what it prints stands among the lines."""
    try:
        environment.prepare("demo", demo_bot.PACKAGES, demo_bot.CONSTRAINTS, demo_bot.environments())
    except environment.PreparationError as exc:
        if "from versions: none" not in str(
            exc
        ):  # pip's words where it reaches no index; others are our mistake
            raise
        pytest.skip(demo_bot.unavailable(exc))
    lines = await run_demo(tmp_path, 90.0, "--bot", "nonebot", numbers=(signal.SIGINT,))
    assert any("nonebot2" in line and "message.private.friend" in line for line in lines), lines
    assert any("onebot  qq:outbound" in line for line in lines), lines
    assert any("receives: hello" in line for line in lines), lines
    assert started_in(tmp_path) == []


async def test_a_bot_that_cannot_be_installed_is_named_with_what_helps(tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        with pytest.raises(environment.PreparationError) as failed:
            environment.prepare("demo", demo_bot.PACKAGES, tmp_path / "none.txt", tmp_path)
    words = demo_bot.unavailable(failed.value)
    assert "nonebot2 cannot be installed" in words
    assert "\n" not in words
