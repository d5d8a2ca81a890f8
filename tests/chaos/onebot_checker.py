"""What must hold on OneBot in the end: the server's own record against the streams.

OneBot keeps nothing for a client that is away. Messages may be lost, but only between the times of a
`session.gap` on `qq:inbound`; and the gaps of a run are less than a third of it.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgpack
import redis.asyncio as redis

from tests.chaos.checker import Verdict, check_results, deliveries, finals, is_given_up, rows
from tests.chaos.late_appends import ANY_EPOCH

# The share of a run that gaps may take at the rate of faults of a run.
MOST_IN_GAPS = 1 / 3
# Times of gaps are in whole milliseconds.
ROUNDING = 0.001
# Seconds between two losses that have two causes.
EPISODE_SECONDS = 1.0


@dataclass(frozen=True)
class Said:
    """A message as the server emitted it, in the order of `n`; `time` in seconds since 1970."""

    n: int
    time: float
    chat: str
    text: str
    withheld: str = ""


@dataclass(frozen=True)
class Arrived:
    """A message of the account that reached a chat."""

    chat: str
    text: str
    message_id: str


@dataclass(frozen=True)
class Gap:
    """Between these times, in seconds since 1970, messages may be missing."""

    since: float
    until: float

    def holds(self, time: float) -> bool:
        return self.since - ROUNDING <= time <= self.until + ROUNDING


@dataclass(frozen=True)
class OneBotRecord:
    """What the server knows; `late`: texts that each adapter published late, with their epochs, by its name.

    `has_listeners`: a standby is connected, too.
    """

    said: Sequence[Said]
    arrived: Sequence[Arrived]
    late: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    has_listeners: bool = True


Rows = list[dict[str, str]]


async def judge(client: "redis.Redis", record: OneBotRecord) -> Verdict:
    """Compare the streams with the record."""
    inbound = await rows(client, "inbound")
    return compare(
        record, inbound, await rows(client, "outbound"), await rows(client, "results"), await gaps(client)
    )


async def gaps(client: "redis.Redis") -> list[Gap]:
    """Return the gaps on the stream."""
    found: Any = await client.xrange("qq:inbound")
    bodies = [msgpack.unpackb(fields[b"body"]) for _, fields in found if fields[b"type"] == b"session.gap"]
    return [Gap(_seconds(body["since"]), _seconds(body["until"])) for body in bodies]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def compare(
    record: OneBotRecord, inbound: Rows, outbound: Rows, results: Rows, missing: Sequence[Gap]
) -> Verdict:
    """Return the figures, and what is wrong."""
    verdict = Verdict()
    messages = [row for row in inbound if row["type"].startswith("message.")]
    _losses(verdict, record, messages, missing)
    _order(verdict, record, messages, missing)
    seqs = [int(row["seq"]) for row in inbound]
    verdict.count("holes in seq", sum(1 for a, b in itertools.pairwise(seqs) if b != a + 1))
    check_results(verdict, outbound, results)
    _sends(verdict, record, messages, outbound, results)
    return verdict


def _losses(verdict: Verdict, record: OneBotRecord, messages: Rows, missing: Sequence[Gap]) -> None:
    told = Counter(row["text"] for row in messages)
    known = {one.text for one in record.said}
    lost = [one for one in record.said if one.text not in told]
    outside = [one for one in lost if not any(gap.holds(one.time) for gap in missing)]
    verdict.figures["messages"] = len(record.said)
    verdict.figures["not offered to a client"] = dict(
        Counter(one.withheld for one in record.said if one.withheld)
    )
    verdict.figures["lost within gaps"] = len(lost) - len(outside)
    verdict.count("lost outside gaps", len(outside))
    verdict.wrong += [
        f"{row[0].text} to {row[-1].text} were lost from {row[0].time:.3f} to {row[-1].time:.3f}, {len(row)}: "
        f"{_near(row[0].time, missing)}"
        for row in _episodes(outside)[:40]
    ]
    verdict.count("doubled messages", sum(count - 1 for count in told.values()))
    verdict.count("messages that were never said", sum(1 for text in told if text not in known))
    verdict.figures["gaps"] = len(missing)
    began, ended = record.said[0].time, record.said[-1].time
    share = covered(missing, began, ended) / (ended - began)
    verdict.figures["share of the time in gaps"] = f"{share:.1%}"
    if share >= MOST_IN_GAPS:
        verdict.wrong.append(f"gaps take {share:.1%} of the time, less than {MOST_IN_GAPS:.1%} expected")


def _episodes(lost: Iterable[Said]) -> list[list[Said]]:
    """Return what was lost, those together between which less than EPISODE_SECONDS passed."""
    found: list[list[Said]] = []
    for one in lost:
        if not found or one.time - found[-1][-1].time > EPISODE_SECONDS:
            found.append([])
        found[-1].append(one)
    return found


def covered(missing: Iterable[Gap], began: float, ended: float) -> float:
    """Return the seconds between two times that are in gaps."""
    total, reached = 0.0, began
    for gap in sorted(missing, key=lambda one: one.since):
        since, until = max(gap.since, reached), min(gap.until, ended)
        total += max(0.0, until - since)
        reached = max(reached, until)
    return total


def _near(time: float, missing: Sequence[Gap]) -> str:
    nearest = sorted(missing, key=lambda gap: min(abs(gap.since - time), abs(gap.until - time)))[:2]
    words = [f"gap from {gap.since - time:+.3f} s to {gap.until - time:+.3f} s" for gap in nearest]
    return "; ".join(words) or "there is no gap"


def _order(verdict: Verdict, record: OneBotRecord, messages: Rows, missing: Sequence[Gap]) -> None:
    """Check the order in each chat: that of each publisher always, and that of all but for two reasons.

    What a former holder had on its disk comes behind its successor's. What one holder lost within a gap may come
    from the next one, who heard it while standing by.
    """
    said = {one.text: one for one in record.said}
    newest: dict[tuple[str, ...], int] = defaultdict(int)
    late, wrong, misplaced = [], [], 0
    for row in messages:
        if (one := said.get(row["text"])) is None:
            continue
        misplaced += row["chat"] != one.chat
        keys = {(one.text, row.get("epoch", "")), (one.text, ANY_EPOCH)}
        held = next((name for name, late_ones in record.late.items() if keys & late_ones), "")
        publisher = (one.chat, held or row.get("epoch", ""))
        is_late, is_misplaced = one.n < newest[one.chat,], one.n < newest[publisher]
        was_lost = record.has_listeners and any(gap.holds(one.time) for gap in missing)
        if is_misplaced or (is_late and not held and not was_lost):
            words = f"by {publisher[1] or 'the adapter'} as entry {row.get('entry_id')}"
            wrong.append(f"{one.text} came late: said at {one.time:.3f}, published {words}")
        elif is_late:
            late.append(one)
        for key in ((one.chat,), publisher):
            newest[key] = max(newest[key], one.n)
    verdict.count("messages in another chat", misplaced)
    verdict.figures["late from a former holder, or after a gap"] = len(late)
    verdict.count("out of order in a chat", len(wrong))
    verdict.wrong += wrong[:20]


def _sends(verdict: Verdict, record: OneBotRecord, messages: Rows, outbound: Rows, results: Rows) -> None:
    # The workers say an event's text again; its id is in the request's.
    said = {f"chaos/{row['id']}": row for row in messages}
    asked = [row["id"] for row in outbound]
    verdict.count("answers to events that are not there", sum(ident not in said for ident in asked))
    text = {ident: said[ident]["text"] if ident in said else "" for ident in asked}
    chat = {ident: said[ident]["chat"] if ident in said else "" for ident in asked}
    arrived: dict[str, list[Arrived]] = defaultdict(list)
    for one in record.arrived:
        arrived[one.text].append(one)
    final = finals(results)
    careful = {ident for ident, kind in deliveries(outbound, results).items() if kind == "at-least-once"}
    doubled = repeated = strayed = wrong_ids = 0
    for ident, row in final.items():
        found = arrived[text[ident]]
        strayed += sum(one.chat != chat[ident] for one in found)
        if ident not in careful:
            doubled += max(0, len(found) - 1)
        else:
            repeated += max(0, len(found) - 1)
            doubled += max(0, len(found) - int(row["attempts"]))
        if row["status"] == "sent" and found:
            wrong_ids += row["message_id"] not in {one.message_id for one in found}
    verdict.count("doubled sends", doubled)
    verdict.figures["repeated in at-least-once"] = repeated
    verdict.count("sent to another chat", strayed)
    verdict.count("results with another message id", wrong_ids)
    status = {ident: row["status"] for ident, row in final.items()}
    verdict.count("sent, but never arrived", _count(status, "sent", lambda ident: not arrived[text[ident]]))
    for kind in ("failed", "rejected", "expired"):
        verdict.count(f"{kind}, but arrived", _count(status, kind, lambda ident: bool(arrived[text[ident]])))
    unknown = [ident for ident, state in status.items() if state == "unknown"]
    given_up = [ident for ident in unknown if ident in careful]
    early = [ident for ident in given_up if not is_given_up(final[ident])]
    verdict.figures["given up in at-least-once"] = len(given_up)
    verdict.count("given up too early", len(early))
    verdict.figures["unknown that had arrived"] = sum(bool(arrived[text[ident]]) for ident in unknown)
    sent = {text[ident] for ident, state in status.items() if state == "sent"}
    overtaken = _overtaken(record, outbound, text, sent)
    verdict.count("sends out of order in a chat", len(overtaken))
    verdict.wrong += overtaken[:20]


def _count(status: dict[str, str], kind: str, is_wrong: Any) -> int:
    return sum(1 for ident, state in status.items() if state == kind and is_wrong(ident))


def _overtaken(record: OneBotRecord, outbound: Rows, text: dict[str, str], sent: set[str]) -> list[str]:
    """Name each first arrival behind that of a later request of the chat.

    What ended `unknown` may have waited in a half-open socket, and arrive behind what left by the next one.
    """
    place: dict[str, int] = {}
    for number, row in enumerate(outbound):
        place.setdefault(text[row["id"]], number)
    newest: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    wrong = []
    for one in record.arrived:
        if one.text in seen or one.text not in place or one.text not in sent:
            continue
        seen.add(one.text)
        number, before = place[one.text], newest[one.chat]
        if number < before:
            entries = f"{outbound[number].get('entry_id')} behind {outbound[before].get('entry_id')}"
            wrong.append(f"{one.text} arrived in {one.chat} out of order: request {entries}")
        newest[one.chat] = max(before, number)
    return wrong
