"""Outbound: requests a second, pacing 0, beside a bare httpx loop that does the same POSTs.

The adapter writes down each request before its first byte leaves and its result afterwards.
"""

import time
from pathlib import Path
from typing import Any

from adapter.networks.smartqq.session.credentials import Credentials
from tests.bench import baseline
from tests.bench.figures import Findings, Want
from tests.bench.stage import Program, Stage, staged

NAME = "outbound"
COUNT = 300


async def run(findings: Findings, folder: Path) -> None:
    """To one chat, to four chats, and the bare loop, in turns."""
    async with staged(folder) as stage:
        crowd = await stage.crowd()
        adapter = await stage.adapter(crowd, "qq")
        tokens = baseline.session(stage.folder / "qq")
        friends = [name.decode() for name in await stage.client.hkeys("qq:friends")]
        number = findings.some(COUNT)
        one, several, floor = list[float](), list[float](), list[float]()
        spent: list[tuple[float, float]] = []
        for turn in findings.turns:
            first = await requests(stage, adapter, number, friends[:1])
            before, own = adapter.cpu(), time.process_time()
            second = await requests(stage, adapter, number, friends[:4])
            mine, own = adapter.cpu() - before, time.process_time()
            third = await posts(crowd.origin, tokens, friends[0], number, turn)
            theirs = time.process_time() - own
            if turn:
                one.append(first)
                several.append(second)
                floor.append(third)
                spent.append((mine / number * 1e6, theirs / number * 1e6))
        beside, want = "bare httpx loop", Want(least=0.8)
        findings.add(NAME, "to one chat", "sends/s", one, beside=beside, others=floor, want=want)
        findings.add(NAME, "to four chats", "sends/s", several, beside=beside, others=floor, want=want)
        findings.add(
            NAME,
            "adapter's CPU",
            "µs/send",
            [mine for mine, _ in spent],
            beside=beside,
            others=[theirs for _, theirs in spent],
        )


async def requests(stage: Stage, adapter: Program, number: int, friends: list[str]) -> float:
    """Let so many requests wait, then let the adapter see them; results a second."""
    await stage.client.delete("qq:results")
    with adapter.stopped():
        async with stage.client.pipeline(transaction=False) as pipe:
            for n in range(number):
                fields: dict[Any, Any] = {"to": f"friend:{friends[n % len(friends)]}", "text": f"hello {n}"}
                pipe.xadd("qq:outbound", fields)
            await pipe.execute()
    await stage.grown("qq:results", number)
    return await stage.rate("qq:results", 1)


async def posts(origin: str, tokens: Credentials, friend: str, number: int, turn: int) -> float:
    """Measure the floor: one POST after the other."""
    async with baseline.web(origin) as http:
        await baseline.post(http, tokens, friend, "hello", turn * 100_000)  # connects
        began = time.perf_counter()
        for n in range(1, number):
            await baseline.post(http, tokens, friend, f"hello {n}", turn * 100_000 + n)
        return (number - 1) / (time.perf_counter() - began)
