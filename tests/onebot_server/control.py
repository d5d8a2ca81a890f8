"""The control interface: JSON by HTTP below /sim/, and the pictures that people sent."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from aiohttp import web

from .errors import ControlError
from .hub import Hub
from .operations import Operations
from .people import People
from .record import Log, as_json
from .state import State

# Bytes of a control request, and entries in an answer.
MAX_BODY = 64 * 1024 * 1024
MAX_ANSWER = 10_000
# Seconds that a control request may wait.
MAX_WAIT = 120.0

LOGS = ("events", "received", "actions", "handshakes", "closings")


class Controlled(Protocol):
    """What the control interface needs of a server."""

    state: State
    hub: Hub
    people: People
    do: Operations

    @property
    def url(self) -> str: ...


class Control:
    """Answers control requests; 400 is a mistake in one, in words."""

    def __init__(self, server: Controlled) -> None:
        self._server = server
        operations = {name: getattr(server.do, name) for name in dir(server.do) if name[0] != "_"}
        del operations["stop"]
        self._posts: dict[str, Callable[..., Any]] = {
            "say": self._say,
            "event": self._event,
            "notice": server.people.notice,
            "flood": server.people.flood,
            **operations,
        }

    def application(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/sim/{name}", self._post)
        app.router.add_get("/sim/{name}", self._get)
        app.router.add_get("/pictures/{name}", self._picture)
        return app

    async def perform(self, name: str, body: Any) -> Any:
        """Carry out one operation; raise ControlError for an unknown one or for wrong fields."""
        if name not in self._posts:
            raise ControlError(f"no operation {name!r}; known: {', '.join(sorted(self._posts))}")
        operation = self._posts[name]
        try:
            if name in {"say", "event"}:
                result = operation(body)
            else:
                if not isinstance(body, dict):
                    raise ControlError("the body is an object")
                inspect.signature(operation).bind(**body)
                result = operation(**body)
            return await result if inspect.isawaitable(result) else result
        except (TypeError, KeyError) as exc:
            raise ControlError(f"{name}: {exc}") from exc

    def _say(self, body: Any) -> Any:
        if isinstance(body, list):
            return [self._server.people.say(**one)["n"] for one in body]
        return self._server.people.say(**body)

    def _event(self, body: Any) -> Any:
        if not isinstance(body, dict):
            raise ControlError("an event is an object")
        return self._server.people.event(body)

    async def _post(self, request: web.Request) -> web.Response:
        try:
            text = await request.text()
            try:
                body = json.loads(text) if text.strip() else {}
            except ValueError as exc:
                raise ControlError(f"the body is not JSON: {exc}") from exc
            result = await self.perform(request.match_info["name"], body)
        except ControlError as exc:
            return _json({"error": str(exc)}, 400)
        return _json({"ok": True, "result": result})

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == "state":
            return _json(self._state())
        if name == "requests":
            return _json([asdict(one) for one in self._server.state.requests.all()])
        if name not in LOGS:
            known = f"state, requests, {', '.join(LOGS)}"
            return _json({"error": f"nothing at {name!r}; known: {known}"}, 400)
        try:
            return _json(as_json(await self._entries(name, request.query)))
        except ControlError as exc:
            return _json({"error": str(exc)}, 400)

    async def _entries(self, name: str, query: Mapping[str, str]) -> list[Any]:
        """Return entries after `after`, at most `limit`; wait up to `wait` seconds for a first one."""
        log: Log[Any] = getattr(self._server.state.record, name)
        try:
            after, limit = int(query.get("after", 0)), int(query.get("limit", MAX_ANSWER))
            seconds = float(query.get("wait", 0))
        except ValueError as exc:
            raise ControlError(f"after, limit and wait are numbers: {exc}") from exc
        if seconds > 0 and log.count <= after:
            try:
                await self._server.state.record.until(
                    lambda: log.count > after, min(seconds, MAX_WAIT), lambda: f"no {name}"
                )
            except TimeoutError:
                return []
        return log.after(after, min(limit, MAX_ANSWER))

    def _state(self) -> dict[str, Any]:
        state = self._server.state
        switches = state.switches
        options = asdict(state.options)
        return {
            "url": self._server.url,
            "account": state.account,
            "is_down": switches.is_down,
            "is_online": switches.is_online,
            "is_deaf": switches.is_deaf,
            "mute": switches.mute,
            "connections": [
                {"connection": one.number, "role": one.role, "path": one.path, "is_frozen": one.is_frozen}
                for one in self._server.hub.connections.values()
            ],
            "counts": {name: getattr(state.record, name).count for name in LOGS},
            "options": {**options, "token": "…" if options["token"] else ""},
        }

    async def _picture(self, request: web.Request) -> web.Response:
        found = self._server.state.pictures.fetch(request.match_info["name"], request.query.get("rkey", ""))
        if found is None:
            return web.Response(status=400, text="rkey expired")
        return web.Response(body=found.content, content_type="image/png")


def _json(value: Any, status: int = 200) -> web.Response:
    text = json.dumps(value, ensure_ascii=False, default=str)
    body = (text + "\n").encode("utf-8", "backslashreplace")
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")
