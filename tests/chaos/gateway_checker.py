"""What must hold at gateways in the end: what their bots' sockets saw against the bus and the server's record."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.checker import Verdict

# Examples of what is wrong.
SHOWN = 10


@dataclass(frozen=True)
class Published:
    """A message on the bus, in the order of the stream; `number` as bots know it."""

    number: int
    chat: str
    text: str


Note = Mapping[str, Any]


def read_journal(path: Path) -> list[Note]:
    """Return the lines of a bot; one that a kill cut short says nothing."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def judge(
    published: Sequence[Published],
    journals: Mapping[str, Sequence[Note]],
    arrived: Sequence[str],
    living: Sequence[str],
) -> Verdict:
    """Return the figures, and what is wrong.

    `journals` by the gateway's name, `arrived`: the texts that reached the network, `living`: the names of
    the bots' processes that run at the end.
    """
    verdict = Verdict()
    verdict.figures["messages on the bus"] = len(published)
    for name, notes in journals.items():
        _events(verdict, name, published, notes)
        _answers(verdict, name, notes, Counter(arrived), living)
    return verdict


def _events(verdict: Verdict, name: str, published: Sequence[Published], notes: Sequence[Note]) -> None:
    known = {one.number: (place, one) for place, one in enumerate(published)}
    seen: set[int] = set()
    newest: dict[str, int] = defaultdict(lambda: -1)
    on_socket: dict[tuple[str, str], int] = defaultdict(lambda: -1)
    foreign = late = crossed = unmarked = again = 0
    for note in (note for note in notes if note["kind"] == "event"):
        if note["number"] not in known:
            foreign += 1
            continue
        place, one = known[note["number"]]
        foreign += one.text != note["text"]
        crossed += place <= on_socket[note["on"], one.chat]
        on_socket[note["on"], one.chat] = place
        if note["number"] in seen:
            again += 1
            unmarked += not note["again"]
            continue
        seen.add(note["number"])
        late += place < newest[one.chat]
        newest[one.chat] = max(newest[one.chat], place)
    lost = [one for one in published if one.number not in seen]
    verdict.figures[f"{name}: delivered again"] = again
    verdict.count(f"{name}: lost", len(lost))
    verdict.wrong += [f"{name}: {one.text} of {one.chat} was lost" for one in lost[:SHOWN]]
    verdict.count(f"{name}: never published", foreign)
    verdict.count(f"{name}: first heard out of order in a chat", late)
    verdict.count(f"{name}: out of order on a socket", crossed)
    verdict.count(f"{name}: again without `redelivered`", unmarked)


def _answers(
    verdict: Verdict, name: str, notes: Sequence[Note], arrived: Counter[str], living: Sequence[str]
) -> None:
    asked = {note["text"]: note["on"] for note in notes if note["kind"] == "asked"}
    closed = {note["on"] for note in notes if note["kind"] == "closed"}
    answers: dict[str, list[str]] = defaultdict(list)
    for note in notes:
        if note["kind"] == "answer":
            answers[note["text"]].append(note["status"])
    verdict.figures[f"{name}: actions"] = len(asked)
    verdict.figures[f"{name}: answers"] = dict(Counter(said[0] for said in answers.values()))
    unanswered = [
        text
        for text, socket in asked.items()
        if text not in answers and socket not in closed and socket.rpartition(".")[0] in living
    ]
    verdict.figures[f"{name}: their socket closed"] = len(asked) - len(answers) - len(unanswered)
    verdict.count(f"{name}: neither answered nor closed", len(unanswered))
    verdict.count(f"{name}: answered twice", sum(len(said) > 1 for said in answers.values()))
    verdict.count(f"{name}: sent twice", sum(arrived[text] > 1 for text in asked))
    of: dict[str, list[str]] = defaultdict(list)
    for text, said in answers.items():
        of[said[0]].append(text)
    verdict.count(f"{name}: ok, but never arrived", sum(not arrived[text] for text in of["ok"]))
    verdict.count(f"{name}: failed, but arrived", sum(bool(arrived[text]) for text in of["failed"]))
