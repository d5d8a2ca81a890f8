"""Answer what the page asks, and do what it orders: JSON over HTTP, behind the `Guard`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from adapter.bus.admin import MonitorClient
from adapter.codec.outbound import decode_request
from adapter.codec.request_body import DEFAULT_LIMITS
from adapter.errors import SchemaError
from adapter.i18n import N_
from adapter.ops.contact_lookup import find_address
from adapter.ops.contact_search import LISTS, has_members, matches, sort_key
from adapter.ops.dead_letters import redrive
from adapter.ops.page.assets import login_form
from adapter.ops.page.auth import COOKIE_SECONDS, TRIES_SECONDS, PageAuth
from adapter.ops.page.broadcaster import MAX_PAGES, Broadcaster
from adapter.ops.page.pictures import PictureError, PictureLoader
from adapter.ops.page.sse import PageStream
from adapter.ops.page.views import (
    ENTRY,
    MAX_WHOLE_TEXT,
    View,
    contact_views,
    decode,
    media_type,
)

# Contacts in one answer; the page says how many more there are.
MAX_CONTACTS: Final = 200
# Bytes of a request from the page.
MAX_BODY: Final = DEFAULT_LIMITS.body_bytes
COMMANDS: Final = frozenset({"login", "logout", "refresh", "pause", "resume", "captcha"})
# Characters of a typed captcha, which has four: anything longer is a slip.
MAX_CAPTCHA: Final = 32
# The number of a picture in a message.
NUMBER: Final = re.compile(r"[1-9][0-9]?", re.ASCII)
# The `by` of the page's commands.
BY: Final = "page"


@dataclass(frozen=True, slots=True)
class PageApi:
    """The endpoints below `/api`, and the login."""

    monitor: MonitorClient
    broadcaster: Broadcaster
    auth: PageAuth
    pictures: PictureLoader

    # --- questions -----------------------------------------------------------------------------

    async def stream(self, _: Request) -> Response:
        """Send a snapshot, then all changes, as server-sent events."""
        subscriber = self.broadcaster.join()
        if subscriber is None:
            return JSONResponse({"error": f"{MAX_PAGES} pages are open already: close one"}, 503)
        return PageStream(self.broadcaster, subscriber)

    async def picture(self, request: Request) -> Response:
        """Return the QR code or captcha of an entry of `qq:session`, while it is the newest."""
        newest = await self.monitor.last_entries("session")
        if not newest or newest[0][0] != request.query_params.get("entry"):
            raise HTTPException(404, N_("that code is no longer shown"))
        picture = newest[0][1].get(b"png", b"")
        return Response(picture, 200 if picture else 404, media_type=media_type(picture))

    async def image(self, request: Request) -> Response:
        """Return a picture of a message: `entry` of the event, `number` counted from 1."""
        entry, number = request.query_params.get("entry", ""), request.query_params.get("number", "")
        if not ENTRY.fullmatch(entry) or not NUMBER.fullmatch(number):
            raise HTTPException(400, "give the id of an entry and the number of its picture")
        try:
            picture = await self.pictures.load(entry, int(number))
        except PictureError as exc:
            raise HTTPException(404, str(exc)) from exc
        # An entry never changes, nor does its picture.
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(picture.body, media_type=picture.media_type, headers=headers)

    async def text(self, request: Request) -> Response:
        """Return the whole text of an entry that was clipped."""
        stream, entry = request.query_params.get("stream", ""), request.query_params.get("entry", "")
        if stream not in {"inbound", "outbound"} or not ENTRY.fullmatch(entry):
            raise HTTPException(400, "give stream=inbound or outbound, and the id of an entry")
        fields = await self.monitor.get_entry(stream, entry)
        if fields is None:
            raise HTTPException(404, N_("that entry has been trimmed"))
        return JSONResponse({"text": decode(fields.get(b"text", b"")[:MAX_WHOLE_TEXT])})

    async def contacts(self, request: Request) -> Response:
        """Search for `q` in all lists, in one list (`kind`), or among the members of `chat`."""
        query = request.query_params
        chat, kind = query.get("chat", ""), query.get("kind", "")
        rows: list[View] = []
        if chat:
            if not has_members(chat):
                raise HTTPException(400, N_("only groups and discussions have members"))
            rows = contact_views("members", await self.monitor.hgetall(f"members:{chat}"), chat)
        else:
            for one in [kind] if kind in LISTS else LISTS:
                rows += contact_views(one, await self.monitor.hgetall(one))
        counts = {one: sum(row["kind"] == one for row in rows) for one in LISTS}
        found = sorted((row for row in rows if matches(row, query.get("q", ""))), key=sort_key)
        return JSONResponse({"found": len(found), "counts": counts, "rows": found[:MAX_CONTACTS]})

    # --- orders --------------------------------------------------------------------------------

    async def send(self, request: Request) -> Response:
        """Request a message to be sent; its result comes over the stream.

        `to` is an address, or the name or QQ number of one contact; the answer has the address.
        """
        body = await _body(request)
        fields = {name: _text(body, name) for name in ("to", "text", "id")}
        fields["to"] = await find_address(self.monitor, fields["to"])
        return await self._request(fields)

    async def answer(self, request: Request) -> Response:
        """Approve or deny a friend or group request; `text` is the remark or the reason."""
        body = await _body(request)
        fields = {name: _text(body, name) for name in ("op", "event", "text", "id")}
        if fields["op"] not in {"approve", "deny"}:
            raise HTTPException(400, "op is not one of approve, deny")
        return await self._request(fields)

    async def _request(self, fields: Mapping[str, str]) -> Response:
        given = {name: value for name, value in fields.items() if value}
        # Raises SchemaError, which the server answers.
        decode_request("0-0", {name.encode(): value.encode() for name, value in given.items()}, "")
        entry = await self.monitor.xadd("outbound", given)
        known = {"entry": entry, "id": given.get("id") or f"entry:{entry}"}
        return JSONResponse(known | ({"to": given["to"]} if "to" in given else {}))

    async def control(self, request: Request) -> Response:
        """Append a command to `qq:control`."""
        body = await _body(request)
        command, text = _text(body, "cmd"), _text(body, "text").strip()
        if command not in COMMANDS:
            raise HTTPException(400, f"cmd is not one of {', '.join(sorted(COMMANDS))}")
        if (command == "captcha") != bool(text) or len(text) > MAX_CAPTCHA:
            raise HTTPException(400, "text is the typed captcha: give it with cmd=captcha, and with no other")
        entry = await self.monitor.send_command(command, BY, **({"text": text} if text else {}))
        return JSONResponse({"entry": entry})

    async def dead(self, request: Request) -> Response:
        """Redrive or drop one dead letter."""
        body = await _body(request)
        entry, action = _text(body, "entry"), _text(body, "action")
        if not ENTRY.fullmatch(entry) or action not in {"redrive", "drop"}:
            raise HTTPException(400, "give the id of a dead letter, and redrive or drop")
        if action == "drop":
            return JSONResponse({"done": await self.monitor.drop([entry]) == 1})
        letter = await self.monitor.get_entry("dead", entry)
        if letter is None:
            raise HTTPException(404, "that dead letter is gone")
        try:
            return JSONResponse({"done": bool(await redrive(self.monitor, entry, letter))})
        except SchemaError as exc:
            raise HTTPException(409, f"this dead letter cannot be redriven: {exc}") from exc

    async def login(self, request: Request) -> Response:
        """Exchange the token for a cookie."""
        address = _check_tries(self.auth, request)
        if not self.auth.matches(_text(await _body(request), "token").strip()):
            self.auth.tries.record(address)
            raise HTTPException(403, N_("that is not the token"))
        return self._signed_in(request, JSONResponse({"done": True}))

    async def open_link(self, request: Request) -> Response:
        """Exchange the code of a link for a cookie, once; without a code show the login form."""
        code = request.query_params.get("code", "")
        # A browser that fetches ahead must not use the code up.
        if not code or request.method != "GET" or "sec-purpose" in request.headers:
            return await login_form().get(request)
        if self.auth.is_authenticated(request.headers):
            return RedirectResponse("/", 303)
        address = _check_tries(self.auth, request)
        if not self.auth.links.redeem(code):
            self.auth.tries.record(address)
            return await login_form().get(request)
        return self._signed_in(request, RedirectResponse("/", 303))

    def _signed_in(self, request: Request, response: Response) -> Response:
        is_https = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        response.set_cookie(
            self.auth.cookie_name,
            self.auth.cookie(),
            max_age=COOKIE_SECONDS,
            secure=is_https,
            httponly=True,
            samesite="strict",
        )
        return response


def _check_tries(auth: PageAuth, request: Request) -> str:
    """Return the address of the peer. Raises HTTPException if it has tried too often."""
    address = request.client.host if request.client else ""
    if auth.tries.is_blocked(address):
        raise HTTPException(
            429,
            f"too many wrong tokens: wait {TRIES_SECONDS:g} s",
            headers={"Retry-After": f"{TRIES_SECONDS:.0f}"},
        )
    return address


async def _body(request: Request) -> Mapping[str, Any]:
    """Read a JSON object of bounded size. Raises HTTPException."""
    read = b""
    async for chunk in request.stream():
        read += chunk
        if len(read) > MAX_BODY:
            raise HTTPException(413, f"more than {MAX_BODY} bytes")
    try:
        value = json.loads(read)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate cannot be stored
    except (ValueError, RecursionError) as exc:
        raise HTTPException(400, "the body is not JSON of valid UTF-8") from exc
    if not isinstance(value, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return value


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise HTTPException(400, f"{name} is not a text")
    return value
