"""What must hold in the end: the simulator's own record against the streams."""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as redis

from adapter.outbound.send_job import MAX_ATTEMPTS
from tests.chaos.window_timer import State
from tests.simulator import Received

# From an answer's first byte to its messages on disk: a kill in there takes them along.
WINDOW = 0.1
# From upstream's word that it has answered to that first byte: longer only while the whole machine stalls.
ON_ITS_WAY = 1.0
# A holder's polls end that soon: whoever got no answer for longer was no holder.
POLLING = 3.0
# Upstream may answer a process that has just been killed: its connection is not known to be gone yet.
CLOSE = 0.05
NEAR = 3.0
# The code of a request for something else under an id that was used.
CONFLICT = "id.conflict"


@dataclass
class Verdict:
    """Figures, and what is wrong with them."""

    figures: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def count(self, name: str, value: int, *, excused: bool = False) -> None:
        """Count what must be 0, unless it is excused."""
        self.figures[name] = value
        if value and not excused:
            self.wrong.append(f"{name}: {value}, none expected")


async def rows(client: "redis.Redis", stream: str) -> list[dict[str, str]]:
    """Read a whole stream, without bodies and without what a hostile neighbour added."""
    found: Any = await client.xrange(f"qq:{stream}")
    if stream in {"outbound", "results"}:
        found = [row for row in found if row[1].get(b"id", b"").startswith(b"chaos/")]
    return [
        {n.decode(): v.decode() for n, v in fields.items() if n not in {b"body", b"png", b"fields"}}
        | {"entry_id": entry.decode()}
        for entry, fields in found
    ]


@dataclass(frozen=True)
class Record:
    """What the simulator and the driver know. Times in seconds since 1970.

    `said`: chat, text and time in the order in which the simulated people wrote; `heard`: what reached
    them; `handed`: when upstream last gave a text to a poll; `deaths`: the kills -9 of adapters;
    `pauses`: when one was stopped, and until when. `torn`: the server came back without its tail; then what it
    had confirmed comes again, late where others went on meanwhile, and a request may be sent again that it
    does not know to be sent.
    """

    said: list[tuple[str, str, float]]
    heard: list[Received]
    handed: dict[str, float]
    deaths: list[State]
    pauses: list[tuple[State, float]]
    torn: bool = False

    def told(self, text: str) -> str:
        """Describe what happened around that time, in seconds after upstream gave it away."""
        handed = self.handed.get(text)
        if handed is None:
            return "upstream never gave it to anybody"
        near = {
            "kills": [death.time for death in self.deaths],
            "pauses": [time for began, ended in self.pauses for time in (began.time, ended)],
        }
        return "; ".join(
            f"{what} {[round(time - handed, 4) for time in times if -NEAR < time - handed < NEAR]}"
            for what, times in near.items()
        )

    def in_pause(self, text: str) -> bool:
        """Whether upstream gave it to an adapter that was stopped, or was before it could tell it."""
        handed = self.handed.get(text, 0.0)
        # One that wakes has a poll out and does not know yet that it was away.
        return any(
            began.time - WINDOW <= handed <= ended + CLOSE or began.kept(handed)
            for began, ended in self.pauses
        )

    def in_death(self, text: str) -> bool:
        """Whether an adapter had it on its disk alone when it was killed, and another one went on meanwhile."""
        handed = self.handed.get(text, 0.0)
        return any(death.kept(handed) and death.overtaken for death in self.deaths)

    def lost_with(self, text: str) -> tuple[State, bool] | None:
        """Find the death that took this message along, and whether its process had begun to read it.

        Only one between upstream's answer and the disk does: what was read is no more than `WINDOW` old.
        """
        handed = self.handed.get(text, 0.0)
        for death in self.deaths:
            if death.had(handed):
                if not death.written and death.time - death.arrived <= WINDOW:
                    return death, True
            elif death.arrived < handed:
                polling = death.time - death.arrived <= POLLING
                if -CLOSE <= death.time - handed <= (ON_ITS_WAY if polling else WINDOW):
                    return death, False
        return None


async def judge(client: "redis.Redis", record: Record) -> Verdict:
    """Hold the streams against the record."""
    verdict = Verdict()
    _events(verdict, await rows(client, "inbound"), record)
    outbound, results = await rows(client, "outbound"), await rows(client, "results")
    # The workers say an event's text again, in `text` or in `body`; its id is in the request's.
    said = {f"chaos/{row['id']}": row["text"] for row in await rows(client, "inbound")}
    check_results(verdict, outbound, results)
    _sends(verdict, outbound, results, record, said)
    return verdict


def _events(verdict: Verdict, inbound: list[dict[str, str]], record: Record) -> None:
    messages = [row for row in inbound if row["type"].startswith("message.")]
    told = Counter(row["text"] for row in messages)
    lost = [text for _, text, _ in record.said if text not in told]
    deaths = {text: found for text in lost if (found := record.lost_with(text)) is not None}
    otherwise = [text for text in lost if text not in deaths]
    read = [death for death, had_read in deaths.values() if had_read]
    verdict.figures["messages"] = len(record.said)
    never = sum(text not in record.handed for _, text, _ in record.said)
    verdict.count("never given away by upstream", never)
    verdict.figures["kills of an adapter"] = len(record.deaths)
    verdict.figures["kills in the window"] = len({death for death, _ in deaths.values()})
    verdict.figures["lost in the window"] = len(deaths)
    verdict.figures["of these read and not yet on disk"] = len(read)
    way = [found.time - record.handed.get(text, 0.0) for text, (found, _) in deaths.items()]
    verdict.figures["killed after the answer, at most, in ms"] = round(max(way, default=0.0) * 1e3, 1)
    verdict.count("lost otherwise", len(otherwise))
    verdict.wrong += [f"{text} was lost: {record.told(text)}" for text in otherwise]
    verdict.count("doubled messages", sum(count - 1 for count in told.values()))
    seqs = [int(row["seq"]) for row in inbound]
    verdict.count("holes in seq", sum(1 for a, b in itertools.pairwise(seqs) if b != a + 1))
    # What a holder that was paused or killed had in hand comes when it is back, behind its successor's.
    late = _inversions(messages, record)
    paused = [text for text in late if record.in_pause(text)]
    killed = [text for text in late if text not in paused and record.in_death(text)]
    others = [text for text in late if text not in paused and text not in killed]
    verdict.figures["late after a pause"] = len(paused)
    verdict.figures["late after a kill"] = len(killed)
    verdict.count("out of order in a chat", len(others), excused=record.torn)
    verdict.wrong += [f"{text} came late: {record.told(text)}" for text in others if not record.torn]


def _inversions(messages: list[dict[str, str]], record: Record) -> list[str]:
    """Messages that came behind a younger one of their chat."""
    times = {text: time for _, text, time in record.said}
    newest: dict[str, float] = defaultdict(float)
    found = []
    for row in messages:
        time = times[row["text"]]
        if time < newest[row["chat"]]:
            found.append(row["text"])
        newest[row["chat"]] = max(time, newest[row["chat"]])
    return found


def check_results(verdict: Verdict, outbound: list[dict[str, str]], results: list[dict[str, str]]) -> None:
    """Check that each request has exactly one result."""
    answered = Counter(row["entry"] for row in results)
    verdict.figures["requests"] = len(outbound)
    verdict.count("requests without a result", sum(1 for row in outbound if not answered[row["entry_id"]]))
    verdict.count("results too many", sum(count - 1 for count in answered.values()))
    verdict.figures["results"] = dict(Counter(row["status"] for row in results if row["replayed"] == "0"))
    verdict.figures["repeated requests"] = sum(row["replayed"] == "1" for row in results)
    verdict.figures["of these with another delivery"] = sum(row["code"] == CONFLICT for row in results)


def finals(results: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return the result of each id: that of the first request.

    The worker in Node asks for another delivery than those in Python: its repeat is rejected.
    """
    return {row["id"]: row for row in results if row["replayed"] == "0" and row["code"] != CONFLICT}


def deliveries(outbound: list[dict[str, str]], results: list[dict[str, str]]) -> dict[str, str]:
    """Return the delivery of each id: that of the request which its result answers."""
    asked = {row["entry_id"]: row.get("delivery", "at-most-once") for row in outbound}
    return {ident: asked[row["entry"]] for ident, row in finals(results).items() if row["entry"] in asked}


def is_given_up(result: dict[str, str]) -> bool:
    """Return whether a request ended `unknown` as it may: after ambiguous answers, or one and then a refusal."""
    is_refused = result.get("detail", "").startswith("an earlier attempt may have arrived")
    return result["status"] == "unknown" and (is_refused or int(result["attempts"]) >= MAX_ATTEMPTS)


def _sends(
    verdict: Verdict,
    outbound: list[dict[str, str]],
    results: list[dict[str, str]],
    record: Record,
    text: dict[str, str],
) -> None:
    delivery = deliveries(outbound, results)
    status = {ident: row["status"] for ident, row in finals(results).items()}
    arrived = Counter(message.text for message in record.heard)
    verdict.count("doubled sends", sum(count - 1 for count in arrived.values()), excused=record.torn)
    verdict.count(
        "sent, but never arrived", sum(s == "sent" and not arrived[text[i]] for i, s in status.items())
    )
    # A torn server may have forgotten a send that arrived, and the repeat of its request then fails.
    verdict.count(
        "failed, but arrived",
        sum(s == "failed" and arrived[text[i]] > 0 for i, s in status.items()),
        excused=record.torn,
    )
    careful = [ident for ident, kind in delivery.items() if kind == "at-least-once"]
    gone = [ident for ident in careful if not arrived[text[ident]] and status.get(ident) != "failed"]
    final = finals(results)
    given_up = [ident for ident in gone if is_given_up(final[ident])]
    verdict.figures["given up in at-least-once"] = len(given_up)
    lost = [ident for ident in gone if ident not in given_up]
    verdict.count("lost sends in at-least-once", len(lost))
    verdict.wrong += [f"at-least-once, and never arrived: {final[ident]}" for ident in lost]
    unknown = [ident for ident, state in status.items() if state == "unknown"]
    verdict.figures["unknown that had arrived"] = sum(1 for ident in unknown if arrived[text[ident]])
