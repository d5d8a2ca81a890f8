"""Define the errors of qqbus. A leaf exists only if a caller handles it.

QQBusError
├── ConfigError            a setting is wrong: name the variable, exit 2
├── SchemaError            a request cannot be read: `rejected`, and its entry goes to qq:dead
├── BusError
│   ├── BusUnavailable     Redis is away, loading, read-only or full: spool, try again
│   │   ├── AccessRefused  wrong credentials or missing rights: exit 3 at the start, later an outage
│   │   └── WrongKeyType   another program uses a key: exit 2 at the start, later an outage
│   ├── UnsupportedServer  this Redis must not be used (eviction policy, too old): exit 3 in words
│   ├── ReplyTooLarge      a reply has more bytes than its reader takes
│   ├── Fenced             a newer holder of the lease exists: stop touching the bus
│   └── SequenceLost       Redis came back without its last events: append them again
└── UpstreamError
    ├── ProtocolError      upstream's bytes make no sense
    ├── TransportError     no answer, or half of one
    └── LoginRefused       upstream refuses this account: only its owner can help
"""

from typing import TypeVar

Failure = TypeVar("Failure", bound=BaseException)


class QQBusError(Exception):
    """Base of all errors that qqbus raises.

    `text` is a format for `values`, so that a command can translate it. In the log it is English.
    """

    def __init__(self, text: str = "", /, **values: object) -> None:
        super().__init__(text.format(**values) if values else text)
        self.text, self.values = text, values


class ConfigError(QQBusError):
    """A setting is wrong; the text names the variable and what it should hold."""


class SchemaError(QQBusError):
    """A request on the bus cannot be read.

    `code` is the result's code: `schema.invalid`, `content.empty`, `content.toolong` or `id.conflict`.
    """

    def __init__(self, detail: str, code: str = "schema.invalid", **values: object) -> None:
        super().__init__(detail, **values)
        self.code = code


class SpoolError(QQBusError):
    """A batch could not be written to disk. Upstream must not be polled until it is."""


class BusError(QQBusError):
    """Redis did not execute a command."""


class BusUnavailable(BusError):  # noqa: N818 – a state of the bus, not a mistake
    """Redis is away, loading, read-only or out of memory: retry."""


class AccessRefused(BusUnavailable):
    """Redis refuses the credentials, or a right is missing.

    At the start that is a wrong setting. Later it passes: users made by ACL SETUSER are gone after a restart
    of the server until they are set again, and secrets are rotated.
    """


class WrongKeyType(BusUnavailable):
    """A key is of another type: another program uses it. It passes when that key is deleted."""


class UnsupportedServer(BusError):  # noqa: N818 – likewise
    """This Redis must not be used; the text says which of its settings to change."""


class ReplyTooLarge(BusError):  # noqa: N818 – likewise
    """A reply of Redis has more bytes than its reader takes. The connection was closed."""


class Fenced(BusError):  # noqa: N818 – likewise
    """A newer holder of the lease exists. The write was refused."""


class SequenceLost(BusError):  # noqa: N818 – likewise
    """Redis has fewer live events of an account than it confirmed. Nothing was appended.

    `live`: how many it has, see `Counts`.
    """

    def __init__(self, live: int) -> None:
        super().__init__(f"Redis came back with {live} live events")
        self.live = live


class UpstreamError(QQBusError):
    """The network did not execute a request."""


class ProtocolError(UpstreamError):
    """Upstream's answer cannot be parsed. The text quotes no secret."""


class TransportError(UpstreamError):
    """No answer, or half of one.

    `may_have_sent`: the request may have reached upstream, so that a send is ambiguous.
    """

    def __init__(self, detail: str, *, may_have_sent: bool) -> None:
        super().__init__(detail)
        self.may_have_sent = may_have_sent


class LoginRefused(UpstreamError):  # noqa: N818 – the field's word
    """Upstream refuses this account; the text is upstream's own."""


def first_error(group: BaseExceptionGroup[Failure]) -> Failure:
    """Return the first error of a group, however deep it lies."""
    found = group.exceptions[0]
    return first_error(found) if isinstance(found, BaseExceptionGroup) else found
