"""Recorded poll answers of 2011 to 2018 against the decoder.

Shapes, ids and times in `data/recorded_polls.json` are as public clients recorded them; texts, names and files
are invented. `expect` says what the client of the source makes of an answer, `decided` why this project
decided as it did where clients differ, `actions` what may follow an answer without messages.
"""

import json
from typing import Any

import pytest

from adapter.content import render
from adapter.events import Message, Notice, UpstreamEvent
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.messages.poll_policy import Action, PollDecision, PollHistory, evaluate
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.protocol.notices import service_event
from adapter.networks.smartqq.protocol.poll_items import parse_items
from tests.adapter.networks.smartqq.protocol.test_poll_items import ME, NOW, plain
from tests.support import DATA

RECORDS: list[dict[str, Any]] = json.loads((DATA / "recorded_polls.json").read_text(encoding="utf-8"))


def named(*keys: str) -> list[Any]:
    """Return the records that have all of these keys, as parameters of a test."""
    return [pytest.param(one, id=one["name"]) for one in RECORDS if set(keys) <= set(one)]


def judged(poll: Any) -> PollDecision:
    """Return what follows this answer to a poll of a minute."""
    body = json.dumps(poll).encode()
    return evaluate(Response(200, body), 60.0, PollHistory(), Limits())


def decoded(record: dict[str, Any]) -> list[UpstreamEvent]:
    """Return the events of all polls of a record."""
    verdicts = [judged(poll) for poll in record["polls"]]
    assert {verdict.action for verdict in verdicts} == {Action.DELIVER}
    return [
        event
        for verdict in verdicts
        for event in parse_items(verdict.items, account=ME, now=NOW, keep_raw=True)
    ]


def seen(event: UpstreamEvent, expected: dict[str, Any]) -> dict[str, Any]:
    """Return of an event what its record has an opinion about, in the words of the record."""
    shown: dict[str, Any] = plain(event)
    if isinstance(event, Message):
        shown |= {"text": render(event.segments), "service": service_event(render(event.segments))}
    if isinstance(event, Notice) and isinstance(event.data, dict):
        shown["data"] = {name: event.data.get(name) for name in expected.get("data", {})}
    if "raw_has" in expected and isinstance(event, Notice) and isinstance(event.raw, dict):
        shown["raw_has"] = expected["raw_has"] if expected["raw_has"] in event.raw else ""
    if "font" in expected:
        shown["font"] = {name: shown["font"][name] for name in expected["font"]}
    return {name: shown.get(name) for name in expected}


def test_there_are_105_records() -> None:
    assert len(RECORDS) == 105
    assert len({record["name"] for record in RECORDS}) == 105
    assert all(("expect" in record) != ("actions" in record) for record in RECORDS)


@pytest.mark.parametrize("record", named("expect"))
def test_a_recorded_answer_becomes_what_its_client_made_of_it(record: dict[str, Any]) -> None:
    events, expected = decoded(record), record["expect"]
    assert len(events) == len(expected)
    if record.get("order") == "any":
        events.sort(key=lambda event: type(event).__name__, reverse=True)
    assert [seen(event, one) for event, one in zip(events, expected, strict=True)] == expected


@pytest.mark.parametrize("record", named("actions"))
def test_an_answer_without_messages_has_its_consequence(record: dict[str, Any]) -> None:
    (poll,) = record["polls"]
    assert judged(poll).action.name in record["actions"]
