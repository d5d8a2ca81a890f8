"""The server by HTTP, for tests in other processes: JSON below `/sim/`."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from .call import Reply, json_reply
from .composing import SayError
from .faults import FaultError, answer_from, rule_from
from .notices import NoticeError
from .options import OptionError
from .portal import DONE, EXPIRED, PENDING
from .world import WorldError

if TYPE_CHECKING:
    from .server import OfficialServer

_LONGEST_WAIT = 120.0  # seconds of a GET with `wait`
_MISTAKES = (SayError, FaultError, NoticeError, OptionError, WorldError, TypeError, ValueError, KeyError)
_LISTS = ("requests", "received", "events", "connections", "frames")


class ControlApi:
    """Answer control requests: 400 for a mistake, 409 out of turn."""

    def __init__(self, server: "OfficialServer") -> None:
        self._server = server
        self._posts: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "say": self._say,
            "notice": self._notice,
            "push": self._push,
            "repeat": self._repeat,
            "chat": self._chat,
            "kill": self._kill,
            "reconnect": self._reconnect,
            "invalidate": self._invalidate,
            "frame": self._frame,
            "revoke": self._revoke,
            "scan": self._scan,
            "answer": self._answer,
            "rule": self._rule,
            "clear": self._clear,
            "options": self._options,
            "advance": self._advance,
        }

    async def __call__(self, method: str, name: str, query: Mapping[str, str], body: bytes) -> Reply:
        """Answer one request."""
        try:
            if method == "POST" and name in self._posts:
                value = await self._posts[name](json.loads(body or b"{}"))
                return json_reply({"ok": True} if value is None else value)
            if method == "GET" and name in _LISTS:
                return json_reply(await self._list(name, query))
            if method == "GET" and name in {"state", "secrets", "sessions", "openid"}:
                return json_reply(getattr(self, f"_get_{name}")(query))
        except _MISTAKES as exc:
            return json_reply({"error": f"{type(exc).__name__}: {exc}"}, 400)
        except RuntimeError as exc:
            return json_reply({"error": str(exc)}, 409)
        known = [f"POST {one}" for one in self._posts] + [f"GET {one}" for one in _LISTS]
        return json_reply({"error": f"no {method} /sim/{name}", "known": known}, 404)

    async def _say(self, body: Any) -> Any:
        messages = body if isinstance(body, list) else [body]
        return {"said": [self._server.say(**message).message_id for message in messages]}

    async def _notice(self, body: Any) -> Any:
        return {"event_id": self._server.notify(**body).event_id}

    async def _push(self, body: Any) -> Any:
        return {"event_id": self._server.push(**body).event_id}

    async def _repeat(self, body: Any) -> Any:
        return {"n": self._server.repeat(body.get("n", 0)).n}

    async def _chat(self, body: Any) -> Any:
        return asdict(self._server.change(body.pop("chat"), **body), dict_factory=_plain)

    async def _kill(self, body: Any) -> Any:
        return {"closed": await self._server.kill(**body)}

    async def _reconnect(self, _: Any) -> Any:
        return {"asked": await self._server.reconnect()}

    async def _invalidate(self, body: Any) -> Any:
        return {"asked": await self._server.invalidate(**body)}

    async def _frame(self, body: Any) -> Any:
        return {"sent": await self._server.push_frame(body)}

    async def _revoke(self, _: Any) -> None:
        self._server.revoke_tokens()

    async def _scan(self, body: Any) -> Any:
        states = {"scanned": PENDING, "confirmed": DONE, "expired": EXPIRED}
        return {"task_id": self._server.scan(body.get("task_id", ""), states[body.get("state", "confirmed")])}

    async def _answer(self, body: Any) -> None:
        self._server.next_answer(body["endpoint"], *[answer_from(one) for one in body["answers"]])

    async def _rule(self, body: Any) -> None:
        self._server.add_rule(rule_from(body))

    async def _clear(self, _: Any) -> None:
        self._server.clear_faults()

    async def _options(self, body: Any) -> None:
        self._server.set(**body)

    async def _advance(self, body: Any) -> None:
        self._server.advance(float(body["seconds"]))

    async def _list(self, name: str, query: Mapping[str, str]) -> Any:
        after, seconds = int(query.get("after", "0")), float(query.get("wait", "0"))
        await self._server.wait_for_more(name, after, min(seconds, _LONGEST_WAIT))
        limit = int(query.get("limit", "0"))
        found = [one for one in getattr(self._server.record, name) if one.n > after]
        return [asdict(one, dict_factory=_plain) for one in (found[:limit] if limit else found)]

    def _get_state(self, _: Mapping[str, str]) -> Any:
        server = self._server
        counts = {name: server.record.count(name) for name in _LISTS}
        return {
            "url": server.url,
            "secure_url": server.secure_url,
            "appid": server.appid,
            "connected": server.is_connected,
            "counts": counts,
            "typing": len(server.record.typing),
            "options": asdict(server.options),
        }

    def _get_secrets(self, _: Mapping[str, str]) -> Any:
        return self._server.secrets()

    def _get_sessions(self, _: Mapping[str, str]) -> Any:
        return [
            {
                name: value
                for name, value in vars(one).items()
                if name not in {"entries", "limit", "dropped_to"}
            }
            for one in self._server.sessions
        ]

    def _get_openid(self, query: Mapping[str, str]) -> Any:
        return {"openid": self._server.openid(query["chat"], query.get("member", ""))}


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else _listed(value)
        for name, value in pairs
    }


def _listed(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value
