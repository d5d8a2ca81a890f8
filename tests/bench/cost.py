"""Cost: CPU time an event takes of adapter, worker and server; what they take while nothing happens; the start."""

import time
from pathlib import Path

import anyio

from tests.bench.figures import Findings, Want
from tests.bench.latency import reading
from tests.bench.stage import Crowd, Program, Stage, staged

NAME = "cost"
COUNT = 10_000
IDLE = 6.0


async def run(findings: Findings, folder: Path) -> None:
    """One adapter and one worker."""
    async with staged(folder) as stage:
        crowd = await stage.crowd()
        adapter = await stage.adapter(crowd, "qq")
        worker = stage.start("tests.bench.listener", "idle", REDIS_URL=stage.url)
        await reading(stage, "qq:inbound", "bench")
        await busy(findings, stage, crowd, adapter, worker)
        await idle(findings, stage, adapter, worker)
        await adapter.end()
        await start(findings, stage, crowd)


async def busy(findings: Findings, stage: Stage, crowd: Crowd, adapter: Program, worker: Program) -> None:
    """Measure a flood in polls of 100, and single messages."""
    for what, count, rate in (("polls of 100", COUNT, 0.0), ("50 a second", 60, 50.0)):
        number = findings.some(count)
        rows: list[list[float]] = []
        for turn in findings.turns:
            before = [adapter.cpu(), worker.cpu(), stage.server_cpu()]
            had = await stage.length("qq:inbound")
            if rate:
                await crowd.talk(number, rate)
            else:
                with adapter.stopped():
                    await crowd.fill(number, batch=100)
            await stage.grown("qq:inbound", had + number)
            await acknowledged(stage)
            after = [adapter.cpu(), worker.cpu(), stage.server_cpu()]
            if turn:
                rows.append([(one - other) / number * 1e6 for one, other in zip(after, before, strict=True)])
        for index, who in enumerate(("adapter", "worker", "server")):
            findings.add(NAME, f"CPU of the {who}, {what}", "µs/event", [row[index] for row in rows])


async def acknowledged(stage: Stage) -> None:
    """Wait until nothing is unread or pending."""
    with anyio.fail_after(30):
        while True:
            (row,) = await stage.client.xinfo_groups("qq:inbound")
            info = await stage.client.xinfo_stream("qq:inbound")
            if not row["pending"] and row["last-delivered-id"] == info["last-generated-id"]:
                return
            await anyio.sleep(0.01)


async def idle(findings: Findings, stage: Stage, adapter: Program, worker: Program) -> None:
    """Nobody says anything."""
    seconds = 1.0 if findings.quick else IDLE
    await anyio.sleep(0.5)
    before = [adapter.cpu(), worker.cpu(), stage.server_cpu()]
    await anyio.sleep(seconds)
    after = [adapter.cpu(), worker.cpu(), stage.server_cpu()]
    want = Want(most=1.0)
    for who, one, other in zip(("adapter", "worker", "server"), after, before, strict=True):
        share = [(one - other) / seconds * 100]
        findings.add(NAME, f"idle: {who}", "% of a core", share, want=None if who == "server" else want)


async def start(findings: Findings, stage: Stage, crowd: Crowd) -> None:
    """From starting the process with a kept session until its first poll is out."""
    seconds = list[float]()
    spent = list[float]()
    for turn in findings.turns:
        began = time.time()
        adapter = await stage.adapter(crowd, "qq")
        polled = await crowd.polled()
        if turn:
            seconds.append(polled - began)
            spent.append(adapter.cpu())
        await adapter.end()
    findings.add(NAME, "start to first poll", "s", seconds, want=Want(most=1.0))
    findings.add(NAME, "start to first poll, CPU of the adapter", "s", spent)
