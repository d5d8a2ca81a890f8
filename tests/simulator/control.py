"""The simulator by HTTP, for tests and people in other processes: JSON below `/sim/`."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol

from . import wire
from .call import Call, Reply
from .chats import ChatError
from .faults import Answer, FaultError, Rule, answer_from, rule_from
from .journal import Received, RequestLog
from .notices import Notices
from .options import OptionError, Options
from .pulse import WaitTimeoutError
from .world import NotInWorldError

_MOST_SECONDS = 120.0  # a control request never waits longer than this


class Operated(Protocol):
    """What the control API needs of a simulator."""

    url: str
    notices: Notices

    @property
    def account(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def options(self) -> Options: ...
    @property
    def received(self) -> list[Received]: ...
    @property
    def requests(self) -> list[RequestLog]: ...
    @property
    def queued(self) -> int: ...

    def set(self, **changes: Any) -> None: ...
    def scan(self, link: str = "") -> None: ...
    def confirm(self) -> None: ...
    def refuse(self) -> None: ...
    def expire(self) -> None: ...
    def say_all(self, messages: list[Mapping[str, Any]]) -> int: ...
    def push_raw(self, item: Any) -> None: ...
    def kick(self, reason: str | None = ..., *, bare: bool = ...) -> None: ...
    def redeliver(self) -> None: ...
    def drop_session(self, code: int = ..., *, cookies: bool = ...) -> None: ...
    def deafen(self, until: str = ...) -> None: ...
    def next_answer(self, path: str, *answers: Answer) -> None: ...
    def add_rule(self, rule: Rule) -> None: ...
    def clear_faults(self) -> None: ...
    def renew_ptwebqq(self) -> str: ...
    async def wait_received(self, count: int, timeout: float = ...) -> list[Received]: ...


class ControlError(ValueError):
    """A control request cannot be understood."""


# Fields of what a person writes; another one would be a slip that passes unseen.
_SAID = frozenset({"chat", "text", "content", "sender"})
_MISTAKES = (ControlError, ChatError, FaultError, OptionError, NotInWorldError, TypeError, ValueError)


class ControlApi:
    """Answers control requests: 200 with JSON, 400 with {"error": …} for a mistake, 409 out of turn."""

    def __init__(self, simulator: Operated) -> None:
        self._sim = simulator
        self._posts: dict[str, Callable[[Any], Any]] = {
            "say": self._say,
            "scan": lambda body: self._sim.scan(str(_object(body).get("link", ""))),
            "confirm": lambda _: self._sim.confirm(),
            "refuse": lambda _: self._sim.refuse(),
            "expire": lambda _: self._sim.expire(),
            "kick": lambda body: self._sim.kick(**_object(body)),
            "drop": lambda body: self._sim.drop_session(**_object(body)),
            "deafen": lambda body: self._sim.deafen(**_object(body)),
            "redeliver": lambda _: self._sim.redeliver(),
            "push": self._push,
            "answer": self._plan,
            "options": lambda body: self._sim.set(**_object(body)),
            "notice": self._notice,
            "renew": lambda _: {"ok": True, "ptwebqq": self._sim.renew_ptwebqq()},
            "rule": self._rule,
            "clear": lambda _: self._sim.clear_faults(),
        }
        self._gets: dict[str, Callable[[Mapping[str, str]], Awaitable[Any]]] = {
            "received": self._received,
            "requests": self._requests,
            "state": self._state,
        }

    @property
    def actions(self) -> frozenset[str]:
        """The names `perform` knows."""
        return frozenset(self._posts)

    def perform(self, name: str, body: Any) -> Any:
        """Do what a POST of that name does."""
        return self._posts[name](body)

    async def __call__(self, call: Call) -> Reply:
        """Answer one request."""
        name = call.path.removeprefix("/sim/")
        try:
            if call.method == "POST" and name in self._posts:
                return _json(self.perform(name, _parsed(call.body)) or {"ok": True})
            if call.method == "GET" and name in self._gets:
                return _json(await self._gets[name](call.query))
        except _MISTAKES as exc:
            return _json({"error": str(exc)}, 400)
        except RuntimeError as exc:
            return _json({"error": str(exc)}, 409)
        known = [f"POST /sim/{each}" for each in self._posts] + [f"GET /sim/{each}" for each in self._gets]
        return _json({"error": f"no {call.method} {call.path}", "known": known}, 404)

    def _say(self, body: Any) -> Any:
        messages = body if isinstance(body, list) else [body]
        objects: list[Mapping[str, Any]] = [_object(message) for message in messages]
        if unknown := {name for one in objects for name in one} - _SAID:
            raise ControlError(
                f"say knows no {', '.join(sorted(unknown))}: it takes {', '.join(sorted(_SAID))}"
            )
        return {"ok": True, "said": self._sim.say_all(objects)}

    def _push(self, body: Any) -> None:
        for item in body if isinstance(body, list) else [body]:
            self._sim.push_raw(item)

    def _plan(self, body: Any) -> None:
        plan = _object(body)
        path, answers = plan.get("path", "/channel/poll2"), plan.get("answers", [])
        if not isinstance(path, str) or not isinstance(answers, list):
            raise ControlError("path is a string, answers is an array")
        self._sim.next_answer(path, *[answer_from(_object(answer)) for answer in answers])

    def _notice(self, body: Any) -> Any:
        described = dict(_object(body))
        kind = described.pop("kind", None)
        known = {name for name in dir(self._sim.notices) if not name.startswith("_")}
        if kind not in known:
            raise ControlError(f"kind must be one of {', '.join(sorted(known))}")
        return {"ok": True, "item": getattr(self._sim.notices, kind)(**described)}

    def _rule(self, body: Any) -> None:
        self._sim.add_rule(rule_from(_object(body)))

    async def _received(self, query: Mapping[str, str]) -> Any:
        after = int(query.get("after", "0"))
        seconds = min(float(query.get("wait", "0")), _MOST_SECONDS)
        if seconds > 0:
            try:
                await self._sim.wait_received(after + 1, seconds)
            except WaitTimeoutError:
                return []
        return [_fields(entry) for entry in self._sim.received if entry.n > after]

    async def _requests(self, query: Mapping[str, str]) -> Any:
        after, path = int(query.get("after", "0")), query.get("path")
        found = [entry for entry in self._sim.requests if entry.n > after and path in {None, entry.path}]
        return [_fields(entry) for entry in found]

    async def _state(self, _: Mapping[str, str]) -> Any:
        sim = self._sim
        summary = {"state": sim.state, "account": sim.account, "url": sim.url, "queued": sim.queued}
        return summary | {"received": len(sim.received), "options": asdict(sim.options)}


def _fields(entry: Received | RequestLog) -> dict[str, Any]:
    values = {one.name: getattr(entry, one.name) for one in fields(entry)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else {}
    except ValueError as exc:
        raise ControlError(f"the body is not JSON: {exc}") from exc


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ControlError(f"an object is wanted, not {value!r:.60}")
    return value


def _json(value: Any, status: int = 200) -> Reply:
    text = json.dumps(value, ensure_ascii=False)
    return Reply(wire.encode(text + "\n"), status, "application/json; charset=utf-8")
