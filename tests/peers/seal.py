"""Keep a process on loopback. `environment` installs this file into each environment of peers.

An audit hook sees each lookup and each connection that Python's `socket` makes; a foreign address
raises PermissionError and is written to the file that QQBUS_SEAL_LOG names. Event loops in C that
connect by themselves (uvloop) are not seen: keep them out of the constraints.
"""

import ipaddress
import os
import sys
from typing import Any

_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


def is_local(host: object) -> bool:
    """Return whether a host is this machine: loopback, every own address, or no host at all."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in {None, "", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def check(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a foreign address."""
    if event in _LOOKUPS:
        host = arguments[0]
    elif event in _CONNECTIONS and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if not is_local(host):
        if log := os.environ.get("QQBUS_SEAL_LOG"):
            with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123 – pathlib may not be imported yet
                file.write(f"{event} {host!r}\n")
        raise PermissionError(f"peers speak to loopback alone, not to {host!r}")


if __name__ != "tests.peers.seal":
    sys.addaudithook(check)
