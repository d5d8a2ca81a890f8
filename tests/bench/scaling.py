"""Scaling: what an event costs at a large backlog, with many chats, for many groups; bytes of it; the adapter's memory.

The server keeps no append-only file here: it is as good in all rows, and five million entries would write 2.5 GB.
"""

import signal
import time
from pathlib import Path
from typing import Any

import msgpack

from adapter.bus.bus import Bus, pack_batch
from tests.bench.entries import ACCOUNT, FENCE, copy, drafts, fill
from tests.bench.figures import Findings, Want
from tests.bench.inbound import flood
from tests.bench.stage import ANSWER, START, Crowd, Program, Stage, staged
from tests.support.helpers import wait_until

NAME = "scaling"
NO_FILE = ("--appendonly", "no")
BACKLOGS = {"10 k": 10_000, "1 M": 1_000_000, "5 M": 5_000_000}
APPENDED = 10_000
CHATS = (10, 1_000, 50_000)
GROUPS = (1, 10, 50)
FLOOD = 6_000
FLAT = Want(least=0.85)
MILLION = 1_000_000
MOST_MB = 90.0


async def run(findings: Findings, folder: Path) -> None:
    """Each kind of growth by itself; its sizes in turns."""
    await backlog(findings, folder / "backlog")
    await chats_and_groups(findings, folder / "chats")


async def backlog(findings: Findings, folder: Path) -> None:
    """Append and consume with little and much unread; the whole adapter would drop what is over its cap."""
    sizes = {name: size // 100 if findings.quick else size for name, size in BACKLOGS.items()}
    number = findings.some(APPENDED)
    packed = [pack_batch(drafts(100, offset=start)) for start in range(0, number, 100)]
    appends, reads = (dict[str, list[float]]((name, []) for name in sizes) for _ in range(2))
    async with staged(folder, *NO_FILE) as stage:
        await fill(stage.url, "bulk", 1_000)
        await pile(stage, list(sizes.values()))
        workers = {name: await reader(stage, f"b{size}") for name, size in sizes.items()}
        for turn in findings.turns:
            for name, size in sizes.items():
                one = await append(stage, f"b{size}", packed)
                two = await consume(stage, f"b{size}", workers[name], number)
                if turn:
                    appends[name].append(one)
                    reads[name].append(two)
    compare(findings, "append at a backlog of", appends)
    compare(findings, "consume from a backlog of", reads)


async def pile(stage: Stage, sizes: list[int]) -> None:
    """Streams of these lengths. Each begins as a copy of the one before it, which takes no time."""
    before, had = "", 0
    for size in sizes:
        stream = f"b{size}:inbound"
        if before:
            await stage.client.copy(before, stream)
        await copy(stage.client, "bulk:inbound", stream, size - had)
        before, had = stream, size


async def reader(stage: Stage, prefix: str) -> Program:
    """Start a worker that reads a backlog from its beginning on command."""
    stream = f"{prefix}:inbound"
    await stage.client.xgroup_create(stream, "bench", "0")
    worker = stage.start("tests.bench.listener", "idle", REDIS_URL=stage.url, QQBUS_PREFIX=prefix)
    await wait_until(lambda: delivered(stage, stream), "the worker reads", START)
    worker.process.send_signal(signal.SIGSTOP)
    return worker


async def append(stage: Stage, prefix: str, packed: list[bytes]) -> float:
    """Measure the adapter's append in batches of 100, in events a second."""
    # What was seen before would not be appended again.
    await stage.client.delete(f"{prefix}:seen:new", f"{prefix}:seen:old")
    async with Bus.open(stage.url, prefix) as bus:
        await bus.seqs()  # connects
        began = time.perf_counter()
        for batch in packed:
            await bus.append(FENCE, ACCOUNT, batch, 0)
        return 100 * len(packed) / (time.perf_counter() - began)


async def consume(stage: Stage, prefix: str, worker: Program, number: int) -> float:
    """Let the worker read on for so many events; events a second."""
    stream = f"{prefix}:inbound"
    had = await delivered(stage, stream)
    began = time.perf_counter()
    worker.process.send_signal(signal.SIGCONT)

    async def enough() -> bool:
        return await delivered(stage, stream) >= had + number - 500  # a worker reads 500 at a time

    await wait_until(enough, "the worker has read on", ANSWER)
    worker.process.send_signal(signal.SIGSTOP)
    seconds = time.perf_counter() - began
    return (await delivered(stage, stream) - had) / seconds


async def delivered(stage: Stage, stream: str) -> int:
    """How many entries the group has been given."""
    (row,) = await stage.client.xinfo_groups(stream)
    return int(row["entries-read"] or 0)


async def chats_and_groups(findings: Findings, folder: Path) -> None:
    """Whole adapters, each with as many friends as there are chats; one of them with several groups."""
    number = findings.some(FLOOD)
    sizes = [size // 50 if findings.quick and size > 100 else size for size in CHATS]
    chats = {str(size): list[float]() for size in sizes}
    spent = {str(size): list[float]() for size in sizes}
    groups = {str(size): list[float]() for size in GROUPS}
    async with staged(folder, *NO_FILE) as stage:
        sides: dict[int, tuple[Crowd, Program]] = {}
        for size in sizes:
            crowd = await stage.crowd("--friends", str(size))
            sides[size] = (crowd, await stage.adapter(crowd, f"c{size}"))
            # Everybody has spoken before: what is measured is not the first meeting.
            await flood(stage, sides[size][1], crowd, f"c{size}:inbound", max(size, number), 100)
        few, adapter = sides[sizes[0]]
        stream = f"c{sizes[0]}:inbound"
        for _ in range(findings.repeat):
            for size, (crowd, program) in sides.items():
                await stage.client.delete(f"c{size}:inbound")
                before = program.cpu()
                rate = await flood(stage, program, crowd, f"c{size}:inbound", number, 100)
                chats[str(size)].append(rate)
                spent[str(size)].append((program.cpu() - before) / number * 1e6)
            for size in GROUPS:
                await stage.client.delete(stream)
                for group in range(size):
                    await stage.client.xgroup_create(stream, f"g{group}", "0", mkstream=True)
                rate = await flood(stage, adapter, few, stream, number, 100)
                groups[str(size)].append(rate)
        compare(findings, "inbound, chats:", chats)
        compare(findings, "CPU of the adapter, chats:", spent, "µs/event", Want(most=1.15))
        compare(findings, "inbound, unread groups:", groups)
        await entry_size(findings, stage, stream)
        many = sides[sizes[-1]][1].rss()
        findings.add(NAME, f"memory of the adapter, {sizes[-1]} chats", "MB", [many])
        await memory(
            findings, stage, few, adapter, stream, (1 + (1 + len(GROUPS)) * findings.repeat) * number
        )


def compare(
    findings: Findings, what: str, of: dict[str, list[float]], unit: str = "events/s", want: Want = FLAT
) -> None:
    """Compare the larger ones with the smallest one."""
    names = list(of)
    for name in names[1:]:
        findings.add(
            NAME, f"{what} {name}", unit, of[name], beside=f"… {names[0]}", others=of[names[0]], want=want
        )


async def entry_size(findings: Findings, stage: Stage, stream: str) -> None:
    """Measure what Redis needs for an entry, beside its content as one msgpack map."""
    rows: Any = await stage.client.xrange(stream, count=5_000)
    events = [{**fields, b"body": msgpack.unpackb(fields[b"body"])} for _, fields in rows]
    bare = sum(len(msgpack.packb(event)) for event in events) / len(events)
    needed = await stage.client.memory_usage(stream, samples=0) / await stage.length(stream)
    findings.add(
        NAME,
        "memory of an entry in Redis",
        "bytes",
        [needed],
        beside="its msgpack + 120",
        others=[bare + 120],
        want=Want(most=1.25),
    )


async def memory(
    findings: Findings, stage: Stage, crowd: Crowd, adapter: Program, stream: str, had: int
) -> None:
    """Let it have a million events in all."""
    fresh = adapter.rss()
    while had < MILLION and not findings.quick:
        await stage.client.delete(stream)
        await flood(stage, adapter, crowd, stream, 50_000, 100)
        had += 50_000
    findings.add(
        NAME,
        f"memory of the adapter, {had // 1000} k events",
        "MB",
        [adapter.rss()],
        want=Want(most=MOST_MB),
        note=f"{fresh:.0f} MB after the rows above",
    )
