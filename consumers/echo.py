"""Echo: says every message back where it was said. The smallest consumer there is."""

import argparse

from adapter import Face, Segment, Text, render
from consumers.runtime.worker import Event, Worker

worker = Worker("echo")


@worker.on("message")
async def echo(event: Event) -> None:
    """The same pieces again, so that faces stay faces; what cannot be sent is said in words."""
    pieces = tuple(_sendable(segment) for segment in event.segments)
    if render(pieces).strip():
        await event.reply(pieces)


def _sendable(segment: Segment) -> Segment:
    return segment if isinstance(segment, Text | Face) else Text(render((segment,)))


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m consumers.echo", description=__doc__)
    parser.add_argument("--name", default="echo", help="the application, that is its consumer group (echo)")
    worker.name = parser.parse_args().name
    worker.main()


if __name__ == "__main__":
    main()
