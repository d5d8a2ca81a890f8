"""What is fetched only when somebody asks: pictures, avatars, profiles; and how others see us."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from adapter.errors import ProtocolError, TransportError
from adapter.events import Address, ChatKind, Image, Picture
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.contacts.loader import Roster
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Answer, Request, led
from adapter.networks.smartqq.protocol.parsing import (
    OK,
    code_of,
    ident,
    integer,
    load,
    mapping,
    rows,
    said,
    words,
)
from adapter.networks.smartqq.session.credentials import STATUSES, Tokens

CHAIN: Final = 5
"""Redirects to a storage host; there was one."""


class Extras:
    """Raises TransportError where there is no answer, ProtocolError where it is another one than wanted."""

    def __init__(
        self,
        ask: Callable[[Request], Awaitable[Answer]],
        tokens: Tokens,
        roster: Roster,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._tokens = tokens
        self._roster = roster
        self._limits = limits
        self._clock = clock

    # --- pictures ---

    async def image(self, image: Image, upstream: Mapping[str, object]) -> Picture:
        """The picture of a segment. `upstream`: that of the message it stood in (5.12).

        Works for as long as the session does in which it came.
        """
        return await self._picture(self._image(image, upstream))

    async def avatar(self, of: Address) -> Picture:
        """The picture of a person or, by its code, of a group (5.11)."""
        if of.kind is ChatKind.GROUP:
            return await self._picture(
                endpoints.avatar(self._tokens, self._code(of.id), endpoints.GROUP, self._clock())
            )
        return await self._picture(endpoints.avatar(self._tokens, of.id, endpoints.PERSON, self._clock()))

    def _image(self, image: Image, upstream: Mapping[str, object]) -> Request:
        def number(name: str) -> str:
            return ident(upstream.get(name))

        if image.kind == "offpic" and image.file_path:
            return endpoints.offline_picture(self._tokens, image.file_path, number("from_uin"))
        if image.kind == "cface" and image.file_id:
            discussion = upstream.get("poll_type") == "discu_message"
            return endpoints.group_picture(
                self._tokens,
                name=image.name,
                file_id=image.file_id,
                server=image.server,
                group="" if discussion else self._code(number("from_uin"), number("group_code")),
                did=number("did") if discussion else "",
                sender=number("send_uin"),
                now=self._clock(),
            )
        if image.kind == "cface" and image.name:
            return endpoints.custom_picture(self._tokens, image.name, number("msg_id"), number("from_uin"))
        raise ProtocolError("upstream did not say where this picture is")

    def _code(self, gid: str, given: str = "") -> str:
        known = self._roster.book.find(Address(ChatKind.GROUP, gid))
        code = (known.code if known else "") or given
        if not code:
            raise ProtocolError("a group without a code")
        return code

    async def _picture(self, request: Request) -> Picture:
        answer = await self._ask(request)
        for _ in range(CHAIN):
            if not answer.location:
                break
            target = led(request.target, answer.location)
            if not target.startswith(("http://", "https://")):
                raise ProtocolError(f"{request.name} leads nowhere")
            request = replace(request, url=target, params=())
            answer = await self._ask(request)
        # Errors come as JSON with status 200.
        if answer.status != HTTPStatus.OK or not answer.content_type.startswith("image/"):
            raise ProtocolError(f"{request.name} gave no picture but {_instead(answer)}")
        if len(answer.body) > self._limits.picture:
            raise ProtocolError(f"{request.name} gave a picture of {len(answer.body)} bytes")
        return Picture(answer.content_type.partition(";")[0].strip(), answer.body)

    # --- people ---

    async def profile(self, uin: str) -> Mapping[str, object]:
        """What a friend tells about themselves: profile, signature and level, as far as they come (5.10)."""
        tokens, now = self._tokens, self._clock()
        info = await self._result(endpoints.friend_info(tokens, uin, now))
        lines = await self._result(endpoints.long_nick(tokens, uin, now))
        level = mapping(await self._result(endpoints.level(tokens, uin, now)))
        signature = next((words(row.get("lnick")) for row in rows(lines)), "")
        told = {
            name: value if isinstance(value, int | dict) else words(value)
            for name, value in mapping(info).items()
            if name not in ("uin", "vfwebqq", "token")
        }
        numbers = {"level": integer(level.get("level")), "days": integer(level.get("days"))}
        return {**told, "signature": signature, **{k: v for k, v in numbers.items() if v is not None}}

    async def change_status(self, status: str) -> None:
        """Be seen as one of STATUSES."""
        if status not in STATUSES:
            raise ProtocolError(f"{status!r} is not one of {', '.join(STATUSES)}")
        request = endpoints.change_status(self._tokens, status, self._clock())
        reply = load(await self._ask(request))
        if code_of(reply) != OK:
            raise ProtocolError(f"{request.name}: {code_of(reply)} {said(reply)}".strip())
        self._tokens.status = status

    async def _result(self, request: Request) -> object:
        """The result of a call, None where upstream has none: 100000 may mean no signature."""
        try:
            reply = load(await self._ask(request))
        except (TransportError, ProtocolError):
            return None
        return reply.get("result") if code_of(reply) == OK else None


def _instead(answer: Answer) -> str:
    """What came in place of a picture."""
    try:
        reply = load(answer)
    except ProtocolError:
        return repr(answer)
    return f"{code_of(reply)} {said(reply)}".strip()
