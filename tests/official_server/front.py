"""The HTTP server in front of the handlers: scripted answers, cuts, the record."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from .call import Call, Reply
from .endpoints import WEBSOCKET, Endpoints, Route
from .faults import Answer
from .gateway import Gateway
from .record import Request
from .service import Service

CONTROL = "/sim/"
# The largest body that is read; the API itself takes 30 MB and base64 adds a third.
_BODY_LIMIT = 64 * 1024 * 1024
_CLOSING_SECONDS = 0.2  # how long requests in hand may take when the server stops
_TRACE = "X-Tps-trace-ID"

Control = Callable[[str, str, dict[str, str], bytes], Awaitable[Reply]]


class Front:
    """Serve one service on one port, and on a second one by TLS."""

    def __init__(self, service: Service, endpoints: Endpoints, gateway: Gateway, control: Control) -> None:
        self._service = service
        self._endpoints = endpoints
        self._gateway = gateway
        self._control = control
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> list[int]:
        """Listen; return the port, and the one that speaks TLS."""
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_CLOSING_SECONDS)
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        if tls is not None:
            await web.TCPSite(runner, host, 0, ssl_context=tls).start()
        self._runner = runner
        return [address[1] for address in runner.addresses]

    async def stop(self) -> None:
        """Close all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == WEBSOCKET:
            return await self._open_websocket(request)
        body = await _read(request)
        if request.path.startswith(CONTROL):
            name = request.path.removeprefix(CONTROL)
            reply = await self._control(request.method, name, dict(request.query), body)
            return await _respond(request, reply)
        found = self._endpoints.find(request.method, request.rel_url.path_safe)
        if found is None:
            return await _respond(request, Reply(b"404 page not found", 404, content_type="text/plain"))
        route, parts = found
        call = Call(
            route.endpoint, request.method, request.path, dict(request.query), request.headers, body, parts
        )
        planned = self._service.faults.take(route.endpoint)
        reply = await self._answer(route, call, planned)
        reply.headers[_TRACE] = self._service.mint.hexadecimal()
        self._log(call, reply, planned)
        if planned is not None and planned.cut:
            return await _cut(request, reply, planned.cut)
        return await _respond(request, reply)

    async def _open_websocket(self, request: web.BaseRequest) -> web.StreamResponse:
        planned = self._service.faults.take("websocket")
        if planned is not None:
            await asyncio.sleep(planned.delay)
            if planned.cut:
                return await _cut(request, Reply(), "before")
            if planned.replaces:
                return await _respond(request, self._scripted(planned))
        return await self._gateway.serve(request)

    async def _answer(self, route: Route, call: Call, planned: Answer | None) -> Reply:
        if planned is None:
            return await self._endpoints.serve(route, call, None)
        await asyncio.sleep(planned.delay)
        reply = await self._endpoints.serve(route, call, planned) if planned.serves else Reply()
        if planned.replaces:
            reply = self._scripted(planned)
        reply.headers |= planned.headers
        return reply

    def _scripted(self, planned: Answer) -> Reply:
        if planned.code:
            return self._endpoints.refused(planned.code, status=planned.status)
        status = planned.status or 200
        if planned.json is not None:
            code = planned.json.get("code", 0) if isinstance(planned.json, dict) else 0
            return Reply(json.dumps(planned.json, ensure_ascii=False).encode(), status, code)
        if planned.body is not None:
            return Reply(planned.body, status)
        page = f"<html><head><title>{status}</title></head><body><center>nginx</center></body></html>"
        return Reply(page.encode(), status, content_type="text/html")

    def _log(self, call: Call, reply: Reply, planned: Answer | None) -> None:
        record = self._service.record
        entry = Request(
            n=record.number("requests"),
            time=self._service.clock(),
            endpoint=call.endpoint,
            method=call.method,
            path=call.path,
            status=reply.status,
            code=reply.code,
            trace_id=reply.headers[_TRACE],
            body=call.shown_body(),
            headers=dict(call.headers),
            cut=(planned.cut or "") if planned else "",
        )
        record.add(record.requests, entry)


async def _read(request: web.BaseRequest) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise web.HTTPRequestEntityTooLarge(_BODY_LIMIT, len(body))
    return bytes(body)


async def _respond(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    response = _response(reply)
    await response.prepare(request)
    await response.write_eof()
    return response


async def _cut(request: web.BaseRequest, reply: Reply, cut: str) -> web.StreamResponse:
    """End the connection before the answer is whole."""
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    if cut == "body":
        response.content_length = max(len(reply.body), 2)
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _response(reply: Reply) -> web.Response:
    # One client compares the type with "application/json" to the letter: no charset.
    headers = {"Content-Type": reply.content_type, "Server": "nginx", **reply.headers}
    return web.Response(body=reply.body, status=reply.status, headers=headers)
