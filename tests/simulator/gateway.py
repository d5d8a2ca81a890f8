"""The HTTP server in front of the handlers: scripted answers, cut connections, the log."""

import asyncio
import json
from typing import Protocol

from aiohttp import web
from multidict import CIMultiDict

from . import gates, routes
from .call import Call, Reply, code_of, error_page
from .faults import Answer
from .journal import RequestLog
from .network import Network

CONTROL = ("/sim/", "/phone")
_CLOSING_SECONDS = 0.2  # how long requests in hand may take when the server stops


class Control(Protocol):
    """What answers the requests below /sim/."""

    async def __call__(self, call: Call) -> Reply:
        """Answer one control request."""


class Gateway:
    """Serves one network on one port."""

    def __init__(self, net: Network, control: Control) -> None:
        self._net = net
        self._control = control
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port, chosen by the system if 0 was asked for."""
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_CLOSING_SECONDS)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        self._runner = runner
        bound: int = runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = Call(
            method=request.method,
            host=request.headers.get("Host", "").partition(":")[0].lower(),
            path=request.path,
            query=dict(request.query),
            headers=request.headers,
            body=await request.content.read(),
        )
        if call.path.startswith(CONTROL) and not call.host.endswith(".qq.com"):
            return await self._respond(request, await self._control(call), None)
        reply, planned = await self._answer(call)
        self._log(call, reply)
        if reply.letters:
            self._net.journal.hand(self._net.clock(), tuple(letter.text for letter in reply.letters))
        try:
            return await self._respond(request, reply, planned)
        except (ConnectionError, asyncio.CancelledError):
            self._net.mailbox.put_back(reply.letters)
            raise

    async def _answer(self, call: Call) -> tuple[Reply, Answer | None]:
        planned = self._net.faults.next(call.path)
        if planned is not None and planned.delay:
            self._net.journal.arrive(call.path, call.params())
        while True:
            if planned is not None:
                await asyncio.sleep(planned.delay)
                if not planned.serves:
                    return _scripted(planned), planned
            reply = await self._serve(call)
            if reply.planned is None:
                return reply, planned
            planned = reply.planned

    async def _serve(self, call: Call) -> Reply:
        try:
            result = routes.find(call)(self._net, call)
            return result if isinstance(result, Reply) else await result
        except gates.Refused as refused:
            return refused.reply

    async def _respond(
        self, request: web.BaseRequest, reply: Reply, planned: Answer | None
    ) -> web.StreamResponse:
        response = _response(reply, planned)
        if planned is not None and planned.cut:
            return await self._cut(request, reply, planned)
        await response.prepare(request)
        await response.write_eof()
        return response

    async def _cut(self, request: web.BaseRequest, reply: Reply, planned: Answer) -> web.StreamResponse:
        """End the connection before the answer is whole; messages in it will be sent again."""
        self._net.mailbox.put_back(reply.letters)
        half = web.StreamResponse(status=reply.status, headers=_headers(reply, planned))
        if planned.cut == "body":
            half.content_length = max(len(reply.body), 2)
            await half.prepare(request)
            await half.write(reply.body[: len(reply.body) // 2])
        if request.transport is not None:
            request.transport.close()
        return half

    def _log(self, call: Call, reply: Reply) -> None:
        net = self._net
        code = reply.status if reply.code is None else reply.code
        net.journal.log(
            lambda n: RequestLog(
                n=n,
                time=net.clock(),
                method=call.method,
                host=call.host,
                path=call.path,
                params=call.params(),
                code=code,
                status=reply.status,
                headers=call.headers,
            )
        )


def _scripted(planned: Answer) -> Reply:
    if planned.json is not None:
        body = json.dumps(planned.json, ensure_ascii=False).encode("utf-8", "backslashreplace")
    elif planned.body is not None:
        body = planned.body
    elif planned.cut == "before":
        return Reply()
    else:
        return error_page(planned.status)
    return Reply(body, planned.status, code=_code_in(body))


def _code_in(body: bytes) -> int | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return code_of(value) if isinstance(value, dict) else None


def _headers(reply: Reply, planned: Answer | None) -> CIMultiDict[str]:
    extra = dict(planned.headers) if planned else {}
    own = [("Content-Type", reply.content_type), ("Server", "nginx"), *reply.headers]
    overridden = {name.lower() for name in extra}
    kept = [(name, value) for name, value in own if name.lower() not in overridden]
    return CIMultiDict([*kept, *extra.items()])


def _response(reply: Reply, planned: Answer | None) -> web.Response:
    return web.Response(body=reply.body, status=reply.status, headers=_headers(reply, planned))
