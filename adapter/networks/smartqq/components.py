"""Assemble the components of the upstream around one login."""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from adapter.config import Config
from adapter.networks.smartqq.client.session_client import SessionClient
from adapter.networks.smartqq.client.transport import HttpTransport
from adapter.networks.smartqq.contacts.loader import ContactLoader
from adapter.networks.smartqq.limits import Limits
from adapter.networks.smartqq.login.flow import LoginContext
from adapter.networks.smartqq.login.runner import LoginRunner
from adapter.networks.smartqq.messages.echo import EchoDetector
from adapter.networks.smartqq.messages.media import MediaClient
from adapter.networks.smartqq.messages.poller import Poller
from adapter.networks.smartqq.messages.receiver import MessageReceiver
from adapter.networks.smartqq.messages.sender import MessageSender
from adapter.networks.smartqq.session.credentials import Credentials
from adapter.networks.smartqq.session.store import SessionStore
from adapter.networks.smartqq.session_requests import SessionRequests
from adapter.networks.smartqq.shutdown import ShutdownScope


@dataclass(frozen=True, slots=True)
class Components:
    """Hold what the session manager and the upstream use."""

    credentials: Credentials
    store: SessionStore
    transport: HttpTransport
    session: SessionClient
    login: LoginRunner
    contacts: ContactLoader
    poller: Poller
    receiver: MessageReceiver
    echo_detector: EchoDetector
    sender: MessageSender
    media: MediaClient
    requests: SessionRequests
    shutdown: ShutdownScope
    limits: Limits
    clock: Callable[[], float]


def assemble(
    config: Config, limits: Limits, clock: Callable[[], float], credentials: Credentials
) -> Components:
    """Build all components around these credentials. Opens nothing."""
    transport = HttpTransport(credentials.jar, limits, clock, config.smartqq_url)
    store = SessionStore(config.state_dir)
    requests, shutdown = SessionRequests(), ShutdownScope()
    contacts = ContactLoader(transport.request, credentials, limits, clock)
    echo_detector = EchoDetector(limits.echo_lifetime)
    context = LoginContext(
        credentials,
        limits,
        clock,
        random.random,
        secrets.token_bytes,
        by_password=config.login == "password",
        account=config.account,
        password=config.password,
    )
    return Components(
        credentials=credentials,
        store=store,
        transport=transport,
        session=SessionClient(transport.request, credentials, store, limits, clock),
        login=LoginRunner(context, transport, requests),
        contacts=contacts,
        poller=Poller(transport, credentials, store, limits, clock),
        receiver=MessageReceiver(
            contacts, echo_detector, credentials, clock=clock, keep_raw=config.include_raw
        ),
        echo_detector=echo_detector,
        sender=MessageSender(transport.request, credentials, echo_detector, shutdown, limits, clock),
        media=MediaClient(transport.request, credentials, contacts, limits, clock, config.smartqq_url),
        requests=requests,
        shutdown=shutdown,
        limits=limits,
        clock=clock,
    )
