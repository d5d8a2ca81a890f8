"""The parts of this door, gathered around one login."""

from collections.abc import Callable
from dataclasses import dataclass

from adapter.networks.smartqq.client.transport import HttpTransport
from adapter.networks.smartqq.contacts.loader import ContactLoader
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.login.runner import LoginRunner
from adapter.networks.smartqq.messages.echo import EchoDetector
from adapter.networks.smartqq.messages.receiver import MessageReceiver
from adapter.networks.smartqq.messages.sender import MessageSender
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session.store import SessionStore
from adapter.networks.smartqq.session_requests import SessionRequests
from adapter.networks.smartqq.shutdown import ShutdownScope


@dataclass(frozen=True, slots=True)
class Components:
    """What the driver drives."""

    tokens: Credentials
    client: HttpTransport
    roster: ContactLoader
    hearing: MessageReceiver
    echoes: EchoDetector
    post: MessageSender
    usher: LoginRunner
    wishes: SessionRequests
    patience: ShutdownScope
    file: SessionStore
    limits: Limits
    clock: Callable[[], float]
