"""Ask `/healthz` of the adapter or worker in this container: exit code 0 if healthy, else 1."""

import http.client
import os
import sys


def address() -> tuple[str, int] | None:
    """Return the address of `/healthz`: the worker's, else the adapter's; None if it is off."""
    bind = os.environ.get("QQBUS_WORKER_HTTP") or os.environ.get("QQBUS_HTTP") or "127.0.0.1:8710"
    if bind == "off":
        return None
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    if not os.environ.get("QQBUS_WORKER_HTTP"):
        port = os.environ.get("PORT") or port
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)  # noqa: S104 – asked, not bound


def main() -> None:
    """Ask once, and end with the exit code."""
    host_and_port = address()
    if host_and_port is None:
        sys.exit(0)
    # Not urllib: it uses the proxy that the environment names.
    connection = http.client.HTTPConnection(*host_and_port, timeout=4)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        print(response.status, response.read(500).decode("utf-8", "replace").strip())
        sys.exit(response.status != http.client.OK)
    except OSError as exc:
        sys.exit(f"{host_and_port[0]}:{host_and_port[1]} does not answer: {exc}")


if __name__ == "__main__":
    main()
