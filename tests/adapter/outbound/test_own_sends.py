"""Proof that what was sent is one event, whatever the network reports of it."""

from dataclasses import replace

from adapter.codec.address import parse_address
from adapter.content import Text
from adapter.events import Message, Outcome, Status
from adapter.outbound.own_sends import ECHO_SECONDS, OwnSends, Report

CHAT = "group:2"
OWN = Message(parse_address(CHAT), "10001", 0.0, (Text("hi"),), "77", from_self=True)


SENT = Outcome(Status.SENT, "ok", message_id="77")


def test_nothing_is_judged_unless_it_is_wanted() -> None:
    off = OwnSends()
    with off.sending(CHAT):
        off.add(CHAT, SENT, "hi", 0.0)
        assert off.judge(CHAT, OWN, 0.0) is Report.PUBLISH


def test_the_report_of_a_sent_message_is_dropped_by_its_id() -> None:
    sends = OwnSends(is_enabled=True)
    with sends.sending(CHAT):
        # It may come before the answer.
        assert sends.judge(CHAT, OWN, 0.0) is Report.WAIT
        assert sends.judge("group:3", OWN, 0.0) is Report.PUBLISH
        sends.add(CHAT, SENT, "hi", 0.0)
    assert sends.judge(CHAT, OWN, 0.0) is Report.DROP
    assert sends.judge(CHAT, replace(OWN, message_id="78"), 0.0) is Report.PUBLISH
    assert sends.judge(CHAT, replace(OWN, from_self=False), 0.0) is Report.PUBLISH


def test_a_message_that_was_not_sent_is_not_remembered() -> None:
    sends = OwnSends(is_enabled=True)
    for outcome in (None, Outcome(Status.UNKNOWN, "upstream.lost", message_id="77")):
        sends.add(CHAT, outcome, "hi", 0.0)
        assert sends.judge(CHAT, OWN, 0.0) is Report.PUBLISH


def test_a_network_without_ids_echoes_the_text() -> None:
    sends = OwnSends(is_enabled=True)
    sends.add(CHAT, Outcome(Status.SENT, "ok"), "hi", 0.0)
    assert sends.judge(CHAT, OWN, 1.0) is Report.DROP
    assert sends.judge(CHAT, OWN, ECHO_SECONDS) is Report.PUBLISH
