"""Faults of answers: one for the next action of a name, or rules that apply again and again."""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from .errors import ControlError

ANY = "*"
# Planned faults of one action that are kept.
MAX_PLANNED = 10_000

Reply = Literal["normal", "never", "half", "reset", "close", "timeout"]
REPLIES = ("normal", "never", "half", "reset", "close", "timeout")


@dataclass(frozen=True)
class Fault:
    """What happens to one action.

    performs  whether the action is carried out
    delay     seconds before the answer
    reply     normal; never: no answer; half: half of the frame, then the connection ends; reset: the
              connection is reset in place of the answer; close: closed in order; timeout: NapCat's
              1200 "Timeout: NTEvent …"
    answer    fields that replace those of the answer (status, retcode, data, message, …)
    frames    how often the answer is sent, as stream actions do
    """

    performs: bool = True
    delay: float = 0.0
    reply: Reply = "normal"
    answer: Mapping[str, Any] | None = None
    frames: int = 1

    def __str__(self) -> str:
        parts: list[str] = [self.reply] if self.reply != "normal" else []
        parts += ["not performed"] if not self.performs else []
        parts += [f"delay {self.delay:g}"] if self.delay else []
        parts += ["answer"] if self.answer is not None else []
        parts += [f"{self.frames} frames"] if self.frames != 1 else []
        return ", ".join(parts)


@dataclass
class Rule:
    """A fault that comes again: for each `every`-th action of a name, or with a chance of 0 to 1."""

    action: str
    fault: Fault
    every: int = 0
    chance: float = 0.0
    seen: int = 0

    def applies(self, action: str, rng: random.Random) -> bool:
        """Count an action and say whether the rule applies to it."""
        if self.action not in {ANY, action}:
            return False
        self.seen += 1
        return (self.every > 0 and self.seen % self.every == 0) or rng.random() < self.chance


class Faults:
    """The planned faults and the rules."""

    def __init__(self, seed: int | None = None) -> None:
        self._planned: dict[str, deque[Fault]] = {}
        self._rules: list[Rule] = []
        self._rng = random.Random(seed)

    def plan(self, action: str, *faults: Fault) -> None:
        """Apply these to the next actions of that name, `*` for any."""
        self._planned.setdefault(action, deque(maxlen=MAX_PLANNED)).extend(faults)

    def add_rule(self, rule: Rule) -> None:
        """Apply a rule from now on."""
        self._rules.append(rule)

    def clear(self) -> None:
        """Forget all."""
        self._planned.clear()
        self._rules.clear()

    def next(self, action: str) -> Fault | None:
        """Return the fault for an action."""
        for name in (action, ANY):
            if self._planned.get(name):
                return self._planned[name].popleft()
        for rule in self._rules:
            if rule.applies(action, self._rng):
                return rule.fault
        return None


_FIELDS = {one.name: one.type for one in fields(Fault)}


def fault_from(value: Any) -> Fault:
    """Return the Fault that a JSON object describes."""
    if not isinstance(value, dict):
        raise ControlError("a fault is an object")
    if unknown := value.keys() - _FIELDS.keys():
        raise ControlError(f"a fault has no {', '.join(sorted(unknown))}; known: {', '.join(_FIELDS)}")
    if value.get("reply", "normal") not in REPLIES:
        raise ControlError(f"reply must be one of {', '.join(REPLIES)}, not {value['reply']!r}")
    if not isinstance(value.get("answer", {}), dict):
        raise ControlError("answer is an object")
    return Fault(**value)


def rule_from(value: Mapping[str, Any]) -> Rule:
    """Return the Rule that a JSON object describes."""
    if unknown := value.keys() - {"action", "every", "chance", "fault"}:
        raise ControlError(f"a rule has no {', '.join(sorted(unknown))}; known: action, every, chance, fault")
    return Rule(
        str(value.get("action", ANY)),
        fault_from(value.get("fault", {})),
        int(value.get("every", 0)),
        float(value.get("chance", 0)),
    )
