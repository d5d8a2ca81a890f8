"""What the page asks and does: JSON over HTTP. Everything here may be called only by who passed the guard."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from adapter.bus.admin import MonitorClient
from adapter.codec.outbound import MAX_BODY, decode_request
from adapter.errors import SchemaError
from adapter.ops.page.auth import PageAuth
from adapter.ops.page.broadcaster import MAX_PAGES, Broadcaster
from adapter.ops.page.sse import EventStream
from adapter.ops.page.state import PageState
from adapter.ops.page.transport import Line
from adapter.ops.page.views import (
    ENTRY,
    LISTS,
    WHOLE,
    View,
    by_name,
    contact_views,
    fits,
    has_members,
    letter_fields,
    media_type,
    words,
)

FOUND: Final = 200
COMMANDS: Final = frozenset({"login", "logout", "refresh", "pause", "resume", "captcha"})
# A captcha has four letters; whoever pastes a novel made a mistake.
ANSWER: Final = 32
BY: Final = "page"
# Where a redriven entry may go.
REDRIVEN: Final = ("outbound", "inbound")


@dataclass(frozen=True, slots=True)
class Handlers:
    """The endpoints below `/api`, and the login."""

    lookout: MonitorClient
    hub: Broadcaster
    board: PageState
    access: PageAuth

    # --- asking --------------------------------------------------------------------------------

    async def stream(self, request: Request) -> ASGIApp:
        """All that is going on, as server-sent events."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        seat = self.hub.join(Line(request.scope))
        if seat is None:
            return JSONResponse({"error": f"{MAX_PAGES} pages are open already"}, 503)
        return EventStream(self.hub, seat, self.board)

    async def picture(self, request: Request) -> Response:
        """The QR code or captcha of an entry of `qq:session`, while it is the newest."""
        newest = await self.lookout.last_entries("session")
        if not newest or newest[0][0] != request.query_params.get("entry"):
            raise HTTPException(404, "that code is no longer shown")
        picture = newest[0][1].get(b"png", b"")
        return Response(picture, 200 if picture else 404, media_type=media_type(picture))

    async def text(self, request: Request) -> Response:
        """The whole text of an entry whose beginning the page shows."""
        stream, entry = request.query_params.get("stream", ""), request.query_params.get("entry", "")
        if stream not in {"inbound", "outbound"} or not ENTRY.fullmatch(entry):
            raise HTTPException(400, "give stream=inbound or outbound, and the id of an entry")
        fields = await self.lookout.entry(stream, entry)
        if fields is None:
            raise HTTPException(404, "that entry has been trimmed")
        return JSONResponse({"text": words(fields.get(b"text", b"")[:WHOLE])})

    async def contacts(self, request: Request) -> Response:
        """Contacts whose name or number holds `q`: of all lists, of one `kind`, or the members of `chat`."""
        query = request.query_params
        chat, kind = query.get("chat", ""), query.get("kind", "")
        rows: list[View] = []
        if chat:
            if not has_members(chat):
                raise HTTPException(400, "only groups and discussions have members")
            rows = contact_views("members", await self.lookout.hash(f"members:{chat}"), chat)
        else:
            for one in [kind] if kind in LISTS else LISTS:
                rows += contact_views(one, await self.lookout.hash(one))
        counts = {one: sum(row["kind"] == one for row in rows) for one in LISTS}
        found = sorted((row for row in rows if fits(row, query.get("q", ""))), key=by_name)
        return JSONResponse({"found": len(found), "counts": counts, "rows": found[:FOUND]})

    # --- doing ---------------------------------------------------------------------------------

    async def send(self, request: Request) -> Response:
        """Ask for a message to be sent. Its result comes by the stream."""
        body = await _body(request)
        fields = {name: _text(body, name) for name in ("to", "text", "id")}
        try:
            decode_request("0-0", {name.encode(): value.encode() for name, value in fields.items()}, "")
        except SchemaError as exc:
            raise HTTPException(400, str(exc)) from exc
        entry = await self.lookout.append(
            "outbound", {name: value for name, value in fields.items() if value}
        )
        return JSONResponse({"entry": entry, "id": fields["id"] or f"entry:{entry}"})

    async def control(self, request: Request) -> Response:
        """Give the adapter a command."""
        body = await _body(request)
        command, text = _text(body, "cmd"), _text(body, "text").strip()
        if command not in COMMANDS:
            raise HTTPException(400, f"cmd is not one of {', '.join(sorted(COMMANDS))}")
        if (command == "captcha") != bool(text) or len(text) > ANSWER:
            raise HTTPException(400, "text is what the captcha says, and belongs to it alone")
        entry = await self.lookout.send_command(command, BY, **({"text": text} if text else {}))
        return JSONResponse({"entry": entry})

    async def dead(self, request: Request) -> Response:
        """Redrive or drop one dead letter."""
        body = await _body(request)
        entry, action = _text(body, "entry"), _text(body, "action")
        if not ENTRY.fullmatch(entry) or action not in {"redrive", "drop"}:
            raise HTTPException(400, "give the id of a dead letter, and redrive or drop")
        if action == "drop":
            return JSONResponse({"done": await self.lookout.drop([entry]) == 1})
        letter = await self.lookout.dead_letter(entry)
        if letter is None:
            raise HTTPException(404, "that dead letter is gone")
        stream, fields = words(letter.get(b"stream")), letter_fields(letter)
        if not fields or stream not in {self.lookout.keys(name) for name in REDRIVEN}:
            raise HTTPException(409, "this one cannot be redriven: drop it")
        return JSONResponse({"done": bool(await self.lookout.redrive(entry, stream, fields))})

    async def login(self, request: Request) -> Response:
        """Give the token, get a cookie."""
        if not self.access.matches(_text(await _body(request), "token").strip()):
            raise HTTPException(403, "that is not the token")
        secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        cookie = self.access.cookie(time.time(), secure=secure)
        return JSONResponse({"done": True}, headers={"Set-Cookie": cookie})


async def _body(request: Request) -> Mapping[str, Any]:
    """A JSON object of bounded size."""
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
        raise HTTPException(400, "the body is not an object")
    return value


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise HTTPException(400, f"{name} is not a text")
    return value
