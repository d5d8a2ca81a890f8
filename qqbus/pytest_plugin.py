"""The pytest plugin of qqbus: a worker under test on a real server, with a simulated QQ where wanted.

    def test_hello(qqbus_worker):
        bot = qqbus_worker(worker)
        assert [request.content for request in bot.say("hello", name="林")] == ["hello 林"]

`qqbus_worker(worker, simulator=True)` puts the adapter and the simulator of SmartQQ in between: what is said
is said on the simulated network, and what comes back has been sent there. That takes the extra `sim`.
"""

import asyncio
import itertools
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from consumers.runtime.requests import Content, Request
    from consumers.runtime.worker import Worker

# Seconds for a server, an adapter or a worker to start, and for a worker to handle an event.
START_SECONDS: Final = 30.0
HANDLE_SECONDS: Final = 15.0
# Seconds between two looks.
_POLL_SECONDS: Final = 0.02
_numbers = itertools.count(1)


class LiveWorker:
    """A worker that runs in a thread on a server of its own. `say` lets it hear a message."""

    def __init__(self, worker: "Worker", url: str, prefix: str) -> None:
        import redis  # noqa: PLC0415 – a test run without this fixture needs none

        self._worker = worker
        self._url = url
        self.prefix = prefix
        self.client = redis.Redis.from_url(url)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen = "-"

    def start(self) -> None:
        """Start the worker and wait until it reads."""
        self._thread.start()
        self._wait(lambda: self._worker.is_ready, START_SECONDS, "the worker reads")

    def stop(self) -> None:
        """Stop the worker. Raises its error, if it has ended with one."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._worker.stop)
        self._thread.join(START_SECONDS)
        for key in self.client.scan_iter(match=f"{self.prefix}:*"):
            self.client.unlink(key)
        self.client.close()
        if self._error is not None:
            raise self._error

    def say(
        self, content: "Content" = "hello", *, seconds: float = HANDLE_SECONDS, **options: Any
    ) -> "list[Request]":
        """Publish a message, wait until the worker has handled it or asks back; return its requests.

        The options are those of `Event.example`: chat, sender, name, type, own, data. Raises AssertionError
        if the event became a dead letter, with the reason.
        """
        from adapter import example_fields  # noqa: PLC0415 – see above

        defaults: dict[str, Any] = {
            "chat": "friend:10001",
            "sender": "",
            "name": "小林",
            "own": False,
            "data": {},
        }
        kind = options.pop("type", "")
        fields: Any = example_fields(
            content, kind=kind, number=next(_numbers), now=time.time(), **(defaults | options)
        )
        entry: Any = self.client.xadd(f"{self.prefix}:inbound", fields)
        self._wait(self._is_handled, seconds, "the worker has handled the event")
        self._check_dead(entry)
        return self._new_requests()

    def _run(self) -> None:
        from consumers.runtime.connection import Settings  # noqa: PLC0415 – see above

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            await self._worker.run(Settings(self._url, self.prefix))

        try:
            asyncio.run(run())
        except BaseException as exc:  # noqa: BLE001 – `stop` raises it in the thread of the test
            self._error = exc

    def _is_handled(self) -> bool:
        stream = f"{self.prefix}:inbound"
        groups: Any = self.client.xinfo_groups(stream)
        info: Any = self.client.xinfo_stream(stream)
        group = next(row for row in groups if row["name"] == self._worker.name.encode())
        if group["last-delivered-id"] != info["last-generated-id"]:
            return False
        # A handler that waits for an answer keeps its event.
        waiting: Any = self.client.hlen(f"{self.prefix}:worker:{self._worker.name}:asks")
        return bool(group["pending"] <= waiting)

    def _check_dead(self, entry: bytes) -> None:
        letters: Any = self.client.xrange(f"{self.prefix}:dead")
        for _, letter in letters:
            if letter[b"entry"] == entry:
                reason, detail = (letter[name].decode() for name in (b"reason", b"detail"))
                raise AssertionError(f"the event went to {self.prefix}:dead: {reason}: {detail}")

    def _new_requests(self) -> "list[Request]":
        rows: Any = self.client.xrange(f"{self.prefix}:outbound", self._seen)
        if rows:
            self._seen = f"({rows[-1][0].decode()}"
        return [_request(entry.decode(), fields) for entry, fields in rows]

    def _wait(self, is_done: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not is_done():
            if self._error is not None:
                raise self._error
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds:g} s still not: {what}")
            time.sleep(_POLL_SECONDS)


class SimulatedWorker(LiveWorker):
    """A worker behind the adapter and the simulator of SmartQQ."""

    def __init__(self, worker: "Worker", url: str, prefix: str, folder: Path, processes: ExitStack) -> None:
        super().__init__(worker, url, prefix)
        self._folder = folder
        self._processes = processes
        self._port = _free_port()
        self._number = 0

    def start(self) -> None:
        """Start the simulator, the adapter and the worker."""
        sim = ("sim", "smartqq", "--port", str(self._port), "--auto-scan", "--set", "poll_seconds=1")
        self._start_process(*sim)
        self._wait(self._simulator_answers, START_SECONDS, "the simulator answers")
        self._start_process("run")
        super().start()
        self._wait(self._is_online, START_SECONDS, "the adapter is online")

    def say(
        self, content: "Content" = "hello", *, seconds: float = HANDLE_SECONDS, **options: Any
    ) -> "list[Request]":
        """Let a person of the simulator write, and return what the worker's answer became there.

        Waits for the first message; the options are `chat` and `sender` in numbers of the simulator.
        """
        from consumers.runtime.requests import Request  # noqa: PLC0415 – see above

        self._call("say", json={"chat": "friend:10001", "text": content, **options})
        path = f"received?after={self._number}&wait={seconds:g}"
        rows = self._call(path, timeout=seconds + HANDLE_SECONDS)
        self._number += len(rows)
        return [Request(row["chat"], row["text"], f"sim/{row.get('number', 0)}") for row in rows]

    def _call(self, path: str, **options: Any) -> Any:
        import httpx  # noqa: PLC0415 – see above

        call = httpx.post if "json" in options else httpx.get
        reply = call(f"http://127.0.0.1:{self._port}/sim/{path}", trust_env=False, **options)
        reply.raise_for_status()
        value = reply.json()
        return value.get("received", []) if isinstance(value, dict) and "received" in path else value

    def _simulator_answers(self) -> bool:
        import httpx  # noqa: PLC0415 – see above

        try:
            self._call("state")
        except httpx.TransportError:
            return False
        return True

    def _is_online(self) -> bool:
        return self.client.hget(f"{self.prefix}:status", "state") == b"online"

    def _start_process(self, *line: str) -> None:
        environment = os.environ | {
            "REDIS_URL": self._url,
            "QQBUS_PREFIX": self.prefix,
            "QQBUS_STATE_DIR": str(self._folder / "state"),
            "QQBUS_SMARTQQ_URL": f"http://127.0.0.1:{self._port}",
            "QQBUS_SEND_INTERVAL": "0",
            "QQBUS_HTTP": "off",
        }
        log = self._processes.enter_context((self._folder / f"{line[0]}.log").open("wb"))
        process = subprocess.Popen(  # noqa: S603 – our own programs
            [sys.executable, "-m", "adapter", *line], env=environment, stdout=log, stderr=log
        )
        self._processes.callback(_end, process)


@pytest.fixture(scope="session")
def qqbus_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an embedded server for the tests; yields its REDIS_URL."""
    import anyio.from_thread  # noqa: PLC0415 – see above

    from adapter.bus.embedded import run_server  # noqa: PLC0415 – see above

    folder = tmp_path_factory.mktemp("qqbus-redis")
    with anyio.from_thread.start_blocking_portal() as portal:
        server = run_server(folder, _free_port(), options=("--appendfsync", "no"))
        with portal.wrap_async_context_manager(server) as url:
            yield url


@pytest.fixture
def qqbus_worker(qqbus_redis: str, tmp_path: Path) -> "Iterator[Callable[..., LiveWorker]]":
    """Return a function that runs a worker for this test: `qqbus_worker(worker, simulator=False)`."""
    with ExitStack() as stack:

        def start(worker: "Worker", *, simulator: bool = False) -> LiveWorker:
            prefix = f"test-{secrets.token_hex(6)}"
            live = (
                SimulatedWorker(worker, qqbus_redis, prefix, tmp_path, stack)
                if simulator
                else LiveWorker(worker, qqbus_redis, prefix)
            )
            stack.callback(live.stop)
            live.start()
            return live

        yield start


def _request(entry: str, fields: dict[bytes, bytes]) -> "Request":
    from adapter import decode_request, render  # noqa: PLC0415 – see above
    from consumers.runtime.requests import LARGEST_LIMITS, Request  # noqa: PLC0415 – see above

    prefix = fields.get(b"results", b"qq:results:x").decode().partition(":")[0]
    request = decode_request(entry, fields, prefix, LARGEST_LIMITS)
    content = render(request.segments) if b"text" in fields else request.segments
    to, op = "" if request.to is None else str(request.to), fields.get(b"op", b"").decode()
    texts = {
        name: fields.get(name.encode(), b"").decode() for name in ("expires", "at", "event", "message_id")
    }
    return Request(
        *(
            to,
            content,
            request.id,
            request.cause,
            texts["expires"] or None,
            request.delivery,
            request.priority,
        ),
        op=op,
        event=texts["event"],
        message_id=texts["message_id"],
        at=texts["at"] or None,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
