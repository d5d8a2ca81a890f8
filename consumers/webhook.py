"""Post every event to a URL as signed JSON; an answer `{"reply": "text"}` goes to the chat.

Headers: `X-QQBus-Id` (the event id, the same when the event is posted again), `X-QQBus-Timestamp`, and
`X-QQBus-Signature`: `sha256=` and the HMAC-SHA256 of the timestamp, a dot and the body, keyed with
QQBUS_WEBHOOK_SECRET. While the endpoint is down events wait, each chat in order.
"""

import argparse
import base64
import hashlib
import hmac
import json
import logging
import os
import random
import sys
import time
from asyncio import sleep, timeout
from inspect import cleandoc
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from adapter import Received, timestamp
from adapter.aio import backoff
from adapter.http_content import ContentError, read_body
from adapter.i18n import _, terminal_texts
from qqbus import Event, Reject, Worker, WorkerOptions

log = logging.getLogger("qqbus.webhook")

# Bytes of an answer that are parsed, and replies taken from it: more is no chat message.
_MAX_ANSWER: Final = 64 * 1024
_MAX_REPLIES: Final = 10
# Transient statuses; any other 4xx rejects this very event.
_TRANSIENT: Final = {408, 409, 425, 429}
# Seconds between two attempts: soon after a hiccup, easy on an endpoint that is down.
_FIRST_DELAY: Final = 0.2
_MAX_DELAY: Final = 30.0
# Seconds for handlers, of the ten that a container gets after SIGTERM: what waits comes again.
_MAX_SHUTDOWN: Final = 5.0
# Seconds for the body of an answer.
_ANSWER_SECONDS: Final = 10.0


class Webhook:
    """Posts each event until the endpoint takes it or `patience` seconds are over."""

    def __init__(self, client: httpx.AsyncClient, url: str, secret: str, patience: float) -> None:
        self._client = client
        self._url = url
        self._secret = secret.encode()
        self._patience = patience
        self._outage = Outage(shown_address(url))

    async def deliver(self, event: Event) -> None:
        """Post an event and send the replies in the answer. Raises Reject."""
        body = json.dumps(as_json(event.received), ensure_ascii=False, default=_bytes).encode()
        end, address = time.monotonic() + self._patience, self._outage.address
        try:
            for delay in backoff(random.random, first=_FIRST_DELAY, most=_MAX_DELAY):
                try:
                    texts = await self._post(event.id, body)
                except _NotTakenError as exc:
                    reason = exc
                else:
                    self._outage.end(event.id)
                    for text in texts:
                        await event.reply(text)
                    return
                if reason.is_final:
                    raise Reject(f"{address}: {reason}")
                if time.monotonic() + delay > end:
                    raise Reject(f"{address}: {reason}, for {self._patience:g} s")
                self._outage.begin(event.id, str(reason))
                await sleep(delay)
        finally:
            self._outage.forget(event.id)

    async def _post(self, ident: str, body: bytes) -> list[str]:
        """Post once; returns the replies. Raises _NotTakenError unless the status is 2xx."""
        try:
            async with self._client.stream(
                "POST", self._url, content=body, headers=self._headers(ident, body)
            ) as response:
                if response.is_success:
                    # With this status the endpoint has taken the event, whatever becomes of the body.
                    return await self._read_replies(response)
                raise _NotTakenError(
                    _describe(response),
                    is_final=response.is_client_error and response.status_code not in _TRANSIENT,
                )
        except httpx.HTTPError as exc:
            raise _NotTakenError(f"{type(exc).__name__}: {exc}") from exc

    async def _read_replies(self, response: httpx.Response) -> list[str]:
        coding = response.headers.get("content-encoding", "")
        try:
            async with timeout(_ANSWER_SECONDS):
                return replies(await read_body(response.aiter_raw(), coding, _MAX_ANSWER))
        except (ContentError, httpx.HTTPError, TimeoutError) as exc:
            log.warning(
                "%s took an event, but its answer cannot be read (%s): no reply",
                self._outage.address,
                f"{exc}" or type(exc).__name__,
            )
            return []

    def _headers(self, ident: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        return {
            "Content-Type": "application/json; charset=utf-8",
            "X-QQBus-Id": ident,
            "X-QQBus-Timestamp": now,
            "X-QQBus-Signature": signature(self._secret, now, body),
        }


class _NotTakenError(Exception):
    """The endpoint did not take an event. `is_final`: it never will."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Outage:
    """Says in the log when deliveries begin to fail, and when the last waiting event was taken."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._waiting: set[str] = set()
        self._since: float | None = None

    def begin(self, ident: str, reason: str) -> None:
        """Note a failed delivery that is repeated."""
        self._waiting.add(ident)
        if self._since is None:
            self._since = time.monotonic()
            log.warning(
                "%s does not take events: %s; they wait here and are posted again", self.address, reason
            )

    def end(self, ident: str) -> None:
        """Note a delivery."""
        if self._since is not None and self._waiting <= {ident}:
            log.info("%s takes events again, after %.0f s", self.address, time.monotonic() - self._since)
            self._since = None

    def forget(self, ident: str) -> None:
        """Note that an event waits no longer."""
        self._waiting.discard(ident)


def shown_address(url: str) -> str:
    """Return scheme and host: path, query and user of a webhook's address are secrets."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://[{host}]{port}/…" if ":" in host else f"{parts.scheme}://{host}{port}/…"


def _describe(response: httpx.Response) -> str:
    """Return why a status is no success."""
    if response.has_redirect_location:
        try:
            target = shown_address(str(response.url.join(response.headers["location"])))
        except (ValueError, httpx.InvalidURL):
            target = "an invalid address"
        return f"HTTP {response.status_code}: it redirects to {target}, give that address itself"
    return f"HTTP {response.status_code}"


def signature(secret: bytes, moment: str, body: bytes) -> str:
    """Return the signature; the receiver computes it too and compares."""
    return "sha256=" + hmac.new(secret, moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def as_json(event: Received) -> dict[str, Any]:
    """Return the contract's fields, with `self` as a bool and `body` unpacked."""
    return {
        "v": "1",
        "id": event.id,
        "type": event.type,
        "time": timestamp(event.time),
        "account": event.account,
        "epoch": event.epoch,
        "seq": event.seq,
        "chat": event.chat,
        "sender": event.sender,
        "self": event.own,
        "text": event.text,
        "body": event.body,
    }


def replies(answer: bytes) -> list[str]:
    """Return the texts to send: `reply` is a text or a list of texts."""
    if not answer.strip() or len(answer) > _MAX_ANSWER:
        return []
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return []
    reply = value.get("reply") if isinstance(value, dict) else None
    texts = reply if isinstance(reply, list) else [reply]
    return [text for text in texts if isinstance(text, str) and text.strip()][:_MAX_REPLIES]


def _bytes(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _is_address(url: str) -> bool:
    try:
        parts = httpx.URL(url)
        return parts.scheme in {"http", "https"} and bool(parts.host) and url.isprintable() and " " not in url
    except (ValueError, httpx.InvalidURL):
        return False


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with terminal_texts():
        options = _parse_arguments()
    if not _is_address(options.url):
        # It may hold a secret: it is not repeated.
        print(_("the address is not valid: give http://… or https://… without blanks"), file=sys.stderr)
        sys.exit(2)
    secret = os.environ.get("QQBUS_WEBHOOK_SECRET", "")
    if not secret:
        print(
            _("QQBUS_WEBHOOK_SECRET is not set: without it a receiver cannot verify the posts"),
            file=sys.stderr,
        )
        sys.exit(2)
    # A handler that waits for the endpoint must not hold up a stop.
    worker = Worker(options.name, options=WorkerOptions(shutdown_timeout=min(options.timeout, _MAX_SHUTDOWN)))
    webhook = Webhook(httpx.AsyncClient(timeout=options.timeout), options.url, secret, options.patience)
    worker.on(*options.types)(webhook.deliver)
    worker.main()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m consumers.webhook",
        description=_(cleandoc(__doc__)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help=_("where to post"))
    parser.add_argument(
        "--name", default="webhook", help=_("name of the application, for a second webhook (webhook)")
    )
    parser.add_argument("--types", nargs="*", default=["message"], help=_("types or families (message)"))
    parser.add_argument("--timeout", type=float, default=10.0, help=_("seconds that one post may take (10)"))
    parser.add_argument(
        "--patience", type=float, default=86_400.0, help=_("seconds after which an event is given up (a day)")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
