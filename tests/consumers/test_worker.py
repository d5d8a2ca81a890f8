"""Proof of consumers/worker.py and qqbus: the public names, and the former ones with a warning."""

import subprocess
import sys
from pathlib import Path

import pytest

import qqbus
from consumers import worker as former
from tests.support import ROOT
from tests.support.bus_events import desk_at, message, program
from tests.support.helpers import clean_environment, wait_until

pytestmark = pytest.mark.anyio

FORMER = """
from consumers.worker import Event, Plan, Refused, Worker

worker = Worker(
    "app", plan=Plan(lanes=True, deliveries=3, retry_first=0.1, grace=5.0, lease=2.0, claim_after=1.0)
)

@worker.on("message")
async def handle(event: Event) -> None:
    if event.text == "bad":
        raise Refused("no use for it")
    await event.reply(event.text)

worker.main()
"""


async def test_a_worker_written_against_the_former_names_runs_with_warnings(
    redis_url: str, prefix: str
) -> None:
    async with desk_at(redis_url, prefix) as desk:
        await desk.publish(message("bad"), message("good"))
        async with program(desk, "-W", "always::DeprecationWarning:__main__", "-c", FORMER) as worker:
            await wait_until(lambda: desk.all_done("app"), "all acknowledged", 20)
            worker.terminate()
            assert await worker.ended() == 0
            for name in ("Plan is now", "Refused is now", "plan=…) is now"):
                assert name in worker.output
        assert await desk.texts() == ["good"]
        (letter,) = await desk.rows("dead")
        assert (letter["reason"], letter["detail"]) == (b"refused", b"no use for it")


def test_former_options_become_the_present_ones() -> None:
    with pytest.warns(DeprecationWarning, match="WorkerOptions"):
        options = former.Plan(16, lanes=True, deliveries=3, retry_first=0.1, grace=5.0, lease=2.0)
    assert options == qqbus.WorkerOptions(
        partitioned=True, max_deliveries=3, retry_delay=0.1, shutdown_timeout=5.0, session_timeout=2.0
    )
    with pytest.warns(DeprecationWarning, match="options="):
        assert qqbus.Worker("x", plan=options).options == options
    with pytest.warns(DeprecationWarning, match="Reject"):
        assert isinstance(former.Refused("why"), qqbus.Reject)


def test_public_names_are_the_same_objects_under_the_former_path() -> None:
    for name in ("Content", "Event", "Reject", "Request", "Settings", "Worker", "WorkerOptions"):
        assert getattr(former, name) is getattr(qqbus, name)


def test_a_bot_runs_beside_modules_that_bear_the_names_of_our_packages(tmp_path: Path) -> None:
    (tmp_path / "consumers.py").write_text("")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "__init__.py").write_text("")
    (tmp_path / "bot.py").write_text("from qqbus import Worker\nWorker('bot').main()\n")
    environment = clean_environment(PYTHONPATH=str(ROOT))
    line = [sys.executable, str(tmp_path / "bot.py"), "--help"]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "The worker bot" in done.stdout
