"""Relay: bridges two chats. What is said in one is said in the other, with the speaker's name before it.

python -m consumers.relay group:1 group:2
"""

import argparse
import hashlib
import time
from collections import deque
from typing import Final

from adapter import Face, SchemaError, Segment, Text, parse_address, render
from consumers.runtime.event import Event, request_id
from consumers.runtime.worker import Worker

# So many of our own lines for each chat are recognised, for so many seconds.
_REMEMBERED: Final = 200
_SECONDS: Final = 600.0


class Relay:
    """Carries messages between two chats, and never what it has carried itself.

    Three marks tell own words: `self`; a sender that is the account; and, should upstream give them
    back without either, the words themselves. `cause` names the event that was carried.
    """

    def __init__(self, worker: Worker, one: str, other: str, ignored: frozenset[str]) -> None:
        self._worker = worker
        self._across = {one: other, other: one}
        self._ignored = ignored
        self._said: dict[str, deque[tuple[float, str]]] = {
            chat: deque(maxlen=_REMEMBERED) for chat in self._across
        }

    async def carry(self, event: Event) -> None:
        """One message to the other side."""
        received = event.received
        ours = {received.sender, received.sender_qq} & {received.account, *self._ignored}
        if received.own or ours or self._is_echo(event.chat, event.text):
            return
        to = self._across[event.chat]
        pieces = (Text(f"{received.sender_name or received.sender}: "), *map(_sendable, event.segments))
        self._said[to].append((time.monotonic(), _print_of(render(pieces))))
        await self._worker.send(to, pieces, id=request_id(self._worker.name, event.id), cause=event.id)

    def _is_echo(self, chat: str, text: str) -> bool:
        since, wanted = time.monotonic() - _SECONDS, _print_of(text)
        return any(when > since and each == wanted for when, each in self._said[chat])


def _sendable(segment: Segment) -> Segment:
    return segment if isinstance(segment, Text | Face) else Text(render((segment,)))


def _print_of(text: str) -> str:
    # Upstream may come back with other blanks than it was given.
    return hashlib.sha256("".join(text.split()).encode()).hexdigest()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m consumers.relay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("one", help="a chat, e.g. group:1")
    parser.add_argument("other", help="the other chat")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="ID", help="not this speaker (a bot)"
    )
    parser.add_argument("--name", default="relay", help="the application, for a second bridge (relay)")
    options = parser.parse_args()
    try:
        one, other = str(parse_address(options.one)), str(parse_address(options.other))
    except SchemaError as exc:
        parser.error(str(exc))
    if one == other:
        parser.error("the two chats are one")
    # What was said before the bridge stood stays where it was.
    worker = Worker(options.name, start="$")
    worker.on("message", chat=(one, other))(Relay(worker, one, other, frozenset(options.ignore)).carry)
    worker.main()


if __name__ == "__main__":
    main()
