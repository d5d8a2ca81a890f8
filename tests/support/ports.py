"""Find free ports."""

import secrets
import socket

# Below the ports from which systems choose those of connections. A connection of another program would take
# the port of a server that is just restarted, and a client that looks for it could connect to itself.
_FIRST, _LAST = 15_000, 32_000


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now, and that no connection takes by chance."""
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Return whether a program could listen on a port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # A connection that has just ended does not keep a server from its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
