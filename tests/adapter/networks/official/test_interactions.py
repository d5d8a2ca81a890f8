"""Acknowledgement of interactions against the official server."""

import logging
from pathlib import Path

import pytest

from adapter.networks.official.protocol.notices import INTERACTION
from tests.official_server import Answer, OfficialServer
from tests.support.helpers import wait_until
from tests.support.official_harness import INTENTS, Listener, limits, listening

pytestmark = pytest.mark.anyio

WITH_INTERACTIONS = INTENTS | 1 << 26


def press(server: OfficialServer, **fields: str) -> str:
    """Let a friend press a button; returns the id of the interaction."""
    return str(server.notify(INTERACTION, "friend:ann", **fields).body["id"])


async def said(server: OfficialServer, heard: Listener, text: str) -> None:
    """Wait until a message that a friend writes now is heard."""
    server.say("friend:ann", text)
    await wait_until(lambda: text in heard.texts, text, 20.0)


async def test_an_interaction_is_acknowledged_once_its_event_is_stored_and_not_again(tmp_path: Path) -> None:
    async with (
        OfficialServer(replay_overlap=10) as server,
        listening(server, tmp_path, intents=WITH_INTERACTIONS) as heard,
    ):
        await heard.online()
        heard.holds = lambda batch: "INTERACTION" in repr(batch)
        first = press(server)
        await heard.noticed("other", 1)
        for _ in range(5):  # later calls are answered: one that had left before would be, too
            assert await heard.upstream.probe()
        assert server.record.acknowledged == []
        heard.holds = lambda _batch: False
        heard.gate.set()
        await server.wait(lambda: server.record.acknowledged == [first], "an acknowledgement", 20.0)
        request = next(one for one in server.record.requests if one.endpoint == "interaction")
        assert (request.path, request.body) == (f"/interactions/{first}", {"code": 0})
        await server.kill(4009)
        await heard.noticed("other", 2)
        second = press(server)
        await server.wait(lambda: second in server.record.acknowledged, "a second one", 20.0)
        assert server.record.acknowledged == [first, second]


@pytest.mark.parametrize(
    "answer",
    [Answer(code=40034006), Answer(status=502), Answer(cut="before"), Answer(delay=60.0)],
    ids=["refused", "broken", "cut", "late"],
)
async def test_a_failed_acknowledgement_is_logged_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    caplog.set_level(logging.DEBUG, "adapter.networks.official.interactions")
    hasty = limits(acknowledge_seconds=4.0)
    async with (
        OfficialServer(replay_overlap=10) as server,
        listening(server, tmp_path, intents=WITH_INTERACTIONS, limits=hasty) as heard,
    ):
        await heard.online()
        server.next_answer("interaction", answer, answer)
        pressed = [press(server), press(server)]
        await wait_until(lambda: caplog.text.count("not acknowledged") == 2, "two failures", 20.0)
        assert [one.levelname for one in caplog.records if "not acknowledged" in one.message] == [
            "WARNING",
            "DEBUG",
        ]
        await said(server, heard, "still here")
        await server.kill(4009)  # the Resume repeats both: they were not acknowledged
        await server.wait(
            lambda: set(server.record.acknowledged) == set(pressed), "both after the Resume", 20.0
        )


async def test_a_hostile_id_reaches_no_other_path(tmp_path: Path) -> None:
    quoted = ["../users/@me?a=1#b", "%2e%2e", "a\r\nHost: x", "按\ud800", "7"]
    refused = ["", ".", "..", "x" * 129]
    async with (
        OfficialServer() as server,
        listening(server, tmp_path, intents=WITH_INTERACTIONS) as heard,
    ):
        await heard.online()
        before = {one.endpoint for one in server.record.requests}
        for hostile in [*refused, *quoted]:
            press(server, id=hostile)
        for shape in ([1], {"a": 1}, None):
            server.push(INTERACTION, {"id": shape}, 1 << 26)
        await heard.noticed("other", 12)
        await said(server, heard, "still here")
        expected = {one.replace("\ud800", "?") for one in quoted}
        await server.wait(lambda: set(server.record.acknowledged) == expected, "the quoted ones", 20.0)
        assert {one.endpoint for one in server.record.requests} - before == {"interaction"}


async def test_a_burst_is_bounded_and_events_do_not_wait_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    patient = limits(batch=500, acknowledge_seconds=60.0)
    async with (
        OfficialServer(api_qps=0) as server,
        listening(server, tmp_path, intents=WITH_INTERACTIONS, limits=patient) as heard,
    ):
        await heard.online()
        server.next_answer("interaction", *[Answer(delay=60.0)] * 4)
        for _ in range(300):
            press(server)
        await said(server, heard, "behind them")
        await wait_until(lambda: "200 others wait" in caplog.text, "a refusal", 20.0)
