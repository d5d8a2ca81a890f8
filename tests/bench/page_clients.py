"""Open status pages that read what they get and do nothing with it: `python -m tests.bench.page_clients`.

One JSON object a line: `{"do": "open", "port": …, "count": …}`, `{"do": "close"}`. Browsers run on other
machines: this process gives way to all others and looks at its sockets only now and then.
"""

import json
import os
import selectors
import socket
import sys
import threading
import time
from typing import Any

from tests.support.helpers import BEARER

# Seconds between two looks, and until all pages must have begun.
PAUSE = 0.02
OPENING = 20.0


class Pages:
    """All pages of this process, with the bytes that each got."""

    def __init__(self) -> None:
        self._received: dict[socket.socket, int] = {}
        self._reader: threading.Thread | None = None
        self._closing = threading.Event()

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        if command["do"] == "open":
            return self._open(command["port"], command["count"])
        return self._close()

    def _open(self, port: int, count: int) -> dict[str, Any]:
        request = f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        request += "".join(f"{name}: {value}\r\n" for name, value in BEARER.items()) + "\r\n"
        self._closing.clear()
        self._received = {socket.create_connection(("127.0.0.1", port)): 0 for _ in range(count)}
        for connection in self._received:
            connection.sendall(request.encode())
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        until = time.monotonic() + OPENING
        while time.monotonic() < until and not all(self._received.values()):
            time.sleep(PAUSE)
        return {"open": sum(map(bool, self._received.values())), "received": sum(self._received.values())}

    def _read(self) -> None:
        buffer = bytearray(1 << 20)
        with selectors.DefaultSelector() as ready:
            for connection in self._received:
                ready.register(connection, selectors.EVENT_READ, connection)
            while not self._closing.wait(PAUSE):
                for key, _ in ready.select(0):
                    count = key.data.recv_into(buffer)
                    self._received[key.data] += count
                    if not count:
                        ready.unregister(key.data)

    def _close(self) -> dict[str, Any]:
        self._closing.set()
        if self._reader is not None:
            self._reader.join()
        for connection in self._received:
            connection.close()
        return {"received": sum(self._received.values())}


def main() -> None:
    """Serve until standard input ends."""
    os.nice(19)
    pages = Pages()
    for line in sys.stdin:
        print(json.dumps(pages.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
