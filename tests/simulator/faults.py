"""Answers a test puts in the place of the service's own, path by path."""

import base64
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Cut = Literal["before", "body", "after"]
POLL = "/channel/poll2"


class FaultError(ValueError):
    """A scripted answer cannot be understood; the text says what is wrong."""


@dataclass(frozen=True)
class Answer:
    """One scripted answer.

    status   of the answer; other than 200 and without a body it brings a gateway's HTML page
    body     the bytes of the answer. Without body, json, cut and with status 200 the request is
             served as always, only later or with more headers
    json     what the body is the JSON of
    delay    seconds before anything is done
    headers  more headers
    cut      "before": the connection ends and the request is not even looked at;
             "after": the request is served (unless there is a body) and the connection ends without a
             byte of answer; "body": half of the body is sent
    """

    status: int = 200
    body: bytes | None = None
    json: Any = None
    delay: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: Cut | None = None

    @property
    def serves(self) -> bool:
        """Whether the request is really carried out."""
        return self.status == 200 and self.body is None and self.json is None and self.cut != "before"


@dataclass
class Rule:
    """An answer that comes again: to `every` so-manieth request to a path, or to one by `chance` (0 … 1)."""

    path: str
    answer: Answer
    every: int = 0
    chance: float = 0.0
    seen: int = 0

    def applies(self, path: str, rng: random.Random) -> bool:
        """Count a request and tell whether it is one of those."""
        if path != self.path:
            return False
        self.seen += 1
        return (self.every > 0 and self.seen % self.every == 0) or rng.random() < self.chance


class Faults:
    """The answers still to be given, and the rules for all times."""

    def __init__(self, rng: random.Random) -> None:
        self._planned: dict[str, deque[Answer]] = {}
        self._rng = rng
        self.rules: list[Rule] = []

    def plan(self, path: str, *answers: Answer) -> None:
        """Add answers for the next requests to a path."""
        self._planned.setdefault(path, deque()).extend(answers)

    def next(self, path: str) -> Answer | None:
        """Return the next answer planned for the path and forget it."""
        planned = self._planned.get(path)
        if planned:
            return planned.popleft()
        for rule in self.rules:
            if rule.applies(path, self._rng):
                return rule.answer
        return None

    def planned(self, path: str) -> Answer | None:
        """Return the next answer planned for the path, rules apart, and forget it."""
        planned = self._planned.get(path)
        return planned.popleft() if planned else None

    def pending(self, path: str) -> int:
        """Return how many answers are still planned for the path."""
        return len(self._planned.get(path, ()))

    def clear(self) -> None:
        """Forget all plans and rules."""
        self._planned.clear()
        self.rules.clear()


_FIELDS = {one.name for one in fields(Answer)}


def answer_from(value: Mapping[str, Any]) -> Answer:
    """Return the Answer a JSON object describes; `body` is text, `base64` bytes in that form."""
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
    if not isinstance(given.get("status", 200), int):
        raise FaultError(f"status must be a number, not {given['status']!r}")
    return Answer(**given)


def rule_from(value: Mapping[str, Any]) -> Rule:
    """Return the Rule a JSON object describes."""
    if unknown := value.keys() - {"path", "every", "chance", "answer"}:
        raise FaultError(f"a rule has no {', '.join(sorted(unknown))}")
    answer = answer_from(value.get("answer", {}))
    return Rule(value.get("path", ""), answer, int(value.get("every", 0)), float(value.get("chance", 0)))
