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
import os
import random
import sys
import time
from asyncio import sleep
from typing import Any, Final

import httpx

from adapter import Received, timestamp
from adapter.aio import backoff
from qqbus import Event, Reject, Worker, WorkerOptions

# Bytes of an answer that are parsed, and replies taken from it: more is no chat message.
_MAX_ANSWER: Final = 64 * 1024
_MAX_REPLIES: Final = 10
# Transient statuses; any other 4xx rejects this very event.
_TRANSIENT: Final = {408, 409, 425, 429}
# Seconds between two attempts: soon after a hiccup, easy on an endpoint that is down.
_FIRST_DELAY: Final = 0.2
_MAX_DELAY: Final = 30.0
# Seconds; containers are killed ten seconds after SIGTERM.
_MAX_SHUTDOWN: Final = 8.0


class Webhook:
    """Posts each event until the endpoint takes it or `patience` seconds are over."""

    def __init__(self, client: httpx.AsyncClient, url: str, secret: str, patience: float) -> None:
        self._client = client
        self._url = url
        self._secret = secret.encode()
        self._patience = patience

    async def deliver(self, event: Event) -> None:
        """Post an event and send the replies in the answer. Raises Reject."""
        body = json.dumps(as_json(event.received), ensure_ascii=False, default=_bytes).encode()
        end, reason = time.monotonic() + self._patience, ""
        for delay in backoff(random.random, first=_FIRST_DELAY, most=_MAX_DELAY):
            try:
                response = await self._client.post(
                    self._url, content=body, headers=self._headers(event.id, body)
                )
            except httpx.TransportError as exc:
                reason = f"{type(exc).__name__}: {exc}"
            else:
                if response.is_success:
                    for text in replies(response.content):
                        await event.reply(text)
                    return
                reason = f"HTTP {response.status_code}"
                if response.is_client_error and response.status_code not in _TRANSIENT:
                    raise Reject(f"{self._url}: {reason}")
            if time.monotonic() + delay > end:
                raise Reject(f"{self._url}: {reason}, for {self._patience:g} s")
            await sleep(delay)

    def _headers(self, ident: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        return {
            "Content-Type": "application/json; charset=utf-8",
            "X-QQBus-Id": ident,
            "X-QQBus-Timestamp": now,
            "X-QQBus-Signature": signature(self._secret, now, body),
        }


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
    except ValueError:
        return []
    reply = value.get("reply") if isinstance(value, dict) else None
    texts = reply if isinstance(reply, list) else [reply]
    return [text for text in texts if isinstance(text, str) and text.strip()][:_MAX_REPLIES]


def _bytes(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m consumers.webhook",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help="where to post")
    parser.add_argument(
        "--name", default="webhook", help="name of the application, for a second webhook (webhook)"
    )
    parser.add_argument("--types", nargs="*", default=["message"], help="types or families (message)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds that one post may take (10)")
    parser.add_argument(
        "--patience", type=float, default=86_400.0, help="seconds after which an event is given up (a day)"
    )
    options = parser.parse_args()
    secret = os.environ.get("QQBUS_WEBHOOK_SECRET", "")
    if not secret:
        print(
            "QQBUS_WEBHOOK_SECRET is not set: without it a receiver cannot verify the posts",
            file=sys.stderr,
        )
        sys.exit(2)
    # A handler that waits for the endpoint must not hold up a stop.
    worker = Worker(options.name, options=WorkerOptions(shutdown_timeout=min(options.timeout, _MAX_SHUTDOWN)))
    webhook = Webhook(httpx.AsyncClient(timeout=options.timeout), options.url, secret, options.patience)
    worker.on(*options.types)(webhook.deliver)
    worker.main()


if __name__ == "__main__":
    main()
