"""What worker tests share: entries of `qq:inbound` made by the adapter's own code, and what came of them."""

import asyncio
import contextlib
import itertools
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio as redis

from adapter.codec.address import parse_address
from adapter.codec.inbound import EventRecord, RecordContext, encode_message, encode_notice
from adapter.codec.reader import Result, read_result
from adapter.content import Segment, Text
from adapter.events import ContactRef, Identity, Message, Notice, Participants
from consumers.runtime.holding_worker import HoldingWorker
from consumers.runtime.worker import Worker
from tests.support.helpers import clean_environment, wait_until

_numbers = itertools.count(1)


def message(
    text: str | tuple[Segment, ...] = "hello",
    chat: str = "group:2",
    sender: str = "3",
    *,
    own: bool = False,
    identity: Identity = Identity.EXACT,
) -> EventRecord:
    """Make a message that was never sent before."""
    address = parse_address(chat)
    number = str(next(_numbers))
    pieces = (Text(text),) if isinstance(text, str) else text
    said = Message(address, sender, 1_445_653_507.0, pieces, number, from_self=own)
    chat_contact = ContactRef(address.id, "the chat", identity)
    place = Participants(address, chat_contact, ContactRef(sender, "the sender"))
    return encode_message(said, place, RecordContext("10001", 1, 1_445_653_507.0), raw=False)


def notice(kind: str = "shake", chat: str = "friend:3") -> EventRecord:
    """Something that is not a message."""
    address = parse_address(chat)
    told = Notice(kind, "it shakes", address, message_id=str(next(_numbers)))
    return encode_notice(told, Participants(address), RecordContext("10001", 1, 1_445_653_507.0), raw=False)


def fields(draft: EventRecord, seq: int = 1) -> list[str | bytes]:
    """Names and values as the adapter's append writes them."""
    own = draft.from_self
    return [
        *("v", "1", "id", draft.id, "type", draft.type, "time", draft.time, "account", "10001"),
        *("epoch", "1", "seq", str(seq), "chat", draft.chat, "sender", draft.sender, "self", own),
        *("text", draft.text, "body", draft.body),
    ]


def mapping(flat: Sequence[str | bytes]) -> dict[bytes, bytes]:
    """Return the same as Redis gives it back."""
    values = [item.encode() if isinstance(item, str) else item for item in flat]
    return dict(zip(values[::2], values[1::2], strict=True))


class Desk:
    """A plain client on the keys of one test."""

    def __init__(self, client: "redis.Redis", prefix: str, url: str) -> None:
        self.client = client
        self.prefix = prefix
        self.url = url

    def key(self, name: str) -> str:
        """Return the key of that name."""
        return f"{self.prefix}:{name}"

    async def publish(self, *drafts: EventRecord) -> list[str]:
        """Append events; returns their entry ids."""
        entries = []
        for draft in drafts:
            line = ("XADD", self.key("inbound"), "*", *fields(draft))
            entry: Any = await self.client.execute_command(*line)  # type: ignore[no-untyped-call]
            entries.append(str(entry.decode()))
        return entries

    async def rows(self, name: str) -> list[dict[str, bytes]]:
        """All entries of a stream, names as text."""
        found: Any = await self.client.xrange(self.key(name))
        return [{key.decode(): value for key, value in row.items()} for _, row in found]

    async def texts(self) -> list[str]:
        """Return the requests of the workers, oldest first."""
        return [row.get("text", b"").decode() for row in await self.rows("outbound")]

    async def pending(self, group: str) -> int:
        """How many entries are delivered and not acknowledged."""
        answer: Any = await self.client.execute_command("XPENDING", self.key("inbound"), group)  # type: ignore[no-untyped-call]
        return int(answer["pending"] if isinstance(answer, dict) else answer[0])

    async def has_group(self, group: str) -> bool:
        """Whether the worker has made its group."""
        if not await self.client.exists(self.key("inbound")):
            return False
        groups: Any = await self.client.xinfo_groups(self.key("inbound"))
        return group.encode() in {row["name"] for row in groups}

    async def all_done(self, group: str) -> bool:
        """Whether the group has read and acknowledged everything."""
        if not await self.has_group(group):
            return False
        groups: Any = await self.client.xinfo_groups(self.key("inbound"))
        info: Any = await self.client.xinfo_stream(self.key("inbound"))
        row = next(row for row in groups if row["name"] == group.encode())
        return bool(row["pending"] == 0 and row["last-delivered-id"] == info["last-generated-id"])

    async def settle(self, status: str = "sent", code: str = "ok", data: str = "") -> list[Result]:
        """Answer every request that asks for a result, as the adapter would."""
        results = []
        requests: Any = await self.client.xrange(self.key("outbound"))
        for entry, row in requests:
            told: dict[str, str] = {
                "v": "1",
                "id": row[b"id"].decode(),
                "entry": entry.decode(),
                "time": "2015-10-24T02:25:07.000Z",
                "account": "10001",
                "epoch": "1",
                "to": row.get(b"to", b"").decode(),
                "status": status,
                "code": code,
                "detail": "",
                "attempts": "1",
                "parts": "1/1",
                "message_id": "1",
                "replayed": "0",
                "data": data,
            }
            stream = row.get(b"results", self.key("results").encode()).decode()
            await self.client.xadd(stream, dict[Any, Any](told))
            await self.client.expire(stream, 60)
            await self.client.xdel(self.key("outbound"), entry)
            results.append(read_result({key.encode(): value.encode() for key, value in told.items()}))
        return results


@asynccontextmanager
async def desk_at(url: str, prefix: str) -> AsyncIterator[Desk]:
    """Open a bus of events for workers."""
    client = redis.Redis.from_url(url)
    try:
        yield Desk(client, prefix, url)
    finally:
        await client.aclose()


class Program:
    """A real process with what it prints."""

    def __init__(self, process: asyncio.subprocess.Process, printed: Path) -> None:
        self.process = process
        self._printed = printed

    @property
    def output(self) -> str:
        """Everything so far."""
        return self._printed.read_text(encoding="utf-8", errors="replace")

    @property
    def lines(self) -> list[str]:
        """The same line by line."""
        return self.output.splitlines()

    async def says(self, words: str, timeout: float = 30.0) -> str:
        """Wait for a line that holds these words."""
        found: str = await wait_until(
            lambda: next((line for line in self.lines if words in line), ""), f"{words!r} printed", timeout
        )
        return found

    async def type(self, text: str) -> None:
        """Type a line."""
        assert self.process.stdin
        self.process.stdin.write(text.encode() + b"\n")
        await self.process.stdin.drain()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.terminate()

    async def ended(self, seconds: float = 15.0) -> int:
        """Its exit code."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@asynccontextmanager
async def program(desk: Desk, *line: str, **settings: str) -> AsyncIterator[Program]:
    """Run `python LINE` (or the first word, if it is a path) on the desk's keys; killed at the end."""
    command = line if "/" in line[0] else (sys.executable, *line)
    with tempfile.NamedTemporaryFile(suffix=".txt") as printed:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=printed.fileno(),
            stderr=asyncio.subprocess.STDOUT,
            env=clean_environment(REDIS_URL=desk.url, QQBUS_PREFIX=desk.prefix, **settings),
        )
        try:
            yield Program(process, Path(printed.name))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            transport: Any = process._transport  # type: ignore[attr-defined]  # noqa: SLF001
            transport.close()


@asynccontextmanager
async def running(worker: Worker | HoldingWorker) -> AsyncIterator[Worker | HoldingWorker]:
    """Run the worker in this process."""
    task = asyncio.get_running_loop().create_task(worker.run())
    try:
        while not task.done():
            with contextlib.suppress(RuntimeError, TimeoutError):
                await asyncio.wait_for(worker.ready(), 0.1)
                break
            await asyncio.sleep(0.01)
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(20):
            await task


class Cutter:
    """A TCP proxy that can cut all connections before what the server has answered arrives."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.url = ""
        # Cut when an answer holds this, instead of passing it on; once.
        self.cut_at: bytes | None = None
        # So many answers later instead.
        self.later = 0
        # Whether nobody gets through.
        self.shut = False
        self.cuts = 0

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator["Cutter"]:
        """In front of the server with that URL."""
        cutter = cls(int(url.rpartition(":")[2]))
        server = await asyncio.start_server(cutter._serve, "127.0.0.1", 0)
        cutter.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield cutter
        finally:
            server.close()
            cutter.cut()

    def cut(self) -> None:
        """All connections, now."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.shut:
            writer.close()
            return
        to_server, from_server = None, writer
        try:
            answers, to_server = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers += [from_server, to_server]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump(reader, to_server, watch=False))
                tasks.create_task(self._pump(answers, from_server, watch=True))
        except* OSError:
            pass
        finally:
            from_server.close()
            if to_server is not None:
                to_server.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watch: bool) -> None:
        while data := await reader.read(65536):
            if watch and self._is_cut_at(data):
                self.cuts += 1
                writer.transport.abort()
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    def _is_cut_at(self, answer: bytes) -> bool:
        if self.cut_at is None or self.cut_at not in answer:
            return False
        if self.later:
            self.later, self.cut_at = self.later - 1, b""
            return False
        self.cut_at = None
        return True
