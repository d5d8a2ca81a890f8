"""What must hold in the end: the simulator's own record against the streams."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as redis

from tests.simulator import Received


@dataclass
class Verdict:
    """Figures, and what is wrong with them."""

    figures: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def count(self, name: str, value: int, *, most: int = 0) -> None:
        """A figure that may not exceed `most`."""
        self.figures[name] = value
        if value > most:
            self.wrong.append(f"{name}: {value}, at most {most} expected")


async def rows(client: "redis.Redis", stream: str) -> list[dict[str, str]]:
    """A whole stream, without bodies."""
    found: Any = await client.xrange(f"qq:{stream}")
    return [
        {n.decode(): v.decode() for n, v in fields.items() if n not in {b"body", b"png", b"fields"}}
        | {"entry_id": entry.decode()}
        for entry, fields in found
    ]


async def judge(
    client: "redis.Redis", said: list[tuple[str, str]], heard: list[Received], in_window: int
) -> Verdict:
    """`said`: chat and text in the order in which the simulated people wrote; `heard`: what reached them."""
    verdict = Verdict()
    _events(verdict, await rows(client, "inbound"), said, in_window)
    outbound, results = await rows(client, "outbound"), await rows(client, "results")
    _results(verdict, outbound, results)
    _sends(verdict, outbound, results, heard)
    return verdict


def _events(
    verdict: Verdict, inbound: list[dict[str, str]], said: list[tuple[str, str]], in_window: int
) -> None:
    messages = [row for row in inbound if row["type"].startswith("message.")]
    told = Counter(row["text"] for row in messages)
    lost = [text for _, text in said if text not in told]
    verdict.figures["messages"] = len(said)
    # A kill inside the window takes one batch with it; how often that was is known.
    verdict.count("lost messages", len(lost), most=100 if in_window else 0)
    verdict.count("doubled messages", sum(count - 1 for count in told.values()))
    seqs = [int(row["seq"]) for row in inbound]
    verdict.count("holes in seq", sum(1 for a, b in itertools.pairwise(seqs) if b != a + 1))
    chats: dict[str, list[int]] = defaultdict(list)
    for row in messages:
        chats[row["chat"]].append(int(row["text"].removeprefix("m")))
    verdict.count("out of order in a chat", sum(_inversions(numbers) for numbers in chats.values()))


def _inversions(numbers: list[int]) -> int:
    return sum(1 for a, b in itertools.pairwise(numbers) if b < a)


def _results(verdict: Verdict, outbound: list[dict[str, str]], results: list[dict[str, str]]) -> None:
    answered = Counter(row["entry"] for row in results)
    verdict.figures["requests"] = len(outbound)
    verdict.count("requests without a result", sum(1 for row in outbound if not answered[row["entry_id"]]))
    verdict.count("results too many", sum(count - 1 for count in answered.values()))
    verdict.figures["results"] = dict(Counter(row["status"] for row in results if row["replayed"] == "0"))
    verdict.figures["repeated requests"] = sum(row["replayed"] == "1" for row in results)


def _sends(
    verdict: Verdict, outbound: list[dict[str, str]], results: list[dict[str, str]], heard: list[Received]
) -> None:
    delivery = {row["id"]: row.get("delivery", "at-most-once") for row in outbound}
    text = {row["id"]: row.get("text", "") for row in outbound}
    status = {row["id"]: row["status"] for row in results if row["replayed"] == "0"}
    arrived = Counter(message.text for message in heard)
    verdict.count("doubled sends", sum(count - 1 for count in arrived.values()))
    verdict.count(
        "sent, but never arrived", sum(s == "sent" and not arrived[text[i]] for i, s in status.items())
    )
    verdict.count("failed, but arrived", sum(s == "failed" and arrived[text[i]] for i, s in status.items()))
    careful = [ident for ident, kind in delivery.items() if kind == "at-least-once"]
    verdict.count(
        "lost sends in at-least-once",
        sum(1 for ident in careful if not arrived[text[ident]] and status.get(ident) != "failed"),
    )
    unknown = [ident for ident, state in status.items() if state == "unknown"]
    verdict.figures["unknown that had arrived"] = sum(1 for ident in unknown if arrived[text[ident]])
