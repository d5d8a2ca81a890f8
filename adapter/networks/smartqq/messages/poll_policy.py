"""Decide what the answer to a poll means and what to do next (3.2). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from adapter.errors import ProtocolError, TransportError
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Response
from adapter.networks.smartqq.protocol.parsing import OK, parse_json, return_code
from adapter.networks.smartqq.protocol.poll_items import poll_items


class Action(Enum):
    """Name what follows an answer. All but LOGIN, RELINK and STOP end in the next poll."""

    # There are items.
    DELIVER = auto()
    # There is nothing new, as is usual.
    REPOLL = auto()
    # The server has changed `ptwebqq`.
    RENEW = auto()
    # Pause, and count the answer.
    WAIT = auto()
    # The session is in doubt: ask who is online.
    PROBE = auto()
    # The channel is lost: open it again with the same session.
    RELINK = auto()
    # The session is lost: open a new one with the cookies, else log in.
    LOGIN = auto()
    # The request itself is wrong: a repetition cannot help.
    STOP = auto()


class Pause(Enum):
    """Name the pause before the next step; `Limits` has the seconds."""

    NONE = auto()
    SHORT = auto()
    LONG = auto()
    BUSY = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """Map one kind of answer to an action.

    `trust`: successful probes in a row that are believed, None for any number. `is_counted`: several in a
    row lead to a probe. `is_good`: the server itself confirms the session.
    """

    action: Action
    pause: Pause = Pause.NONE
    trust: int | None = 1
    is_counted: bool = False
    is_good: bool = False


_REPOLL: Final = Rule(Action.REPOLL, is_good=True)
# A gateway answers in the server's place: that is how a quiet poll may end.
_GATEWAY: Final = Rule(Action.REPOLL)
_PROBE: Final = Rule(Action.PROBE, Pause.SHORT)
_ODD: Final = Rule(Action.WAIT, Pause.SHORT, is_counted=True)
_UNKNOWN: Final = Rule(Action.WAIT, Pause.LONG, is_counted=True)

# Short names of the sources stand in the docstring of protocol/.
BY_CODE: Final[Mapping[int, Rule]] = {
    100: Rule(Action.LOGIN),  # not logged in. Page script stops; Mojo logs in anew
    102: _REPOLL,  # the empty poll until the end of 2015. Recorded 2012 to 2015
    103: _PROBE,  # not set up, or cookies changed. Recorded 2015 to 2018; Yinzo probes, Mojo logs in
    108: Rule(Action.LOGIN, Pause.BUSY),  # login lost, or too fast. lwqq
    109: Rule(Action.WAIT, Pause.LONG),  # harmless. Page script waits 10 s; Mojo ignores it
    110: Rule(Action.WAIT, Pause.LONG),  # harmless. Page script waits 10 s; Mojo ignores it
    116: Rule(Action.RENEW),  # `p` is the new ptwebqq. Recorded 2012 to 2017; Mojo sets the cookie too
    120: Rule(Action.RELINK),  # connection lost. Recorded 2015; page script relinks
    121: Rule(Action.RELINK),  # out of the channel. Recorded 2014, 2015; page script and Mojo relink
    122: Rule(Action.LOGIN),  # wrong kind of client. A third party's list of codes
    1202: _GATEWAY,  # uncertain. Yinzo: all is well; Mojo ignores it
    100000: _PROBE,  # headers, cookies or parameters not accepted. Mojo: login; probing first is ours
    100001: _PROBE,  # wrong Referer or psessionid. pandolia probes, then logs in
    100003: Rule(Action.WAIT, Pause.LONG),  # too frequent. pandolia, slince: expected
    100006: Rule(Action.STOP),  # no form, or no `r` in it. RASP and QQRobot stop; Yinzo: an error
    100012: Rule(Action.PROBE, Pause.SHORT, trust=3),  # login expired, mostly not. pandolia, slince probe
    100100: _GATEWAY,  # accepted, or nothing. pandolia, slince, ScienJus
    100101: _PROBE,  # no cookie. A third party's list of codes
}

BY_STATUS: Final[Mapping[int, Rule]] = {
    HTTPStatus.BAD_GATEWAY: _GATEWAY,  # pandolia: an empty poll; Mojo ignores it
    HTTPStatus.GATEWAY_TIMEOUT: _GATEWAY,  # the idle poll of 2016 and 2017, after 60 s. Recorded
    HTTPStatus.NOT_FOUND: _ODD,  # passing. pandolia
}

# {"retcode":0,"retmsg":"ok","errmsg":"error"}: quiet polls of 2018, and dead sessions. pandolia probes.
_HALF_DEAD: Final = Rule(Action.PROBE, Pause.SHORT, trust=None)

# Counted answers in a row before the session is probed. Mojo: three.
PROBE_AFTER: Final = 3

# Counted answers in a row before it is opened again. Page script: eight.
RELINK_AFTER: Final = 8

# Fast empty answers in a row before a probe: what answers may not be SmartQQ any more.
FAST_EMPTY_LIMIT: Final = 20

# Relinks without a good poll between them before a new login. Page script: three.
MAX_RELINKS: Final = 3


@dataclass(frozen=True, slots=True)
class PollDecision:
    """State what to do, after a pause in seconds.

    `logins`: logins in a row, this one included, without a good poll. `is_answer_lost`: an answer may have
    been lost on its way.
    """

    action: Action
    reason: str
    pause: float = 0.0
    items: Sequence[object] = ()
    ptwebqq: str = ""
    logins: int = 0
    is_answer_lost: bool = False


@dataclass(slots=True)
class PollHistory:
    """Count what happens in a row: the same answer must not get the same reaction for ever."""

    errors: int = 0
    probes: int = 0
    fast: int = 0
    relinks: int = 0
    logins: int = 0
    losses: int = 0
    renewals: int = 0
    copies: int = 0
    body_hash: int = 0

    def reset(self) -> None:
        """Start over after a good poll."""
        self.errors = self.probes = self.fast = self.renewals = 0
        self.relinks = self.logins = self.losses = 0

    def count_repeat(self, body: bytes) -> int:
        """Return how many times in a row this very body has been repeated."""
        self.copies = self.copies + 1 if hash(body) == self.body_hash else 0
        self.body_hash = hash(body)
        return self.copies


def evaluate(
    answer: Response | TransportError, seconds: float, history: PollHistory, limits: Limits
) -> PollDecision:
    """Decide what to do about the outcome of a poll that took these seconds."""
    if isinstance(answer, TransportError):
        rule = _GATEWAY if answer.may_have_sent else _ODD
        decision = _weigh(rule, str(answer), seconds, history, limits)
        return replace(decision, is_answer_lost=answer.may_have_sent)
    rule, reason, reply = _read(answer)
    if rule.action is Action.DELIVER:
        history.reset()
        pause = _growing_pause(history.count_repeat(answer.body), limits)
        return PollDecision(Action.DELIVER, reason, pause, items=poll_items(reply))
    if rule.action is Action.RENEW:
        return _renew(reply.get("p"), reason, history, limits)
    # Of a truncated answer the items in the missing part are lost.
    is_truncated = reason == "not JSON" and answer.body.lstrip()[:1] in (b"{", b"[")
    decision = _weigh(rule, reason, seconds, history, limits)
    return replace(decision, is_answer_lost=is_truncated)


def _renew(value: object, reason: str, history: PollHistory, limits: Limits) -> PollDecision:
    """Take a new `ptwebqq`: the first at once, repeated ones with growing pauses."""
    before = history.renewals
    history.reset()
    history.renewals = before + 1
    pause = _growing_pause(before, limits)
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return PollDecision(Action.RENEW, reason, pause, ptwebqq=value)
    return PollDecision(Action.REPOLL, reason, pause)


def _read(answer: Response) -> tuple[Rule, str, Mapping[str, object]]:
    """Return the rule for an answer, its reason, and the JSON."""
    if answer.status != HTTPStatus.OK:
        return BY_STATUS.get(answer.status, _ODD), f"status {answer.status}", {}
    if not answer.body.strip():
        return _GATEWAY, "empty body", {}
    try:
        reply = parse_json(answer)
    except ProtocolError:
        return _ODD, "not JSON", {}
    return *_choose_rule(reply), reply


def _choose_rule(reply: Mapping[str, object]) -> tuple[Rule, str]:
    code = return_code(reply)
    if code != OK:
        return BY_CODE.get(code, _UNKNOWN), f"retcode {code}"
    if poll_items(reply):
        return Rule(Action.DELIVER), "messages"
    if reply.get("retmsg") == "ok" and reply.get("errmsg") == "error":
        return _HALF_DEAD, "retmsg ok, errmsg error"
    return _REPOLL, "nothing"


def _weigh(rule: Rule, reason: str, seconds: float, history: PollHistory, limits: Limits) -> PollDecision:
    """Apply a rule with regard to what happened before it."""
    pause = _pause_seconds(rule.pause, limits)
    action = rule.action
    match action:
        case Action.REPOLL:
            action, pause = _repoll(rule, seconds, history, limits)
        case Action.WAIT if rule.is_counted:
            history.errors += 1
            pause = max(pause, min(limits.fast_pause_first * 2**history.errors, limits.fast_pause_max))
            if history.errors > PROBE_AFTER:
                action = Action.PROBE if history.errors <= RELINK_AFTER else Action.RELINK
        case Action.PROBE:
            history.probes += 1
            if rule.trust is not None and history.probes > rule.trust:
                action = Action.RELINK
    if action in (Action.RELINK, Action.LOGIN):
        action, pause = _escalate(action, history), max(pause, _pause_after_loss(history, limits))
    return PollDecision(action, reason, pause, logins=history.logins)


def _repoll(rule: Rule, seconds: float, history: PollHistory, limits: Limits) -> tuple[Action, float]:
    """Poll again: at once after a long poll, after a growing pause where the answer came too fast."""
    fast = history.fast + 1
    if rule.is_good or seconds >= limits.fast_answer:
        history.reset()
    if seconds >= limits.fast_answer:
        return Action.REPOLL, 0.0
    history.fast = fast
    action = Action.PROBE if fast % FAST_EMPTY_LIMIT == 0 else Action.REPOLL
    return action, _growing_pause(fast, limits)


def _growing_pause(times: int, limits: Limits) -> float:
    """Return 0 at first, then longer and longer pauses in seconds."""
    return min(limits.fast_pause_first * 2 ** min(times - 1, 16), limits.fast_pause_max) if times else 0.0


def _escalate(action: Action, history: PollHistory) -> Action:
    """Replace a relink that did not last `MAX_RELINKS` times by a login."""
    history.errors = history.probes = 0
    if action is Action.RELINK:
        history.relinks += 1
        action = Action.LOGIN if history.relinks > MAX_RELINKS else action
    if action is Action.LOGIN:
        history.relinks = 0
        history.logins += 1
    return action


def _pause_after_loss(history: PollHistory, limits: Limits) -> float:
    """Return the pause before a new session: none, then doubling until a good poll."""
    losses, history.losses = history.losses, history.losses + 1
    return min(limits.short_pause * 2 ** min(losses - 1, 16), limits.blocked_pause) if losses else 0.0


def _pause_seconds(pause: Pause, limits: Limits) -> float:
    return {
        Pause.NONE: 0.0,
        Pause.SHORT: limits.short_pause,
        Pause.LONG: limits.long_pause,
        Pause.BUSY: limits.busy_pause,
    }[pause]
