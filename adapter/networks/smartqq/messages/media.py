"""What is fetched only when somebody asks: pictures, avatars, profiles; and how others see us."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Image, ImageData
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.contacts.loader import ContactLoader
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Request, Response, resolve_redirect
from adapter.networks.smartqq.protocol.parsing import (
    OK,
    error_message,
    parse_id,
    parse_json,
    return_code,
)
from adapter.networks.smartqq.session.credentials import STATUSES, Credentials

CHAIN: Final = 5
"""Redirects to a storage host; there was one."""


class MediaClient:
    """Raises TransportError where there is no answer, ProtocolError where it is another one than wanted."""

    def __init__(
        self,
        ask: Callable[[Request], Awaitable[Response]],
        tokens: Credentials,
        roster: ContactLoader,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._tokens = tokens
        self._roster = roster
        self._limits = limits
        self._clock = clock

    # --- pictures ---

    async def image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """The picture of a segment. `upstream`: that of the message it stood in (5.12).

        Works for as long as the session does in which it came.
        """
        return await self._picture(self._image(image, upstream))

    def _image(self, image: Image, upstream: Mapping[str, object]) -> Request:
        def number(name: str) -> str:
            return parse_id(upstream.get(name))

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
        known = self._roster.roster.find(Address(ChatKind.GROUP, gid))
        code = (known.code if known else "") or given
        if not code:
            raise ProtocolError("a group without a code")
        return code

    async def _picture(self, request: Request) -> ImageData:
        answer = await self._ask(request)
        for _ in range(CHAIN):
            if not answer.location:
                break
            target = resolve_redirect(request.target, answer.location)
            if not target.startswith(("http://", "https://")):
                raise ProtocolError(f"{request.safe_name} leads nowhere")
            request = replace(request, url=target, params=())
            answer = await self._ask(request)
        # Errors come as JSON with status 200.
        if answer.status != HTTPStatus.OK or not answer.content_type.startswith("image/"):
            raise ProtocolError(f"{request.safe_name} gave no picture but {_instead(answer)}")
        if len(answer.body) > self._limits.picture:
            raise ProtocolError(f"{request.safe_name} gave a picture of {len(answer.body)} bytes")
        return ImageData(answer.content_type.partition(";")[0].strip(), answer.body)

    async def change_status(self, status: str) -> None:
        """Be seen as one of STATUSES."""
        if status not in STATUSES:
            raise ProtocolError(f"{status!r} is not one of {', '.join(STATUSES)}")
        request = endpoints.change_status(self._tokens, status, self._clock())
        reply = parse_json(await self._ask(request))
        if return_code(reply) != OK:
            raise ProtocolError(f"{request.safe_name}: {return_code(reply)} {error_message(reply)}".strip())
        self._tokens.status = status


def _instead(answer: Response) -> str:
    """What came in place of a picture."""
    try:
        reply = parse_json(answer)
    except ProtocolError:
        return repr(answer)
    return f"{return_code(reply)} {error_message(reply)}".strip()
