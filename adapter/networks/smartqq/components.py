"""The parts of this door, gathered around one login."""

from collections.abc import Callable
from dataclasses import dataclass

from adapter.networks.smartqq.client.transport import Client
from adapter.networks.smartqq.contacts.loader import Roster
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.login.runner import Usher
from adapter.networks.smartqq.messages.echo import Echoes
from adapter.networks.smartqq.messages.receiver import Hearing
from adapter.networks.smartqq.messages.sender import Post
from adapter.networks.smartqq.session.credentials import Tokens
from adapter.networks.smartqq.session.store import SessionFile
from adapter.networks.smartqq.session_requests import Wishes
from adapter.networks.smartqq.shutdown import Patience


@dataclass(frozen=True, slots=True)
class Works:
    """What the driver drives."""

    tokens: Tokens
    client: Client
    roster: Roster
    hearing: Hearing
    echoes: Echoes
    post: Post
    usher: Usher
    wishes: Wishes
    patience: Patience
    file: SessionFile
    limits: Limits
    clock: Callable[[], float]
