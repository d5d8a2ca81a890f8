"""Which handler answers which path."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from . import quotas
from .call import WRONG_BODY, Call, Reply, json_reply
from .errors import ApiError, body_of, refusal
from .faults import Answer
from .media import Media
from .portal import Portal
from .sending import Sending
from .service import Service
from .world import BOT, Chat, Group, Person

WEBSOCKET = "/websocket"
Handler = Callable[[Call, Answer | None], Reply | Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """One path of the API. `is_open` ones need no token."""

    method: str
    pattern: re.Pattern[str]
    endpoint: str
    handler: Handler
    is_open: bool = False


class Endpoints:
    """The routes of one service."""

    def __init__(self, service: Service, media: Media, portal: Portal) -> None:
        self._service = service
        self._media = media
        self._sending = Sending(service, media)
        chat = "/v2/(?P<side>users|groups)/(?P<openid>[^/]+)"
        self._routes = [
            _route("POST", "/app/getAppAccessToken", "token", self._token, is_open=True),
            _route(
                "POST", "/lite/create_bind_task", "bind", lambda call, _: portal.create(call), is_open=True
            ),
            _route(
                "POST", "/lite/poll_bind_result", "bind_poll", lambda call, _: portal.poll(call), is_open=True
            ),
            _route("GET", "/download/(?P<file>[0-9a-f]+)", "download", self._download, is_open=True),
            _route(
                "PUT",
                "/parts/(?P<upload>[^/]+)/(?P<index>[0-9]+)",
                "upload",
                lambda call, _: media.put(call),
                is_open=True,
            ),
            _route("GET", "/gateway", "gateway", self._gateway),
            _route("GET", "/gateway/bot", "gateway", self._gateway),
            _route("GET", "/users/@me", "me", self._me),
            _route("POST", f"{chat}/messages", "send", self._send),
            _route("DELETE", f"{chat}/messages/(?P<message>[^/]+)", "recall", self._recall),
            _route("POST", f"{chat}/files", "upload", self._upload),
            _route("POST", f"{chat}/upload_prepare", "upload", self._prepare),
            _route("POST", f"{chat}/upload_part_finish", "upload", self._finish_part),
            _route("PUT", "/interactions/(?P<interaction>[^/]+)", "interaction", self._interaction),
            _route("GET", "/v2/(?P<side>groups)/(?P<openid>[^/]+)/bot_state", "bot_state", self._bot_state),
            _route(
                "GET", "/v2/(?P<side>groups)/(?P<openid>[^/]+)/(info|members)", "group_info", self._group_info
            ),
        ]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a request and the variable pieces of its path, in which %2F is no `/`."""
        for route in self._routes:
            if route.method == method and (found := route.pattern.fullmatch(path)):
                return route, {name: unquote(piece) for name, piece in found.groupdict().items()}
        return None

    async def serve(self, route: Route, call: Call, planned: Answer | None) -> Reply:
        """Carry a request out; a refusal becomes its answer."""
        try:
            if not route.is_open:
                self._check_rights(call)
            result = route.handler(call, planned)
            return result if isinstance(result, Reply) else await result
        except ApiError as error:
            return self.refused(error.code, error.data)

    def refused(self, code: int, data: dict[str, object] | None = None, status: int = 0) -> Reply:
        """Return the answer with a code and its words."""
        body = body_of(code, self._service.mint.hexadecimal(), data)
        as_200 = self._service.options.errors_as_200 and not status
        return json_reply(body, 200 if as_200 else status or refusal(code).status, code)

    def _check_rights(self, call: Call) -> None:
        options = self._service.options
        header = call.headers.get("Authorization", "")
        if not header.startswith("QQBot "):
            raise ApiError(11241)
        if not self._service.tokens.is_valid(header):
            raise ApiError(options.token_error)
        if options.banned:
            raise ApiError(11265)
        if not options.ip_allowed:
            raise ApiError(11298)
        if not self._service.quotas.allow(*quotas.calls(call.endpoint, options)):
            raise ApiError(22009)

    def _chat(self, call: Call) -> Chat:
        kind: type[Chat] = Group if call.parts["side"] == "groups" else Person
        found = self._service.world.by_openid(kind, call.parts["openid"])
        if found is None:
            raise ApiError(40034101 if kind is Group else 40054004)
        return found

    # Handlers

    def _token(self, call: Call, _: Answer | None) -> Reply:
        service = self._service
        try:
            asked = call.json()
        except ApiError:
            asked = {}
        appid, secret = str(asked.get("appId", "")), str(asked.get("clientSecret", ""))
        if code := service.tokens.refusal(appid, secret, service.options):
            return json_reply({"code": code, "message": body_of(code, "")["message"]}, code=code)
        token, seconds = service.tokens.issue(service.options)
        expires = str(seconds) if service.options.token_text else seconds
        return json_reply({"access_token": token, "expires_in": expires})

    def _gateway(self, call: Call, _: Answer | None) -> Reply:
        base = self._service.files.base
        url = f"ws{base.removeprefix('http')}{WEBSOCKET}"
        if call.path == "/gateway":
            return json_reply({"url": url})
        total = self._service.options.session_starts
        limit = {
            "total": total,
            "remaining": max(total - self._service.record.count("identifies"), 0),
            "reset_after": 86_400_000,
            "max_concurrency": 1,
        }
        return json_reply({"url": url, "shards": 1, "session_start_limit": limit})

    def _me(self, _call: Call, _: Answer | None) -> Reply:
        bot_id = self._service.bot_id
        return json_reply({"id": bot_id, "username": BOT, "avatar": "", "bot": True, "union_openid": ""})

    def _send(self, call: Call, planned: Answer | None) -> Reply:
        shown = planned is None or not planned.swallow
        return self._sending.send(call, self._chat(call), shown=shown)

    def _recall(self, call: Call, _: Answer | None) -> Reply:
        return self._sending.recall(call, self._chat(call))

    async def _upload(self, call: Call, _: Answer | None) -> Reply:
        chat = self._chat(call)
        answer, sends = await self._media.upload(call, chat)
        if sends:
            self._sending.send_upload(chat, self._media.uploads[answer["file_info"]])
        return json_reply(answer)

    def _prepare(self, call: Call, _: Answer | None) -> Reply:
        return self._media.prepare(call, self._chat(call))

    def _finish_part(self, call: Call, _: Answer | None) -> Reply:
        return self._media.finish_part(call)

    def _interaction(self, call: Call, _: Answer | None) -> Reply:
        if not isinstance(call.json().get("code"), int):
            raise ApiError(WRONG_BODY)
        record = self._service.record
        record.add(record.acknowledged, call.parts["interaction"])
        return Reply(status=204)

    def _bot_state(self, call: Call, _: Answer | None) -> Reply:
        chat = self._chat(call)
        if not isinstance(chat, Group) or not chat.has_bot:
            raise ApiError(40034101)
        state = {
            "member_openid": self._service.world.bot_in(chat),
            "joined_at": self._service.clock.stamp(),
            "allow_proactive_msg": chat.allows_proactive,
            "recv_msg_setting": chat.receives,
            "member_role": "member",
        }
        return json_reply(state)

    def _group_info(self, _call: Call, _: Answer | None) -> Reply:
        raise ApiError(11253)

    def _download(self, call: Call, _: Answer | None) -> Reply:
        content = self._service.files.read(
            call.parts["file"], call.query.get("rkey", ""), self._service.options
        )
        if content is None:
            return json_reply({"retcode": -5503007, "retmsg": "download url has expired"}, 400, -5503007)
        return Reply(content, content_type="application/octet-stream")


def _route(method: str, pattern: str, endpoint: str, handler: Handler, *, is_open: bool = False) -> Route:
    return Route(method, re.compile(pattern), endpoint, handler, is_open)
