"""Bots as their authors write them pass a strict type checker without an ignore."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.helpers import clean_environment

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

PAGE = (ROOT / "consumers" / "README.md").read_text(encoding="utf-8").partition("\n## Programs")[0]
BOT = '''
"""A bot that uses what there is."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from qqbus import (
    CallError,
    Event,
    NoAnswerError,
    Reject,
    Request,
    Result,
    Settings,
    Text,
    Tick,
    Worker,
    WorkerOptions,
)
from qqbus.pytest_plugin import LiveWorker

options = WorkerOptions(concurrency=4, partitioned=True)
worker = Worker("typed", start=datetime.now(UTC), options=options, settings=Settings("redis://127.0.0.1"))


@worker.on("message", text="^hello", chat=["group:1"], per_chat="5/1m")
async def hello(event: Event) -> None:
    found = event.match[0] if event.match else ""
    ident: str = await event.reply(f"{found} {event.name}", at=60, expires=timedelta(hours=1).total_seconds())
    result: Result = await event.confirm([Text(ident)])
    if result.status != "sent" and await event.once("told"):
        raise Reject(result.detail)


@worker.command("weather", "天气", per_sender="5/1m")
async def weather(event: Event, city: str = "", days: int = 1, unit: Literal["c", "f"] = "c") -> None:
    try:
        answer = city or (await event.ask("which city?", seconds=60)).text
    except NoAnswerError:
        return
    await event.reply(f"{answer} {days} {unit}", at=datetime.now(UTC))


@worker.every("1m")
async def minute(tick: Tick) -> None:
    await worker.send("group:1", f"{tick.time:%H:%M}", id=tick.id)


@worker.cron("0 9 * * *", tz="Asia/Shanghai")
def morning() -> object:
    return worker.send("group:1", "good morning")


async def look() -> None:
    try:
        await worker.call("get_status", {"x": 1})
    except CallError as exc:
        requests: list[Request] = await worker.feed(Event.example(exc.result.code))
        print(requests)


def try_live(bot: LiveWorker) -> list[str]:
    return [request.id for request in bot.say("hello", chat="group:1")]


worker.main()
'''


def test_bots_pass_mypy_at_its_strictest(tmp_path: Path) -> None:
    template = (ROOT / "adapter/cli/template/bot.py.txt").read_text(encoding="utf-8")
    bots = [
        BOT,
        template.format(name="demo", python="", folder=""),
        *re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE),
    ]
    names = []
    for number, text in enumerate(bots):
        names.append(f"bot{number}.py")
        (tmp_path / names[-1]).write_text(text, encoding="utf-8")
    environment = clean_environment() | {"MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", *names],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
