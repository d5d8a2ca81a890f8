"""Write workers for the qqbus message bus: `from qqbus import Event, Worker`."""

from adapter import Delivery, Face, Image, Priority, Received, Result, Segment, Status, Text
from consumers.runtime.connection import Settings
from consumers.runtime.event import Content, Event, Reject, Request
from consumers.runtime.runtime import WorkerOptions
from consumers.runtime.worker import Worker

# fmt: off
__all__ = [
    "Content", "Delivery", "Event", "Face", "Image", "Priority", "Received", "Reject", "Request",
    "Result", "Segment", "Settings", "Status", "Text", "Worker", "WorkerOptions",
]
