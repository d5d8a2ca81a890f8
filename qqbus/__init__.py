"""Write workers for the qqbus message bus: `from qqbus import Event, Worker`.

    from qqbus import Event, Worker

    worker = Worker("hello")

    @worker.on("message", text="^hello")
    async def hello(event: Event) -> None:
        await event.reply("hello yourself")

    worker.main()

`help(Worker)` and `help(Event)` list what they do. Handlers raise Reject to move an event to the dead
letters. Content is a text, or a list of Text, Face, At, Reply, Image, Record, Video, File, Forward, Json and
Markdown. `await worker.say("hello")` tries the handlers without a bus; the pytest fixture `qqbus_worker`
runs the worker on a real server. `qqbus new NAME` writes a project, `qqbus worker bot.py --reload` runs it.
"""

# isort: off
from qqbus import _packages  # noqa: F401 – first: it finds the packages of the other imports
# isort: on

from adapter import (
    At,
    Delivery,
    Face,
    File,
    Forward,
    Image,
    Json,
    Markdown,
    Priority,
    Received,
    Record,
    Reply,
    Result,
    Segment,
    Status,
    Text,
    Unknown,
    Video,
)
from consumers.runtime.connection import Settings
from consumers.runtime.conversations import NoAnswerError
from consumers.runtime.event import Event, Reject
from consumers.runtime.requests import Content, ContentError, Request
from consumers.runtime.runtime import WorkerOptions
from consumers.runtime.timers import Tick
from consumers.runtime.worker import CallError, Worker

# fmt: off
__all__ = [
    "At", "CallError", "Content", "ContentError", "Delivery", "Event", "Face", "File", "Forward", "Image",
    "Json", "Markdown", "NoAnswerError", "Priority", "Received", "Record", "Reject", "Reply", "Request",
    "Result", "Segment", "Settings", "Status", "Text", "Tick", "Unknown", "Video", "Worker", "WorkerOptions",
]
