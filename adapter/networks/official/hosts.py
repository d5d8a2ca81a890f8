"""Where the API is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hosts:
    """Two origins, and the whole address of the token endpoint."""

    api: str
    token: str
    portal: str
