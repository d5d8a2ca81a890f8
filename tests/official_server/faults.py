"""Answers that a test puts in the place of the server's own, by endpoint."""

import base64
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Cut = Literal["before", "body", "after"]

# Endpoints that answers are scripted for; `any` matches every one but the control interface.
ENDPOINTS = (
    "token",
    "gateway",
    "websocket",
    "me",
    "send",
    "upload",
    "recall",
    "interaction",
    "bot_state",
    "group_info",
    "bind",
    "bind_poll",
    "download",
)


class FaultError(ValueError):
    """A scripted answer cannot be understood; the text says why."""


@dataclass(frozen=True)
class Answer:
    """One scripted answer.

    status   HTTP status; 0 leaves it to `code`, or to the server
    code     an error code of the API, answered with its words
    json     what the body is the JSON of
    body     the bytes of the body
    delay    seconds before anything is done
    headers  further headers
    serve    the request is carried out although the answer is another one
    swallow  a send is answered as usual and shown to no user
    cut      "before": the connection ends unanswered and the request is not carried out;
             "after": the request is carried out and the connection ends unanswered;
             "body": half of the answer is sent
    """

    status: int = 0
    code: int = 0
    json: Any = None
    body: bytes | None = None
    delay: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    serve: bool = False
    swallow: bool = False
    cut: Cut | None = None

    @property
    def replaces(self) -> bool:
        """Whether the answer of the server is not given."""
        return bool(self.status or self.code) or self.json is not None or self.body is not None

    @property
    def serves(self) -> bool:
        """Whether the request is carried out."""
        return self.serve or not (self.replaces or self.cut == "before")


@dataclass
class Rule:
    """An answer to `every` nth request of an endpoint, or by `chance` (0 to 1)."""

    endpoint: str
    answer: Answer
    every: int = 0
    chance: float = 0.0
    seen: int = 0

    def applies(self, endpoint: str, rng: random.Random) -> bool:
        """Count a request and return whether the rule answers it."""
        if self.endpoint not in {endpoint, "any"}:
            return False
        self.seen += 1
        return (self.every > 0 and self.seen % self.every == 0) or rng.random() < self.chance


class Faults:
    """The answers that are still to be given, and the standing rules."""

    def __init__(self, rng: random.Random) -> None:
        self._planned: dict[str, deque[Answer]] = {}
        self._rng = rng
        self._rules: list[Rule] = []

    def plan(self, endpoint: str, *answers: Answer) -> None:
        """Add answers for the next requests to an endpoint."""
        self._planned.setdefault(_known(endpoint), deque()).extend(answers)

    def add_rule(self, rule: Rule) -> None:
        """Add a standing rule."""
        _known(rule.endpoint)
        self._rules.append(rule)

    def take(self, endpoint: str) -> Answer | None:
        """Return the answer for a request and forget it if planned."""
        for name in (endpoint, "any"):
            if planned := self._planned.get(name):
                return planned.popleft()
        return next((rule.answer for rule in self._rules if rule.applies(endpoint, self._rng)), None)

    def clear(self) -> None:
        """Forget all answers and rules."""
        self._planned.clear()
        self._rules.clear()


_FIELDS = {one.name for one in fields(Answer)}


def _known(endpoint: str) -> str:
    if endpoint not in {*ENDPOINTS, "any"}:
        raise FaultError(f"endpoint must be one of any, {', '.join(ENDPOINTS)}, not {endpoint!r}")
    return endpoint


def answer_from(value: Mapping[str, Any]) -> Answer:
    """Return the Answer of a JSON object; `base64` holds bytes."""
    given = dict(value)
    if "base64" in given:
        try:
            given["body"] = base64.b64decode(given.pop("base64"), validate=True)
        except (TypeError, ValueError) as exc:
            raise FaultError(f"base64 is not base64: {exc}") from exc
    if isinstance(given.get("body"), str):
        given["body"] = given["body"].encode("utf-8", "surrogatepass")
    if unknown := given.keys() - _FIELDS:
        raise FaultError(f"an answer has no {', '.join(sorted(unknown))}")
    if given.get("cut") not in {None, "before", "body", "after"}:
        raise FaultError(f"cut must be before, body or after, not {given['cut']!r}")
    for name in ("status", "code"):
        if not isinstance(given.get(name, 0), int):
            raise FaultError(f"{name} must be a number, not {given[name]!r}")
    return Answer(**given)


def rule_from(value: Mapping[str, Any]) -> Rule:
    """Return the Rule of a JSON object."""
    if unknown := value.keys() - {"endpoint", "every", "chance", "answer"}:
        raise FaultError(f"a rule has no {', '.join(sorted(unknown))}")
    answer = answer_from(value.get("answer", {}))
    return Rule(value.get("endpoint", ""), answer, int(value.get("every", 0)), float(value.get("chance", 0)))
