"""The demo on each network: an answer is shown, and nothing outlives it, however it is ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.helpers import clean_environment, wait_until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(120),
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


@pytest.mark.parametrize(("network", "number"), [("smartqq", signal.SIGINT), ("onebot", signal.SIGHUP)])
async def test_the_demo_shows_an_answer_and_leaves_nothing_behind(
    tmp_path: Path, network: str, number: signal.Signals
) -> None:
    shown = tmp_path / "shown"
    (tmp_path / "data").mkdir()
    environment = clean_environment(TMPDIR=str(tmp_path / "data"))
    with shown.open("wb") as output:
        demo = subprocess.Popen(  # noqa: ASYNC220 – starting takes no time
            [sys.executable, "-m", "tests.demo", "--network", network],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await wait_until(lambda: "Ctrl-C ends it" in shown.read_text(encoding="utf-8"), "the answer", 60.0)
        assert demo.poll() is None
    finally:
        demo.send_signal(number)
        try:
            await wait_until(lambda: demo.poll() is not None, "its end", 30.0)
        finally:
            demo.kill()
            demo.wait()
    lines = shown.read_text(encoding="utf-8").splitlines()
    assert demo.returncode == 0, lines
    assert any("receives: hello" in line for line in lines), lines
    assert lines[-1] == "ended cleanly"
    assert started_in(tmp_path) == []
    assert os.listdir(tmp_path / "data") == []  # noqa: PTH208 – names alone
