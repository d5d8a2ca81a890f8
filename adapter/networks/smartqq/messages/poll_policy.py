"""What the answer to a poll means and what to do next: the table of 3.2 as a table. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from adapter.errors import ProtocolError, TransportError
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.protocol.parsing import OK, parse_json, return_code
from adapter.networks.smartqq.protocol.poll_items import poll_items


class Action(Enum):
    """What follows an answer. All but LOGIN, RELINK and STOP end in the next poll."""

    DELIVER = auto()
    """It brought something."""
    REPOLL = auto()
    """Nothing new; that is how it should be."""
    RENEW = auto()
    """Upstream changed `ptwebqq`."""
    WAIT = auto()
    """Not now: pause, count."""
    PROBE = auto()
    """Perhaps the session is gone: ask who is online."""
    RELINK = auto()
    """The channel is gone: open it again with the same session."""
    LOGIN = auto()
    """The session is gone: open a new one with the cookies, else log in."""
    STOP = auto()
    """Our own mistake: asking again cannot help."""


class Pause(Enum):
    """How long before the next step; the seconds are in `Limits`."""

    NONE = auto()
    MOMENT = auto()
    LONG = auto()
    BUSY = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """`trust`: how many times in a row a probe that works is taken for an answer, None for ever.

    `counted`: several in a row are a reason to look after the session. `good`: upstream itself says
    that all is well.
    """

    action: Action
    pause: Pause = Pause.NONE
    trust: int | None = 1
    counted: bool = False
    good: bool = False


_REPOLL: Final = Rule(Action.REPOLL, good=True)
_GATEWAY: Final = Rule(Action.REPOLL)  # no word from upstream itself, which is how a quiet poll may end
_PROBE: Final = Rule(Action.PROBE, Pause.MOMENT)
_ODD: Final = Rule(Action.WAIT, Pause.MOMENT, counted=True)
_UNKNOWN: Final = Rule(Action.WAIT, Pause.LONG, counted=True)

BY_CODE: Final[Mapping[int, Rule]] = {
    100: Rule(Action.LOGIN),  # not logged in
    102: _REPOLL,  # nothing, until the end of 2015
    103: _PROBE,  # the online set-up was never called, or cookies or address changed
    108: Rule(Action.LOGIN, Pause.BUSY),  # login lost, or too fast
    109: Rule(Action.WAIT, Pause.LONG),
    110: Rule(Action.WAIT, Pause.LONG),
    116: Rule(Action.RENEW),
    120: Rule(Action.RELINK),  # connection lost
    121: Rule(Action.RELINK),  # out of the channel
    122: Rule(Action.LOGIN),  # wrong kind of client
    1202: _GATEWAY,
    100000: _PROBE,  # headers, cookies or parameters not accepted
    100001: _PROBE,
    100003: Rule(Action.WAIT, Pause.LONG),  # too frequent
    100006: Rule(Action.STOP),  # no form, or no `r` in it
    100012: Rule(Action.PROBE, Pause.MOMENT, trust=3),  # login expired – mostly it is not
    100100: _GATEWAY,
    100101: _PROBE,  # no cookie
}

BY_STATUS: Final[Mapping[int, Rule]] = {
    HTTPStatus.BAD_GATEWAY: _GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT: _GATEWAY,
    HTTPStatus.NOT_FOUND: _ODD,
}

# {"retcode":0,"retmsg":"ok","errmsg":"error"} of 2018: perhaps dead, but also how quiet polls ended.
_HALF_DEAD: Final = Rule(Action.PROBE, Pause.MOMENT, trust=None)

PROBE_AFTER: Final = 3
"""Counted answers in a row before the session is probed …"""

RELINK_AFTER: Final = 8
"""… and before it is opened again, as the official client does."""

FAST_EMPTY_LIMIT: Final = 20
"""Empty answers in a row that came at once, before somebody asks whether this still is SmartQQ."""

RELINKS: Final = 3
"""Relinks without a good poll between them, before the session is given up."""


@dataclass(frozen=True, slots=True)
class PollDecision:
    """What to do, after how long a pause. `lost`: an answer may have been lost on the way."""

    action: Action
    reason: str
    pause: float = 0.0
    items: Sequence[object] = ()
    ptwebqq: str = ""
    lost: bool = False


@dataclass(slots=True)
class PollHistory:
    """What happened in a row, so that the same answer does not get the same reaction for ever."""

    errors: int = 0
    probes: int = 0
    quick: int = 0
    relinks: int = 0
    logins: int = 0
    losses: int = 0
    renewals: int = 0
    copies: int = 0
    body: int = 0

    def reset(self) -> None:
        """A poll went as it should."""
        self.errors = self.probes = self.quick = self.renewals = 0
        self.relinks = self.logins = self.losses = 0

    def count_repeat(self, body: bytes) -> int:
        """How many times in a row these very items have come."""
        self.copies = self.copies + 1 if hash(body) == self.body else 0
        self.body = hash(body)
        return self.copies


def evaluate(
    answer: Response | TransportError, took: float, health: PollHistory, limits: Limits
) -> PollDecision:
    """What to do about the outcome of a poll that took so many seconds."""
    if isinstance(answer, TransportError):
        return _broken(answer, took, health, limits)
    rule, reason, reply = _read(answer)
    if rule.action is Action.DELIVER:
        health.reset()
        pause = _growing(health.count_repeat(answer.body), limits)
        return PollDecision(Action.DELIVER, reason, pause, items=poll_items(reply))
    if rule.action is Action.RENEW:
        return _renewed(reply.get("p"), reason, health, limits)
    # Half of an answer: what stood in the other half is gone.
    cut = reason == "not JSON" and answer.body.lstrip()[:1] in (b"{", b"[")
    verdict = _weigh(rule, reason, took, health, limits)
    return PollDecision(verdict.action, reason, verdict.pause, lost=cut)


def _renewed(fresh: object, reason: str, health: PollHistory, limits: Limits) -> PollDecision:
    """A new `ptwebqq`: once at once, again and again with growing pauses."""
    before = health.renewals
    health.reset()
    health.renewals = before + 1
    pause = _growing(before, limits)
    if isinstance(fresh, str) and fresh.isascii() and fresh.isprintable():
        return PollDecision(Action.RENEW, reason, pause, ptwebqq=fresh)
    return PollDecision(Action.REPOLL, reason, pause)


def _read(answer: Response) -> tuple[Rule, str, Mapping[str, object]]:
    """The rule for an answer, why, and its JSON."""
    if answer.status != HTTPStatus.OK:
        return BY_STATUS.get(answer.status, _ODD), f"status {answer.status}", {}
    if not answer.body.strip():
        return _GATEWAY, "empty body", {}
    try:
        reply = parse_json(answer)
    except ProtocolError:
        return _ODD, "not JSON", {}
    return *_understand(reply), reply


def _understand(reply: Mapping[str, object]) -> tuple[Rule, str]:
    code = return_code(reply)
    if code != OK:
        return BY_CODE.get(code, _UNKNOWN), f"retcode {code}"
    if poll_items(reply):
        return Rule(Action.DELIVER), "messages"
    if reply.get("retmsg") == "ok" and reply.get("errmsg") == "error":
        return _HALF_DEAD, "retmsg ok, errmsg error"
    return _REPOLL, "nothing"


def _broken(error: TransportError, took: float, health: PollHistory, limits: Limits) -> PollDecision:
    """No answer, or half of one."""
    verdict = _weigh(_GATEWAY if error.may_have_sent else _ODD, str(error), took, health, limits)
    return PollDecision(verdict.action, verdict.reason, verdict.pause, lost=error.may_have_sent)


def _weigh(rule: Rule, reason: str, took: float, health: PollHistory, limits: Limits) -> PollDecision:
    """Apply a rule with regard to what happened before."""
    pause = _seconds(rule.pause, limits)
    action = rule.action
    match action:
        case Action.REPOLL:
            action, pause = _again(rule, took, health, limits)
        case Action.WAIT if rule.counted:
            health.errors += 1
            pause = max(pause, min(limits.quick_first * 2**health.errors, limits.quick_most))
            if health.errors > PROBE_AFTER:
                action = Action.PROBE if health.errors <= RELINK_AFTER else Action.RELINK
        case Action.PROBE:
            health.probes += 1
            if rule.trust is not None and health.probes > rule.trust:
                action = Action.RELINK
    if action in (Action.RELINK, Action.LOGIN):
        action, pause = _escalated(action, health), max(pause, _lost(health, limits))
    return PollDecision(action, reason, pause)


def _again(rule: Rule, took: float, health: PollHistory, limits: Limits) -> tuple[Action, float]:
    """Poll again: at once after a long poll, with growing pauses where the answer came too soon."""
    quick = health.quick + 1
    if rule.good or took >= limits.quick:
        health.reset()
    if took >= limits.quick:
        return Action.REPOLL, 0.0
    health.quick = quick
    action = Action.PROBE if quick % FAST_EMPTY_LIMIT == 0 else Action.REPOLL
    return action, _growing(quick, limits)


def _growing(times: int, limits: Limits) -> float:
    """No pause at first, then longer ones."""
    return min(limits.quick_first * 2 ** min(times - 1, 16), limits.quick_most) if times else 0.0


def _escalated(action: Action, health: PollHistory) -> Action:
    """What helped three times in a row and did not last does not help."""
    health.errors = health.probes = 0
    if action is Action.RELINK:
        health.relinks += 1
        action = Action.LOGIN if health.relinks > RELINKS else action
    if action is Action.LOGIN:
        health.relinks = 0
        health.logins += 1
    return action


def _lost(health: PollHistory, limits: Limits) -> float:
    """The pause before a lost session is replaced: none, then doubling while no poll goes well."""
    pause = (
        min(limits.short_pause * 2 ** min(health.losses - 1, 16), limits.blocked) if health.losses else 0.0
    )
    health.losses += 1
    return pause


def _seconds(pause: Pause, limits: Limits) -> float:
    return {
        Pause.NONE: 0.0,
        Pause.MOMENT: limits.short_pause,
        Pause.LONG: limits.long_pause,
        Pause.BUSY: limits.busy_pause,
    }[pause]
