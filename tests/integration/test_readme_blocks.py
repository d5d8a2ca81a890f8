"""README.md's blocks are run as they stand there, with ports and folders of the test's own.

README.zh-CN.md has the same blocks: test_readmes.py compares them.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.bus_events import Desk, Program, desk_at, message, program
from tests.support.helpers import clean_environment, wait_until
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", PAGE)
# What goes on while the reader types the next command.
LASTING = ("qqbus sim", "qqbus run", "qqbus tail")


def indented(heading: str) -> list[str]:
    """Return the commands of the indented block under a heading, without their comments."""
    section = PAGE.partition(heading)[2].partition("\n## ")[0]
    return [re.sub(r"\s+#( .*)?$", "", line) for line in re.findall(r"(?m)^ {4}(\S.*)$", section)]


def test_each_block_is_one_of_these_tests() -> None:
    assert [kind for kind, _ in FENCES] == ["python", "sh"]
    assert len(re.findall(r"(?m)^\n {4}\S", PAGE)) == 2, "indented blocks"
    assert indented("# qqbus")[0] == "make demo"


@pytest.mark.parametrize("line", [line for line in indented("# qqbus") if line.startswith("make ")])
def test_make_runs_the_demo(line: str, tmp_path: Path) -> None:
    # Within `make test`, make would say which folder it enters.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    recipe = subprocess.run(
        [*shlex.split(line), "-n"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    set_up, run = recipe[-2:]
    assert set_up.endswith(".ci/venv.py sim")
    command = [sys.executable, *shlex.split(run)[1:], "--any-ports"]
    assert _first_words(command, "Ctrl-C ends it", tmp_path), line


def test_the_installed_command_runs_the_demo(tmp_path: Path) -> None:
    line = next(line for line in indented("# qqbus") if line.startswith("qqbus "))
    command = [sys.executable, "-m", "adapter", *shlex.split(line)[1:], "--any-ports"]
    assert _first_words(command, "Ctrl-C ends it", tmp_path)


def _first_words(command: list[str], words: str, folder: Path) -> bool:
    """Run a command until it says these words, then end it by Ctrl-C; return whether it said them."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment(TMPDIR=str(folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout
        try:
            found = any(words in line for line in demo.stdout)
            demo.send_signal(signal.SIGINT)
            assert "ended cleanly" in demo.stdout.read()
            assert demo.wait(60) == 0
        finally:
            if demo.poll() is None:
                os.killpg(demo.pid, signal.SIGKILL)
    return found


async def test_the_worker_answers(redis_url: str, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(FENCES[0][1], encoding="utf-8")
    async with (
        desk_at(redis_url, prefix) as desk,
        program(desk, sys.executable, str(tmp_path / "hello.py")) as worker,
    ):
        await worker.says(f"hello reads {prefix}:inbound", 30)
        await desk.publish(message("hello you"))
        await wait_until(lambda: desk.all_done("hello"), "answered", 30)
        assert await desk.texts() == ["hello yourself [微笑]"]


async def test_the_lines_for_a_shell_answer(redis_url: str, prefix: str) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed here (Debian: redis-tools)")
    make, read, add, acknowledge = FENCES[1][1].replace("qq:", f"{prefix}:").splitlines()
    async with desk_at(redis_url, prefix) as desk:
        said = message("hello")
        (entry,) = await desk.publish(said)

        async def run(line: str, **settings: str) -> str:
            async with program(desk, "/bin/sh", "-c", line, **settings) as shell:
                assert await shell.ended(60) == 0, shell.output
                return shell.output

        assert await run(make) == "OK\n"
        shown = await run(read)
        assert f'"{entry}"' in shown
        assert f'"{said.id}"' in shown
        await run(add, EVENT_ID=said.id)
        (row,) = await desk.rows("outbound")
        assert row == {
            "to": b"group:2",
            "text": b"hello",
            "id": f"hello/{said.id}".encode(),
            "cause": said.id.encode(),
        }
        assert await desk.pending("hello") == 1
        await run(acknowledge, ENTRY=entry)
        assert await desk.all_done("hello")


class Reader:
    """A reader who types the commands of "Running it" into one shell after the other."""

    def __init__(self, desk: Desk, stack: AsyncExitStack, folder: Path) -> None:
        self._desk = desk
        self._stack = stack
        self._port = free_port()
        self._settings = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "QQBUS_STATE_DIR": str(folder),
            "QQBUS_HTTP": f"127.0.0.1:{free_port()}",
            "QQBUS_LANG": "en",
        }
        self.lasting: dict[str, Program] = {}

    async def type(self, line: str) -> str:
        """Run a command as it stands; return what it printed if it ends by itself."""
        line = line.replace("8017", str(self._port))
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self._settings[name] = value
            return ""
        running = program(self._desk, "/bin/sh", "-c", f"exec {line}", **self._settings)
        started = await self._stack.enter_async_context(running)
        name = next((name for name in LASTING if line.startswith(name)), "")
        if name:
            self.lasting[name] = started
            return ""
        assert await started.ended(90) == 0, f"{line}: {started.output}"
        return started.output


async def test_running_it_goes_as_the_page_says(redis_url: str, prefix: str, tmp_path: Path) -> None:
    activate, *lines = indented("## Running it")
    assert activate == ". .venv/bin/activate"
    async with desk_at(redis_url, prefix) as desk, AsyncExitStack() as stack:
        reader = Reader(desk, stack, tmp_path / "state")
        printed: dict[str, str] = {}
        for line in lines:
            printed[line] = await reader.type(line)
            if line.startswith("qqbus sim"):
                await reader.lasting["qqbus sim"].says("http://", 60)
            if line.startswith("qqbus run"):
                await wait_until(lambda: desk.client.exists(desk.key("status")), "the adapter runs", 60)
            if line.startswith("qqbus login"):
                await wait_until(lambda: desk.client.hlen(desk.key("friends")), "the friends", 60)
        assert "online" in printed["qqbus status"]
        assert re.search(r"http://127\.0\.0\.1:\d+/\S+", printed["qqbus page"])
        assert "\nsent " in printed['qqbus send 小林 "hello" --wait']
        assert "qqbus doctor" in printed
        # The tail may have started after the message of the line below it.
        send = next(line for line in lines if line.startswith("qqbus send"))

        async def is_shown() -> bool:
            return "hello" in reader.lasting["qqbus tail"].output or not await reader.type(send)

        await wait_until(is_shown, "tail shows what is sent", 60)
