"""A plain web client for the simulator's own tests: it logs in, polls and sends, and believes nothing.

Every host of the service leads to the simulator, so URLs, Host headers and cookie domains are the true
ones. It is no model of how a client should heal itself.
"""

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .simulator import Simulator
from .tokens import contact_hash, hash33

DATA, CHANNEL, OLD_CHANNEL = "s.web2.qq.com", "d1.web2.qq.com", "d.web2.qq.com"
REFERER = "http://d1.web2.qq.com/proxy.html?v=20151105001&callback=1&id=2"
CLIENT_ID = 53999199
_NOW = "1482192000123"


class _Here(AbstractResolver):
    """Resolves every name to this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


class Visitor:
    """One client with a cookie jar of its own. Fields are filled in by `log_in`."""

    def __init__(self, url: str, *, channel: str = CHANNEL) -> None:
        self._port = urlsplit(url).port
        self.channel = channel
        self.ptwebqq = ""
        self.vfwebqq = ""
        self.psessionid = ""
        self.uin = 0
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(resolver=_Here())
        jar = aiohttp.CookieJar(quote_cookie=False)  # as browsers: `skey=@…` goes without quotation marks
        timeout = aiohttp.ClientTimeout(total=20)
        self._http = aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    def cookie(self, name: str, host: str) -> str | None:
        """Return the cookie a request to `host` would carry."""
        found = self._http.cookie_jar.filter_cookies(URL(f"http://{host}/"))
        return found[name].value if name in found else None

    def set_cookie(self, name: str, value: str) -> None:
        """Put a cookie of qq.com into the jar."""
        cookies = SimpleCookie({name: value})
        cookies[name]["domain"] = "qq.com"
        self._http.cookie_jar.update_cookies(cookies, URL("http://qq.com/"))

    async def fetch(
        self,
        host: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request, a POST if there is a form; the answer is read, redirects are not followed."""
        response = await self._http.request(
            "GET" if form is None else "POST",
            f"http://{host}:{self._port}{path}",
            params=None if query is None else {name: str(value) for name, value in query.items()},
            data=form,
            headers={"Referer": REFERER, **(headers or {})},
            allow_redirects=False,
        )
        await response.read()
        return response

    async def get(self, host: str, path: str, **query: Any) -> Any:
        """Return the JSON answer to a GET."""
        return json.loads(await (await self.fetch(host, path, query={**query, "t": _NOW})).text())

    async def post(self, host: str, path: str, r: Mapping[str, Any]) -> Any:
        """Return the JSON answer to a POST with `r`."""
        return json.loads(await (await self.fetch(host, path, form={"r": json.dumps(r)})).text())

    # Login

    async def show_qr(self) -> bytes:
        """Ask for a QR code; return the picture."""
        return await (await self.fetch("ssl.ptlogin2.qq.com", "/ptqrshow", query={"s": 5, "v": 4})).read()

    async def poll_qr(self, token: int | None = None) -> str:
        """Ask for the state of the code; return the whole answer."""
        qrsig = self.cookie("qrsig", "ssl.ptlogin2.qq.com") or ""
        query = {"ptqrtoken": hash33(qrsig) if token is None else token, "aid": 501004106}
        return await (await self.fetch("ssl.ptlogin2.qq.com", "/ptqrlogin", query=query)).text()

    async def follow(self, url: str) -> aiohttp.ClientResponse:
        """Open an absolute URL the service handed out."""
        parts = urlsplit(url)
        return await self.fetch(parts.hostname or "", f"{parts.path}?{parts.query}")

    async def log_in(self) -> None:
        """Log in by a QR code that scans itself, up to the online probe."""
        await self.show_qr()
        for _ in range(3):
            answer = await self.poll_qr()
        await self.follow(answer.split("'")[5])
        await self.link()
        await self.online()

    async def link(self, former: str = "") -> Any:
        """Call getvfwebqq and login2; return the answer of the latter."""
        self.ptwebqq = self.cookie("ptwebqq", DATA) or ""
        answer = await self.get(
            DATA, "/api/getvfwebqq", ptwebqq=self.ptwebqq, clientid=CLIENT_ID, psessionid=""
        )
        self.vfwebqq = answer.get("result", {}).get("vfwebqq", "")
        r = {"ptwebqq": self.ptwebqq, "clientid": CLIENT_ID, "psessionid": former, "status": "online"}
        answer = await self.post(self.channel, "/channel/login2", r | ({"key": ""} if former else {}))
        self.psessionid = answer.get("result", {}).get("psessionid", "")
        self.uin = answer.get("result", {}).get("uin", 0)
        return answer

    # Session

    def tokens(self) -> dict[str, Any]:
        """Return what most calls on the channel carry."""
        return {"vfwebqq": self.vfwebqq, "clientid": CLIENT_ID, "psessionid": self.psessionid}

    async def online(self) -> Any:
        """Ask who is online."""
        return await self.get(self.channel, "/channel/get_online_buddies2", **self.tokens())

    async def poll(self) -> Any:
        """Poll once."""
        r = {"ptwebqq": self.ptwebqq, "clientid": CLIENT_ID, "psessionid": self.psessionid, "key": ""}
        return await self.post(self.channel, "/channel/poll2", r)

    async def contacts(self, path: str) -> Any:
        """Ask for one of the two lists that want the hash."""
        return await self.post(
            DATA, f"/api/{path}", {"vfwebqq": self.vfwebqq, "hash": contact_hash(self.uin, self.ptwebqq)}
        )

    async def send(
        self, call: str, key: str, target: int, parts: list[Any], msg_id: int = 20000001, **more: Any
    ) -> Any:
        """Send a message; `key` is what the target is called in this call."""
        font = ["font", {"name": "宋体", "size": 10, "style": [0, 0, 0], "color": "000000"}]
        r = {
            key: target,
            "content": json.dumps([*parts, font], ensure_ascii=False),
            "face": 522,
            "clientid": CLIENT_ID,
            "msg_id": msg_id,
            "psessionid": self.psessionid,
            **more,
        }
        return await self.post(self.channel, f"/channel/{call}", r)


@asynccontextmanager
async def logged_in(profile: str = "e3", **options: Any) -> AsyncIterator[tuple[Simulator, Visitor]]:
    """Run a simulator with a visitor who is online."""
    channel = OLD_CHANNEL if profile == "e1" else CHANNEL
    async with Simulator(profile, **options) as sim, Visitor(sim.url, channel=channel) as visitor:
        await visitor.log_in()
        yield sim, visitor
