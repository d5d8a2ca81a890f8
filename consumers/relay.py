"""Bridge two chats: each message goes to the other one, after the speaker's name.

python -m consumers.relay group:1 group:2
"""

import argparse
import hashlib
import time
from collections import deque
from inspect import cleandoc
from typing import Final

from adapter import Face, SchemaError, Segment, Text, parse_address, render
from adapter.i18n import _, terminal_texts, translate_error
from consumers.runtime.requests import request_id
from qqbus import Event, Worker

# Relayed texts that are recognised in each chat, and for how many seconds: an echo comes within those.
_MAX_RELAYED: Final = 200
_RELAYED_SECONDS: Final = 600.0


class Relay:
    """Relays messages between two chats, but never its own.

    Its own are those with `self`, those whose sender is the account, and, where QQ returns them without
    either, those with a text that was relayed. `cause` is the event that was relayed.
    """

    def __init__(self, worker: Worker, one: str, other: str, ignored: frozenset[str]) -> None:
        self._worker = worker
        self._across = {one: other, other: one}
        self._ignored = ignored
        self._relayed: dict[str, deque[tuple[float, str]]] = {
            chat: deque(maxlen=_MAX_RELAYED) for chat in self._across
        }

    async def relay(self, event: Event) -> None:
        """Send a message to the other chat."""
        received = event.received
        own_ids = {received.sender, received.sender_qq} & {received.account, *self._ignored}
        if received.own or own_ids or self._is_echo(event.chat, event.text):
            return
        to = self._across[event.chat]
        segments = (Text(f"{received.sender_name or received.sender}: "), *map(_sendable, event.segments))
        self._relayed[to].append((time.monotonic(), _fingerprint(render(segments))))
        await self._worker.send(to, segments, id=request_id(self._worker.name, event.id), cause=event.id)

    def _is_echo(self, chat: str, text: str) -> bool:
        since, wanted = time.monotonic() - _RELAYED_SECONDS, _fingerprint(text)
        return any(when > since and each == wanted for when, each in self._relayed[chat])


def _sendable(segment: Segment) -> Segment:
    return segment if isinstance(segment, Text | Face) else Text(render((segment,)))


def _fingerprint(text: str) -> str:
    # QQ may return other blanks than it was given.
    return hashlib.sha256("".join(text.split()).encode()).hexdigest()


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with terminal_texts():
        options = _parse_arguments()
    # Messages from before the bridge are not relayed.
    worker = Worker(options.name, start="$")
    relay = Relay(worker, options.one, options.other, frozenset(options.ignore))
    worker.on("message", chat=(options.one, options.other))(relay.relay)
    worker.main()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m consumers.relay",
        description=_(cleandoc(__doc__)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("one", help=_("address of a chat, e.g. group:1"))
    parser.add_argument("other", help=_("address of the other chat"))
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="ID", help=_("ignore this speaker (a bot)")
    )
    parser.add_argument(
        "--name", default="relay", help=_("name of the application, for a second bridge (relay)")
    )
    options = parser.parse_args()
    try:
        options.one, options.other = str(parse_address(options.one)), str(parse_address(options.other))
    except SchemaError as exc:
        parser.error(translate_error(exc))
    if options.one == options.other:
        parser.error(_("both addresses are the same"))
    return options


if __name__ == "__main__":
    main()
