"""Fault scripts: what goes wrong and when, as JSON.

    {"options": {"echo": true, "spam_count": 5},
     "answers": {"/channel/poll2": [{"status": 504}, {"delay": 2}]},
     "rules":   [{"path": "/channel/send_qun_msg2", "every": 7, "answer": {"cut": "after"}}],
     "steps":   [{"after": {"state": "online"}, "do": "say", "with": {"chat": "friend:10001", "text": "hi"}},
                 {"after": {"requests": "/channel/poll2", "count": 3}, "do": "kick"},
                 {"after": {"received": 1}, "do": "drop", "with": {"cookies": true}},
                 {"after": {"seconds": 5}, "do": "options", "with": {"new_uins": "always"}}],
     "repeat": false}

`options`, `answers` and `rules` hold from the start. Steps come one after another; requests, received
and seconds count from the step before. What a step does is a POST of the control API by name.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .faults import Answer, FaultError, Rule, answer_from, rule_from
from .journal import Journal

Perform = Callable[[str, Any], Any]

_TRIGGERS = frozenset({"state", "requests", "received", "seconds"})


@dataclass(frozen=True)
class Step:
    """One action and what it waits for."""

    after: Mapping[str, Any]
    do: str
    body: Any


@dataclass(frozen=True)
class Script:
    """A script that has been understood."""

    options: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, list[Answer]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    steps: tuple[Step, ...] = ()
    repeat: bool = False


def parse(value: Any) -> Script:
    """Return the script a JSON value describes; FaultError names what is wrong."""
    if not isinstance(value, dict):
        raise FaultError("a script is an object")
    if unknown := value.keys() - {"options", "answers", "rules", "steps", "repeat"}:
        raise FaultError(f"a script has no {', '.join(sorted(unknown))}")
    answers = {path: [answer_from(one) for one in plan] for path, plan in value.get("answers", {}).items()}
    rules = tuple(rule_from(rule) for rule in value.get("rules", []))
    steps = tuple(_step(step) for step in value.get("steps", []))
    return Script(value.get("options", {}), answers, rules, steps, bool(value.get("repeat", False)))


def _step(value: Mapping[str, Any]) -> Step:
    if unknown := value.keys() - {"after", "do", "with"}:
        raise FaultError(f"a step has no {', '.join(sorted(unknown))}")
    after = value.get("after", {})
    if len(after.keys() & _TRIGGERS) > 1 or after.keys() - _TRIGGERS - {"count"}:
        raise FaultError(f"a step comes after one of {', '.join(sorted(_TRIGGERS))}, not {after!r}")
    if not isinstance(value.get("do"), str):
        raise FaultError("a step needs something to do")
    return Step(after, value["do"], value.get("with", {}))


async def play(script: Script, journal: Journal, state: Callable[[], str], perform: Perform) -> None:
    """Carry out the steps, again and again if the script repeats."""
    while True:
        for step in script.steps:
            await _trigger(step.after, journal, state)
            perform(step.do, step.body)
        if not script.repeat or not script.steps:
            return
        await asyncio.sleep(0)  # a script whose triggers are all fulfilled must not stop the server


async def _trigger(after: Mapping[str, Any], journal: Journal, state: Callable[[], str]) -> None:
    count = int(after.get("count", 1))
    if "seconds" in after:
        await asyncio.sleep(float(after["seconds"]))
    elif "state" in after:
        await journal.changed.until(lambda: state() == after["state"])
    elif "received" in after:
        target = journal.received_count + int(after["received"])
        await journal.changed.until(lambda: journal.received_count >= target)
    elif "requests" in after:
        path = str(after["requests"])
        wanted = journal.by_path[path] + count
        await journal.changed.until(lambda: journal.by_path[path] >= wanted)
