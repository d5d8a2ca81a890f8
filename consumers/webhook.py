"""Webhook: posts every event as JSON to a URL, signed; a JSON answer `{"reply": "text"}` is sent to the chat.

Headers: `X-QQBus-Id` (the event's id: the same again when it is posted again), `X-QQBus-Timestamp`,
`X-QQBus-Signature`: `sha256=` and the HMAC of timestamp, a dot and the body, keyed with the secret from
QQBUS_WEBHOOK_SECRET. While the endpoint is down events wait, each chat in order.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from asyncio import sleep
from typing import Any, Final

import httpx

from adapter import Received, timestamp
from consumers.runtime.connection import backoff
from consumers.runtime.event import Event, Reject
from consumers.runtime.worker import Worker, WorkerOptions

_MAX_ANSWER: Final = 64 * 1024
_MAX_REPLIES: Final = 10
# These may be different next time; any other 4xx says that this very event is not wanted.
_PASSING: Final = {408, 409, 425, 429}
_LONGEST_WAIT: Final = 30.0


class Webhook:
    """Posts events, each until it is taken or `patience` seconds are over."""

    def __init__(self, client: httpx.AsyncClient, url: str, secret: str, patience: float) -> None:
        self._client = client
        self._url = url
        self._secret = secret.encode()
        self._patience = patience

    async def deliver(self, event: Event) -> None:
        """Post one event and send what the answer says. Raises Refused."""
        body = json.dumps(as_json(event.received), ensure_ascii=False, default=_bytes).encode()
        end, reason = time.monotonic() + self._patience, ""
        for delay in backoff(first=0.2, most=_LONGEST_WAIT):
            try:
                answer = await self._client.post(
                    self._url, content=body, headers=self._headers(event.id, body)
                )
            except httpx.TransportError as exc:
                reason = f"{type(exc).__name__}: {exc}"
            else:
                if answer.is_success:
                    for text in replies(answer.content):
                        await event.reply(text)
                    return
                reason = f"HTTP {answer.status_code}"
                if answer.is_client_error and answer.status_code not in _PASSING:
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
    """What a receiver computes, too, to know that the post is ours and recent."""
    return "sha256=" + hmac.new(secret, moment.encode() + b"." + body, hashlib.sha256).hexdigest()


def as_json(event: Received) -> dict[str, Any]:
    """The contract's fields under their names; `self` as a truth value, `body` unpacked."""
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
    """The texts to send: `reply` is one or a list of them; anything else is no reply."""
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
    parser.add_argument("--name", default="webhook", help="the application, for a second hook (webhook)")
    parser.add_argument("--types", nargs="*", default=["message"], help="types or families (message)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for one post (10)")
    parser.add_argument("--patience", type=float, default=86_400.0, help="seconds to try one event (a day)")
    options = parser.parse_args()
    secret = os.environ.get("QQBUS_WEBHOOK_SECRET", "")
    if not secret:
        print(
            "QQBUS_WEBHOOK_SECRET is not set: the receiver could not tell our posts from others'",
            file=sys.stderr,
        )
        sys.exit(2)
    # A handler that waits for the endpoint would hold up a stop.
    worker = Worker(options.name, plan=WorkerOptions(shutdown_timeout=min(options.timeout, 10.0)))
    hook = Webhook(httpx.AsyncClient(timeout=options.timeout), options.url, secret, options.patience)
    worker.on(*options.types)(hook.deliver)
    worker.main()


if __name__ == "__main__":
    main()
