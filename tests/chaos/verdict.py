"""What must hold in the end: the simulator's own record against the streams."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as redis

from tests.simulator import Received

# Between upstream's answer and the disk: a kill in there takes the answer's messages with it.
WINDOW = 0.1
NEAR = 3.0
# Upstream may answer a process that has just been killed: its connection is not known to be gone yet.
CLOSE = 0.05
QUEUED = 5.0  # what waited at upstream may be given to a holder that is paused a moment later


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


@dataclass(frozen=True)
class Record:
    """What the simulator and the driver know. Times in seconds since 1970.

    `said`: chat, text and time in the order in which the simulated people wrote; `heard`: what reached
    them; `polls`: when polls were answered; `kills`: when an adapter was killed by -9;
    `pauses`: from when to when one was stopped.
    """

    said: list[tuple[str, str, float]]
    heard: list[Received]
    polls: list[float]
    kills: list[float]
    pauses: list[tuple[float, float]]

    def told(self, said: float) -> str:
        """What happened around that time, in seconds after it."""
        near = {
            "polls answered": self.polls,
            "kills": self.kills,
            "pauses": [time for pause in self.pauses for time in pause],
        }
        return "; ".join(
            f"{what} {[round(time - said, 4) for time in times if -NEAR < time - said < NEAR]}"
            for what, times in near.items()
        )

    def in_pause(self, said: float) -> bool:
        """Whether a message was said while an adapter was stopped."""
        return any(began - QUEUED <= said <= ended for began, ended in self.pauses)

    def kill_in_window(self, said: float) -> float | None:
        """The kill that fell between upstream's answer with this message and the disk, if one did."""
        answered = next((time for time in self.polls if time >= said - CLOSE), said)
        return next((kill for kill in self.kills if -CLOSE <= kill - answered <= WINDOW), None)


async def judge(client: "redis.Redis", record: Record) -> Verdict:
    """Hold the streams against the record."""
    verdict = Verdict()
    _events(verdict, await rows(client, "inbound"), record)
    outbound, results = await rows(client, "outbound"), await rows(client, "results")
    # The workers say an event's text again, in `text` or in `body`; its id is in the request's.
    said = {f"chaos/{row['id']}": row["text"] for row in await rows(client, "inbound")}
    _results(verdict, outbound, results)
    _sends(verdict, outbound, results, record.heard, said)
    return verdict


def _events(verdict: Verdict, inbound: list[dict[str, str]], record: Record) -> None:
    messages = [row for row in inbound if row["type"].startswith("message.")]
    told = Counter(row["text"] for row in messages)
    lost = [(text, time) for _, text, time in record.said if text not in told]
    kills = {record.kill_in_window(time) for _, time in lost} - {None}
    verdict.figures["messages"] = len(record.said)
    verdict.figures["kills of an adapter"] = len(record.kills)
    verdict.figures["kills in the window"] = len(kills)
    verdict.figures["lost in the window"] = sum(record.kill_in_window(time) is not None for _, time in lost)
    otherwise = [(text, time) for text, time in lost if record.kill_in_window(time) is None]
    verdict.count("lost otherwise", len(otherwise))
    verdict.wrong += [f"{text} was lost: {record.told(time)}" for text, time in otherwise]
    verdict.count("doubled messages", sum(count - 1 for count in told.values()))
    seqs = [int(row["seq"]) for row in inbound]
    verdict.count("holes in seq", sum(1 for a, b in itertools.pairwise(seqs) if b != a + 1))
    late = [time for _, time in _inversions(messages, record)]
    # What upstream gave to a holder that was paused comes when it wakes, behind its successor's.
    after_pause = sum(record.in_pause(time) for time in late)
    verdict.figures["late after a pause"] = after_pause
    verdict.count("out of order in a chat", len(late) - after_pause)


def _inversions(messages: list[dict[str, str]], record: Record) -> list[tuple[str, float]]:
    """Messages that came behind a younger one of their chat, and when they were said."""
    times = {text: time for _, text, time in record.said}
    newest: dict[str, float] = defaultdict(float)
    found = []
    for row in messages:
        time = times[row["text"]]
        if time < newest[row["chat"]]:
            found.append((row["text"], time))
        newest[row["chat"]] = max(time, newest[row["chat"]])
    return found


def _results(verdict: Verdict, outbound: list[dict[str, str]], results: list[dict[str, str]]) -> None:
    answered = Counter(row["entry"] for row in results)
    verdict.figures["requests"] = len(outbound)
    verdict.count("requests without a result", sum(1 for row in outbound if not answered[row["entry_id"]]))
    verdict.count("results too many", sum(count - 1 for count in answered.values()))
    verdict.figures["results"] = dict(Counter(row["status"] for row in results if row["replayed"] == "0"))
    verdict.figures["repeated requests"] = sum(row["replayed"] == "1" for row in results)


def _sends(
    verdict: Verdict,
    outbound: list[dict[str, str]],
    results: list[dict[str, str]],
    heard: list[Received],
    text: dict[str, str],
) -> None:
    delivery = {row["id"]: row.get("delivery", "at-most-once") for row in outbound}
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
