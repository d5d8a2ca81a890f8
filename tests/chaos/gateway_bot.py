"""A bot that notes what its socket sees: `python -m tests.chaos.gateway_bot NAME JOURNAL ws://HOST:PORT/|PORT`.

It dials a gateway, or is dialled at a port. An event is on disk before its pong leaves: what the journal
lacks was not confirmed. Most messages are answered by an action with a text of its own. SIGUSR1 resets all
sockets.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

# The share of messages that are answered.
TALKATIVE = 0.6
# Seconds until it dials again.
AGAIN = 0.1
MAX_FRAME = 16 * 1024 * 1024

Protocol = ClientProtocol | ServerProtocol


class Journal:
    """A line for each thing that a socket saw; each is written before the next step."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, connection: str, kind: str, **more: object) -> None:
        """Write a line."""
        os.write(self._file, json.dumps({"on": connection, "kind": kind, **more}).encode() + b"\n")


class Bot:
    """All sockets of one process."""

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = f"{name}-{os.getpid()}"
        self._journal = journal
        self._sockets = itertools.count(1)
        self._texts = itertools.count(1)
        self._writers: set[asyncio.StreamWriter] = set()

    def reset(self) -> None:
        """Cut all sockets."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: Protocol
    ) -> None:
        """Serve one socket until it closes."""
        connection = f"{self._name}.{next(self._sockets)}"
        self._writers.add(writer)
        try:
            self._flush(protocol, writer)
            while data := await reader.read(65_536):
                protocol.receive_data(data)
                for event in protocol.events_received():
                    if isinstance(event, Request) and isinstance(protocol, ServerProtocol):
                        protocol.send_response(protocol.accept(event))
                    elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                        self._hear(connection, protocol, json.loads(event.data))
                # Answers, and the pongs of what the journal holds by now.
                self._flush(protocol, writer)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._journal.note(connection, "closed")
            self._writers.discard(writer)
            writer.close()

    def _flush(self, protocol: Protocol, writer: asyncio.StreamWriter) -> None:
        writer.writelines(data for data in protocol.data_to_send() if data)

    def _hear(self, connection: str, protocol: Protocol, frame: dict[str, Any]) -> None:
        if "retcode" in frame:
            self._journal.note(connection, "answer", text=frame["echo"], status=frame["status"])
            return
        if frame.get("post_type") != "message":
            return
        place = {"group_id": frame["group_id"]} if "group_id" in frame else {"user_id": frame["user_id"]}
        if frame["sub_type"] == "group":
            place["group_id"] = frame["sender"]["group_id"]
        self._journal.note(
            connection,
            "event",
            number=frame["message_id"],
            text=frame["raw_message"],
            again=frame.get("redelivered", False),
        )
        if random.random() < TALKATIVE:
            text = f"{self._name}/{next(self._texts)}"
            self._journal.note(connection, "asked", text=text)
            action = "send_group_msg" if frame["message_type"] == "group" else "send_private_msg"
            said = {"action": action, "params": {**place, "message": text}, "echo": text}
            protocol.send_text(json.dumps(said).encode())


async def dial(bot: Bot, url: str) -> None:
    """Connect, again and again."""
    parts = urlsplit(url)
    while True:
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            await asyncio.sleep(AGAIN)
            continue
        protocol = ClientProtocol(parse_uri(url), max_size=MAX_FRAME)
        protocol.send_request(protocol.connect())
        await bot.serve(reader, writer, protocol)
        await asyncio.sleep(AGAIN)


async def main(name: str, journal: str, place: str) -> None:
    """Run until killed."""
    bot = Bot(name, Journal(Path(journal)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, bot.reset)
    if not place.isdecimal():
        await dial(bot, place)
        return

    def protocol() -> ServerProtocol:
        return ServerProtocol(max_size=MAX_FRAME)

    serve: Callable[..., Any] = lambda reader, writer: bot.serve(reader, writer, protocol())  # noqa: E731
    server = await asyncio.start_server(serve, "127.0.0.1", int(place))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
