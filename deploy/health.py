"""Whether the adapter or the worker of this environment is healthy: exit code 0 or 1. For a container."""

import http.client
import os
import sys


def address() -> tuple[str, int] | None:
    """Where `/healthz` answers: a worker's own, else the adapter's; None where it is switched off."""
    place = os.environ.get("QQBUS_WORKER_HTTP") or os.environ.get("QQBUS_HTTP") or "127.0.0.1:8710"
    if place == "off":
        return None
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    if not os.environ.get("QQBUS_WORKER_HTTP"):
        port = os.environ.get("PORT") or port
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)  # noqa: S104 – asked, not bound


def main() -> None:
    """Ask once."""
    where = address()
    if where is None:
        sys.exit(0)
    # Not urllib: it would ask the proxy that the environment names.
    connection = http.client.HTTPConnection(*where, timeout=4)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        print(answer.status, answer.read(500).decode("utf-8", "replace").strip())
        sys.exit(answer.status != http.client.OK)
    except OSError as exc:
        sys.exit(f"{where[0]}:{where[1]} does not answer: {exc}")


if __name__ == "__main__":
    main()
