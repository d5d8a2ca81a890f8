"""Fetch the pictures of messages on request."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from adapter.content import Image
from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, ImageData
from adapter.networks.smartqq.client import endpoints
from adapter.networks.smartqq.contacts.loader import ContactLoader
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.protocol.http import Request, Response, resolve_redirect
from adapter.networks.smartqq.protocol.parsing import error_message, parse_id, parse_json, return_code
from adapter.networks.smartqq.session.credentials import Credentials

# Redirects to a storage host: there was one.
MAX_REDIRECTS: Final = 5
# Where Tencent kept pictures. The answer comes over plain HTTP: a machine on the way can write any redirect.
STORAGE_DOMAINS: Final = (".qq.com", ".qpic.cn", ".gtimg.cn")


class MediaClient:
    """Fetch pictures while the session lasts in which they arrived.

    `origin`: where all requests go, if not to Tencent's hosts; it may redirect to itself.
    """

    def __init__(
        self,
        request: Callable[[Request], Awaitable[Response]],
        credentials: Credentials,
        contacts: ContactLoader,
        limits: Limits,
        clock: Callable[[], float],
        origin: str | None = None,
    ) -> None:
        self._own_host = urlsplit(origin or "").hostname
        self._request = request
        self._credentials = credentials
        self._contacts = contacts
        self._limits = limits
        self._clock = clock

    async def fetch(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """Return the picture of a segment. `upstream` is that field of its message (5.12).

        Raises TransportError if there is no answer, ProtocolError if the answer is no picture.
        """
        request = self._build_request(image, upstream)
        response = await self._request(request)
        for _ in range(MAX_REDIRECTS):
            if not response.location:
                break
            target = resolve_redirect(request.target, response.location)
            if not self._is_trusted(target):
                raise ProtocolError(f"{request.safe_name} redirects to a host that is none of Tencent's")
            request = replace(request, url=target, params=())
            response = await self._request(request)
        # Errors come as JSON with status 200.
        if response.status != HTTPStatus.OK or not response.content_type.startswith("image/"):
            raise ProtocolError(f"{request.safe_name} answered {_describe(response)} instead of a picture")
        if len(response.body) > self._limits.max_picture_bytes:
            raise ProtocolError(f"{request.safe_name}: a picture of {len(response.body)} bytes is too large")
        return ImageData(response.content_type.partition(";")[0].strip(), response.body)

    def _is_trusted(self, url: str) -> bool:
        """Return whether a picture may come from there: the answer goes to a worker as it is."""
        host = urlsplit(url).hostname or ""
        is_known = host == self._own_host or f".{host}".endswith(STORAGE_DOMAINS)
        return is_known and url.startswith(("http://", "https://"))

    def _build_request(self, image: Image, upstream: Mapping[str, object]) -> Request:
        def number(name: str) -> str:
            return parse_id(upstream.get(name))

        if image.kind == "offpic" and image.file_path:
            return endpoints.offline_picture(self._credentials, image.file_path, number("from_uin"))
        if image.kind == "cface" and image.file_id:
            is_discussion = upstream.get("poll_type") == "discu_message"
            return endpoints.group_picture(
                self._credentials,
                name=image.name,
                file_id=image.file_id,
                server=image.server,
                group="" if is_discussion else self._find_code(number("from_uin"), number("group_code")),
                did=number("did") if is_discussion else "",
                sender=number("send_uin"),
                now=self._clock(),
            )
        if image.kind == "cface" and image.name:
            message_id, sender = number("msg_id"), number("from_uin")
            return endpoints.custom_picture(self._credentials, image.name, message_id, sender)
        raise ProtocolError("the message does not say where this picture is")

    def _find_code(self, gid: str, code_in_message: str) -> str:
        known = self._contacts.roster.find(Address(ChatKind.GROUP, gid))
        code = (known.code if known else "") or code_in_message
        if not code:
            raise ProtocolError("the picture's group is in no list and the message has no group_code")
        return code


def _describe(response: Response) -> str:
    """Describe an answer without quoting what may be a secret."""
    try:
        reply = parse_json(response)
    except ProtocolError:
        return repr(response)
    return f"{return_code(reply)} {error_message(reply)}".strip()
