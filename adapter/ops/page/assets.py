"""Serve the page's own files: package data, read once, with a hash as ETag."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapter.i18n import CATALOGUES, catalogue

TYPES: Final = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "json": "application/json",
}
PATHS: Final = {"index.html": "/"}
# Served by the API, which also takes the codes of links.
LOGIN: Final = "login.html"


class Asset:
    """One file as an endpoint."""

    def __init__(self, name: str, body: bytes) -> None:
        self._body = body
        self._type = TYPES[name.rpartition(".")[2]]
        self._etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'

    async def get(self, request: Request) -> Response:
        """Return the file, or 304 if the browser has it."""
        # The browser asks each time: a new version of the adapter is a new page at once.
        headers = {"ETag": self._etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == self._etag:
            return Response(status_code=304, headers=headers)
        return Response(self._body, media_type=self._type, headers=headers)


def routes() -> Iterator[Route]:
    """Yield a route for each file in `static`, and for the texts of each language."""
    for file in files(__package__).joinpath("static").iterdir():
        if file.name.rpartition(".")[2] in TYPES and file.name != LOGIN:
            yield Route(PATHS.get(file.name, f"/{file.name}"), Asset(file.name, file.read_bytes()).get)
    for name, language in CATALOGUES.items():
        texts = json.dumps(catalogue(name), ensure_ascii=False).encode()
        yield Route(f"/texts-{language}.json", Asset("texts.json", texts).get)


@cache
def login_form() -> Asset:
    """Return the login form."""
    return Asset(LOGIN, files(__package__).joinpath("static", LOGIN).read_bytes())
