"""Reply to every message with the same message: the smallest worker."""

import argparse
from inspect import cleandoc

from adapter import Face, Segment, Text, render
from adapter.i18n import _, terminal_texts
from qqbus import Event, Worker

worker = Worker("echo")


@worker.on("message")
async def echo(event: Event) -> None:
    """Reply with the same segments; what cannot be sent becomes text."""
    segments = tuple(_sendable(segment) for segment in event.segments)
    if render(segments).strip():
        await event.reply(segments)


def _sendable(segment: Segment) -> Segment:
    return segment if isinstance(segment, Text | Face) else Text(render((segment,)))


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    with terminal_texts():
        parser = argparse.ArgumentParser(
            prog="python -m consumers.echo",
            description=_(cleandoc(__doc__)),
        )
        parser.add_argument(
            "--name", default="echo", help=_("name of the application and its consumer group (echo)")
        )
        worker.name = parser.parse_args().name
    worker.main()


if __name__ == "__main__":
    main()
