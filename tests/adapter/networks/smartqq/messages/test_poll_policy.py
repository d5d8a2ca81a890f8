"""Prove messages/poll_policy.py and poller.py: each row of the table, alone and over sockets."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapter.errors import TransportError
from adapter.events import Batch, Gap, Message, SessionChange, SessionState
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.messages.poll_policy import (
    FAST_EMPTY_LIMIT,
    MAX_RELINKS,
    PROBE_AFTER,
    RELINK_AFTER,
    Action,
    PollHistory,
    evaluate,
)
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.upstream import SmartQQUpstream
from tests.simulator import Answer as Scripted
from tests.simulator import Simulator
from tests.support.smartqq_harness import FAST, config, listening, names, online

pytestmark = pytest.mark.anyio

LIMITS = Limits()
LONG = 60.0
NOTHING = b'{"errmsg":"error!!!","retcode":0}'


def code(number: int, **more: Any) -> Response:
    text = "".join(f',"{key}":"{value}"' for key, value in more.items())
    return Response(200, f'{{"retcode":{number}{text}}}'.encode())


def action(
    answer: Response | TransportError, history: PollHistory | None = None, took: float = LONG
) -> Action:
    return evaluate(answer, took, history or PollHistory(), LIMITS).action


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response(200, b'{"retcode":0,"result":[{}]}'), Action.DELIVER),
        (code(102, errmsg=""), Action.REPOLL),
        (Response(200, NOTHING), Action.REPOLL),
        (Response(200, b'{"retcode":0,"errmsg":""}'), Action.REPOLL),
        (code(0, result="ok"), Action.REPOLL),
        (Response(200, b'{"retcode":0,"result":[]}'), Action.REPOLL),
        (Response(200, b'{"retcode":0,"result":null}'), Action.REPOLL),
        (code(0, retmsg="ok", errmsg="error"), Action.PROBE),
        (Response(200, b""), Action.REPOLL),
        (Response(200, b"\r\n"), Action.REPOLL),
        (Response(502, b"<html>"), Action.REPOLL),
        (Response(504, b"<html>"), Action.REPOLL),
        (Response(404, b"<html>"), Action.WAIT),
        (Response(403, b"<html>"), Action.WAIT),
        (Response(302, b""), Action.WAIT),
        (Response(500, b""), Action.WAIT),
        (TransportError("x", may_have_sent=True), Action.REPOLL),
        (TransportError("x", may_have_sent=False), Action.WAIT),
        (code(116, p="0123abcd"), Action.RENEW),
        (Response(200, b'{"retcode":116}'), Action.REPOLL),
        (code(116, p="\\u4e2d"), Action.REPOLL),
        (code(100), Action.LOGIN),
        (code(103), Action.PROBE),
        (code(108), Action.LOGIN),
        (code(109), Action.WAIT),
        (code(110), Action.WAIT),
        (code(114), Action.WAIT),
        (code(120), Action.RELINK),
        (code(121, t="0"), Action.RELINK),
        (code(122), Action.LOGIN),
        (code(1202), Action.REPOLL),
        (code(100000), Action.PROBE),
        (code(100001), Action.PROBE),
        (code(100003), Action.WAIT),
        (code(100006), Action.STOP),
        (code(100012), Action.PROBE),
        (code(100100), Action.REPOLL),
        (code(100101), Action.PROBE),
        (code(77), Action.WAIT),
        (Response(200, b"<html>"), Action.WAIT),
        (Response(200, b'{"retcode":0,"resul'), Action.WAIT),
        (Response(200, b"\xef\xbb\xbf" + NOTHING + b"\r\n"), Action.REPOLL),
    ],
    ids=str,
)
def test_an_answer_has_its_row(answer: Response | TransportError, expected: Action) -> None:
    assert action(answer) is expected


@pytest.mark.parametrize(
    ("number", "trusted"), [(103, 1), (100000, 1), (100001, 1), (100101, 1), (100012, 3)]
)
def test_a_doubt_that_a_good_probe_does_not_end_ends_in_a_relink(number: int, trusted: int) -> None:
    history = PollHistory()
    assert [action(code(number), history) for _ in range(trusted + 1)] == [
        *[Action.PROBE] * trusted,
        Action.RELINK,
    ]


def test_a_good_poll_between_two_doubts_makes_them_forgotten() -> None:
    history = PollHistory()
    for _ in range(5):
        assert action(code(103), history) is Action.PROBE
        assert action(code(102), history, took=0.0) is Action.REPOLL


def test_the_odd_body_of_2018_is_probed_for_ever() -> None:
    history = PollHistory()
    assert {action(code(0, retmsg="ok", errmsg="error"), history) for _ in range(50)} == {Action.PROBE}


def test_unknown_answers_are_waited_out_then_probed_then_relinked() -> None:
    history = PollHistory()
    found = [action(code(77), history) for _ in range(RELINK_AFTER + 1)]
    assert found == [Action.WAIT] * PROBE_AFTER + [Action.PROBE] * (RELINK_AFTER - PROBE_AFTER) + [
        Action.RELINK
    ]


def test_relinks_that_do_not_last_end_in_a_login() -> None:
    history = PollHistory()
    assert [action(code(121), history) for _ in range(MAX_RELINKS + 1)] == [
        *[Action.RELINK] * MAX_RELINKS,
        Action.LOGIN,
    ]
    assert action(code(121), history) is Action.RELINK


def test_empty_answers_that_come_at_once_never_become_a_hot_loop() -> None:
    history = PollHistory()
    decisions = [evaluate(Response(504), 0.0, history, LIMITS) for _ in range(FAST_EMPTY_LIMIT)]
    pauses = [decision.pause for decision in decisions]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (LIMITS.fast_pause_first, LIMITS.fast_pause_max)
    assert [decision.action for decision in decisions] == [Action.REPOLL] * (FAST_EMPTY_LIMIT - 1) + [
        Action.PROBE
    ]
    assert evaluate(Response(504), LONG, history, LIMITS).pause == 0
    assert evaluate(Response(504), 0.0, history, LIMITS).pause == LIMITS.fast_pause_first


def test_a_session_that_is_lost_again_and_again_never_becomes_a_hot_loop() -> None:
    history = PollHistory()
    pauses = [evaluate(code(121), 0.0, history, LIMITS).pause for _ in range(30)]
    assert pauses[:4] == [0, LIMITS.short_pause, 2 * LIMITS.short_pause, 4 * LIMITS.short_pause]
    assert (pauses, pauses[-1]) == (sorted(pauses), LIMITS.blocked_pause)
    assert evaluate(code(102), 0.0, history, LIMITS).action is Action.REPOLL
    assert evaluate(code(121), 0.0, history, LIMITS).pause == 0


def test_neither_renewals_nor_copies_become_a_hot_loop() -> None:
    for answer in (code(116, p="0123"), code(116), Response(200, b'{"retcode":0,"result":[{}]}')):
        history = PollHistory()
        pauses = [evaluate(answer, 0.0, history, LIMITS).pause for _ in range(20)]
        assert (pauses[0], pauses[1], pauses[-1]) == (0, LIMITS.fast_pause_first, LIMITS.fast_pause_max)
        evaluate(Response(200, b'{"retcode":0,"result":[[]]}'), 0.0, history, LIMITS)
        assert evaluate(answer, 0.0, history, LIMITS).pause == 0


def test_every_answer_that_is_not_a_long_poll_s_has_a_pause() -> None:
    for number in (100003, 109, 77, 103, 108):
        assert evaluate(code(number), 0.0, PollHistory(), LIMITS).pause > 0


def test_half_an_answer_may_have_lost_something() -> None:
    assert evaluate(Response(200, b'{"retcode":0,"result":[{'), LONG, PollHistory(), LIMITS).is_answer_lost
    assert evaluate(TransportError("x", may_have_sent=True), LONG, PollHistory(), LIMITS).is_answer_lost
    assert not evaluate(TransportError("x", may_have_sent=False), LONG, PollHistory(), LIMITS).is_answer_lost
    assert not evaluate(Response(502, b"<html>"), LONG, PollHistory(), LIMITS).is_answer_lost


# --- through the client ---

PROBE = "get_online_buddies2"
RELINK = ["login2", "getvfwebqq", PROBE]
LOGIN = ["getvfwebqq", "login2", PROBE]


@dataclass(frozen=True)
class Row:
    """Answers to polls, the calls that follow, and what is told."""

    name: str
    answers: tuple[Scripted, ...]
    calls: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    gap: bool = False


def row(name: str, *answers: Scripted, calls: Any = (), states: Any = (), gap: bool = False) -> Row:
    return Row(name, answers, tuple(calls), tuple(states), gap)


def said(number: int, **more: Any) -> Scripted:
    return Scripted(json={"retcode": number, **more})


POLL = "poll2"
BACK = ("relinking", "online")
ANEW = ("offline", *BACK)

ROWS = [
    row("102", said(102, errmsg="")),
    row("0 without result", Scripted(body=NOTHING)),
    row("0 with text", said(0, result="ok")),
    row("0 with null", said(0, result=None)),
    row("0 with nothing", said(0, result=[])),
    row("2018", said(0, retmsg="ok", errmsg="error"), calls=[PROBE]),
    row("empty body", Scripted(body=b"")),
    row("502", Scripted(status=502)),
    row("504", Scripted(status=504)),
    row("404", Scripted(status=404)),
    row("403", Scripted(status=403)),
    row("redirect", Scripted(status=302, body=b"", headers={"Location": "http://w.qq.com/"})),
    row("HTML with 200", Scripted(body=b"<html>502</html>")),
    row("BOM", Scripted(body=b"\xef\xbb\xbf" + NOTHING + b"\r\n")),
    row("truncated", Scripted(body=b'{"retcode":0,"result":[{"poll'), gap=True),
    row("cut before the answer", Scripted(cut="before"), gap=True),
    row("cut within the answer", Scripted(body=NOTHING * 100, cut="body"), gap=True),
    row("100", said(100), calls=LOGIN, states=ANEW),
    row("103", said(103), calls=[PROBE]),
    row("103 twice", said(103), said(103), calls=[PROBE, POLL, *RELINK], states=BACK),
    row("108", said(108), calls=LOGIN, states=ANEW),
    row("109", said(109)),
    row("110", said(110)),
    row("120", said(120), calls=RELINK, states=BACK),
    row("121", said(121, t="0"), calls=RELINK, states=BACK),
    row("122", said(122), calls=LOGIN, states=ANEW),
    row("1202", said(1202)),
    row("100000", said(100000), calls=[PROBE]),
    row("100000 twice", said(100000), said(100000), calls=[PROBE, POLL, *RELINK], states=BACK),
    row("100001", said(100001), calls=[PROBE]),
    row("100003", said(100003)),
    row("100012", said(100012), calls=[PROBE]),
    row("100100", said(100100)),
    row("100101", said(100101), calls=[PROBE]),
    row("unknown", said(77)),
    row("unknown four times", *[said(77)] * 4, calls=[POLL, POLL, POLL, PROBE]),
]


async def polled(sim: Simulator, count: int) -> None:
    """Wait until so many polls have been answered and the next one waits."""
    await sim.wait_requests("/channel/poll2", count)
    await sim.wait_poll()


def answered(sim: Simulator) -> int:
    return len([entry for entry in sim.requests if entry.path == "/channel/poll2"])


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
async def test_the_client_does_what_the_row_says(case: Row, tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        since, told, polls = len(sim.requests), len(listener.states), answered(sim)
        sim.next_poll(*case.answers)
        await polled(sim, polls + len(case.answers))
        assert names(sim, since)[: 1 + len(case.calls)] == [POLL, *case.calls]
        assert listener.states[told:] == list(case.states)
        assert (len(listener.of(Gap)) > 0) is (case.gap or bool(case.states))
        sim.say("friend:10001", "still there?")
        assert (await listener.first(Message)).message_id


async def test_116_renews_field_cookie_and_hash(tmp_path: Path) -> None:
    fresh = "0123456789abcdef" * 3
    async with Simulator("e3", check_ptwebqq=True) as sim, online(sim, tmp_path) as listener:
        polls = answered(sim)
        sim.next_poll(said(116, p=fresh))
        await polled(sim, polls + 1)
        sim.next_poll(said(102))
        await polled(sim, polls + 2)
        entry = [entry for entry in sim.requests if entry.path == "/channel/poll2"][-1]
        assert f'"ptwebqq":"{fresh}"' in entry.params["r"]
        assert f"ptwebqq={fresh}" in entry.headers["Cookie"]
        assert fresh in (tmp_path / "smartqq.json").read_text(encoding="utf-8")
        assert listener.states[-1] == "online"


async def test_100006_stops_and_says_so(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.next_poll(said(100006))
        change = await listener.state(SessionState.OFFLINE)
        assert (change.reason, change.detail) == ("request.refused", "retcode 100006")
        since = len(sim.requests)
        await listener.upstream.login()
        await listener.state(SessionState.ONLINE, 2)
        assert names(sim, since)[0] == PROBE


async def test_three_relinks_that_do_not_last_are_followed_by_a_login(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        polls = answered(sim)
        since = len(sim.requests)
        sim.next_poll(*[said(121)] * 4)
        await polled(sim, polls + 4)
        logins = [n for n in names(sim, since) if n in ("login2", "getvfwebqq")]
        assert logins == ["login2", "getvfwebqq"] * 3 + ["getvfwebqq", "login2"]
        assert listener.states.count("online") == 5


async def test_a_way_in_that_does_not_last_is_followed_by_the_next_one(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        polls, since = answered(sim), len(sim.requests)
        sim.next_poll(*[said(100)] * 4)
        await polled(sim, polls + 4)
        ways = [n for n in names(sim, since) if n in ("login2", "pt4_auth", "ptqrshow")]
        assert ways == ["login2", "pt4_auth", "login2", *["ptqrshow", "login2"] * 2]
        lost = [change for change in listener.of(SessionChange) if change.reason == "session.lost"]
        assert [change.detail for change in lost] == ["retcode 100"] * 4


async def test_a_dead_session_is_opened_again_with_its_cookies(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.drop_session()
        change = await listener.state(SessionState.ONLINE, 2)
        assert change.ids_changed
        assert listener.states[-2:] == ["relinking", "online"]


async def test_dead_cookies_lead_to_a_scan(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.drop_session(cookies=True)
        await listener.state(SessionState.QR, 2)
        await listener.state(SessionState.ONLINE, 2)
        steps = [(change.state.value, change.reason) for change in listener.of(SessionChange)]
        assert steps[steps.index(("relinking", "relink")) :] == [
            ("relinking", "relink"),
            ("offline", "session.lost"),
            ("relinking", "reopen"),
            ("relinking", "quick"),
            ("qr", "scan"),
            ("scanned", "confirm"),
            ("online", "full"),
        ]


async def test_a_silence_of_ours_longer_than_upstream_keeps_things_is_a_gap(tmp_path: Path) -> None:
    ahead = 0.0
    async with Simulator("e3", poll_seconds=0.05) as sim:
        upstream = SmartQQUpstream(config(sim, tmp_path), limits=FAST, clock=lambda: time.time() + ahead)
        async with upstream, aclosing(upstream.events()) as events:
            for later in (0.0, FAST.server_buffer - 1.0, 2 * FAST.server_buffer):
                told = await until_idle(events)
                assert not [event for event in told if isinstance(event, Gap)]
                ahead += later
            (gap,) = [event for event in await until_idle(events) if isinstance(event, Gap)]
            assert (gap.reason, round(gap.until - gap.since, -1)) == ("silence", 2 * FAST.server_buffer)


async def until_idle(events: AsyncGenerator[Batch, None]) -> Batch:
    """Return what is published up to the first poll that brings nothing."""
    told: Batch = ()
    async for batch in events:
        told += batch
        if not batch:
            break
    return told


async def test_a_network_that_is_away_is_told_once_and_its_return_too(tmp_path: Path) -> None:
    async with Simulator("e3", seed=1) as first:
        port = int(first.url.rpartition(":")[2])
        async with online(first, tmp_path) as listener:
            await first.__aexit__(None, None, None)
            change = await listener.state(SessionState.OFFLINE)
            assert change.reason == "network"
            first.network.journal.requests.clear()
            await first._gateway.start("127.0.0.1", port)  # noqa: SLF001 – the same service comes back
            await listener.state(SessionState.ONLINE, 2)
            assert listener.states.count("offline") == 1
            assert listener.of(Gap)
            await listener.upstream.connected()


async def test_no_poll_is_sent_before_the_batch_before_is_taken(tmp_path: Path) -> None:
    async with Simulator("e3") as sim:
        async with listening(sim, tmp_path) as listener:
            await listener.state(SessionState.ONLINE)
        async with SmartQQUpstream(config(sim, tmp_path), limits=FAST) as upstream:
            events = upstream.events()
            while not any(isinstance(event, Message) for event in await anext(events)):
                if sim.network.mailbox.polls == 0 and not sim.queued:
                    sim.say("friend:10001", "one")
            polls = answered(sim)
            sim.say("friend:10001", "two")
            await events.aclose()
            assert answered(sim) == polls
            assert sim.queued == 1
