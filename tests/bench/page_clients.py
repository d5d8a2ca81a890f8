"""Open status pages that read what they get and do nothing with it: `python -m tests.bench.page_clients`.

One JSON object a line: `{"do": "open", "port": …, "count": …}`, `{"do": "close"}`. Browsers stand on other
machines: this process must cost this one as little as can be, so it gives way to all others, looks at its
sockets only now and then, and never at what they brought.
"""

import json
import os
import selectors
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

PAUSE = 0.02
OPENING = 20.0


@dataclass
class Tab:
    """One page: has it its picture, and how many bytes came."""

    line: socket.socket
    received: int = 0


class Tabs:
    """All pages of this process."""

    def __init__(self) -> None:
        self._tabs: list[Tab] = []
        self._reader: threading.Thread | None = None
        self._closing = threading.Event()

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """One command."""
        if command["do"] == "open":
            return self._open(command["port"], command["count"])
        return self._close()

    def _open(self, port: int, count: int) -> dict[str, Any]:
        asked = f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self._closing.clear()
        self._tabs = [Tab(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for tab in self._tabs:
            tab.line.sendall(asked)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        until = time.monotonic() + OPENING
        while time.monotonic() < until and not all(tab.received for tab in self._tabs):
            time.sleep(PAUSE)
        return {"open": sum(tab.received > 0 for tab in self._tabs), "received": self._received()}

    def _read(self) -> None:
        buffer = bytearray(1 << 20)
        with selectors.DefaultSelector() as ready:
            for tab in self._tabs:
                ready.register(tab.line, selectors.EVENT_READ, tab)
            while not self._closing.wait(PAUSE):
                for key, _ in ready.select(0):
                    count = key.data.line.recv_into(buffer)
                    key.data.received += count
                    if not count:
                        ready.unregister(key.data.line)

    def _received(self) -> int:
        return sum(tab.received for tab in self._tabs)

    def _close(self) -> dict[str, Any]:
        self._closing.set()
        if self._reader is not None:
            self._reader.join()
        for tab in self._tabs:
            tab.line.close()
        return {"received": self._received()}


def main() -> None:
    """Serve until standard input ends."""
    os.nice(19)
    tabs = Tabs()
    for line in sys.stdin:
        print(json.dumps(tabs.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
