"""A webhook that an alarm is posted to: a server of its own."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook:
    """A webhook that refuses its first requests."""

    def __init__(self, refuse: int) -> None:
        self.refuse = refuse
        self.bodies: list[dict[str, str]] = []
        self.url = ""


@contextmanager
def webhook(refuse: int = 0) -> Iterator[Hook]:
    hook = Hook(refuse)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.refuse -= 1
            if hook.refuse < 0:
                hook.bodies.append(body)
            self.send_response(204 if hook.refuse < 0 else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.url = f"http://127.0.0.1:{server.server_port}/secret"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join(10)
