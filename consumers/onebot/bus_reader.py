"""Read what the bus keeps: messages, requests, results, contacts. Within the rights of the role `gateway`."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from redis.exceptions import RedisError

from adapter import Received, ReceivedMessage, Result, SchemaError, read_event, read_map, read_result
from consumers.onebot.errors import BusAway
from consumers.onebot.numbers import entry_number
from consumers.runtime.client import BusClient
from consumers.runtime.connection import describe_error

# Entries in one read.
PAGE: Final = 500
# Entries of a chat, and of all chats, among which a message is looked for.
MAX_OF_CHAT: Final = 1_000
MAX_SCANNED: Final = 10_000
# Milliseconds after a request within which its result is looked for.
RESULT_MS: Final = 60_000

Fields = dict[bytes, bytes]
Contact = Mapping[str, Any]


class BusReader:
    """Reads streams and hashes. Raises BusAway where Redis does not serve."""

    def __init__(self, client: BusClient) -> None:
        self._client = client

    async def event(self, entry: str) -> Received | None:
        """Return the event of an entry; None if it is not kept, or cannot be read."""
        rows = await self._do("XRANGE", self._key("inbound"), entry, entry)
        return _event(*rows[0]) if rows else None

    async def request(self, entry: str) -> Fields | None:
        """Return the fields of a request; None if it is not kept."""
        rows = await self._do("XRANGE", self._key("outbound"), entry, entry)
        return rows[0][1] if rows else None

    async def result_of(self, entry: str) -> Result | None:
        """Return the result of a request of a gateway, looked for from the request's time on."""
        milliseconds = int(entry.partition("-")[0])
        start, end = str(milliseconds), str(milliseconds + RESULT_MS + 5_000)
        for _ in range(MAX_SCANNED // PAGE):
            rows = await self._do("XRANGE", self._key("results"), start, end, "COUNT", PAGE)
            for _, fields in rows:
                if fields.get(b"entry") == entry.encode():
                    return _result(fields)
            if len(rows) < PAGE:
                return None
            start = "(" + rows[-1][0].decode()
        return None

    async def number_of(self, chat: str, network_id: str) -> int:
        """Return the number of a message of a chat by the network's id; 0 if it is not found."""
        async for message in self.messages(chat, MAX_OF_CHAT):
            if message.message_id == network_id:
                return entry_number(message.entry)
        async for fields in self._newest("results", MAX_SCANNED):
            if fields.get(b"message_id") == network_id.encode() and fields.get(b"to") == chat.encode():
                return entry_number(fields[b"entry"].decode(), was_sent=True)
        return 0

    async def messages(self, chat: str, limit: int, *, until: str = "+") -> AsyncIterator[ReceivedMessage]:
        """Yield messages of a chat, newest first, from the entry `until` back."""
        wanted, scanned, end = chat.encode(), 0, until
        while limit > 0 and scanned < MAX_SCANNED:
            rows = await self._do("XREVRANGE", self._key("inbound"), end, "-", "COUNT", PAGE)
            for entry, fields in rows:
                if fields.get(b"chat") != wanted or not fields.get(b"type", b"").startswith(b"message."):
                    continue
                event = _event(entry, fields)
                if isinstance(event, ReceivedMessage):
                    yield event
                    limit -= 1
                    if limit <= 0:
                        return
            if len(rows) < PAGE:
                return
            scanned, end = scanned + len(rows), "(" + rows[-1][0].decode()

    async def recent(self, limit: int) -> AsyncIterator[ReceivedMessage]:
        """Yield messages of all chats, newest first, among this many events."""
        end = "+"
        for _ in range(max(1, limit // PAGE)):
            rows = await self._do("XREVRANGE", self._key("inbound"), end, "-", "COUNT", PAGE)
            for entry, fields in rows:
                event = _event(entry, fields)
                if isinstance(event, ReceivedMessage):
                    yield event
            if len(rows) < PAGE:
                return
            end = "(" + rows[-1][0].decode()

    async def private_chat(self, user: str) -> str:
        """Return the address of the private chat in which a person was last heard; empty if none."""
        friend, temporary = f"friend:{user}".encode(), f"temp:{user}@".encode()
        async for fields in self._newest("inbound", MAX_SCANNED):
            chat = fields.get(b"chat", b"")
            if (chat == friend or chat.startswith(temporary)) and fields.get(b"sender") == user.encode():
                return chat.decode()
        return ""

    async def _newest(self, stream: str, limit: int) -> AsyncIterator[Fields]:
        end = "+"
        for _ in range(limit // PAGE):
            rows = await self._do("XREVRANGE", self._key(stream), end, "-", "COUNT", PAGE)
            for _, fields in rows:
                yield fields
            if len(rows) < PAGE:
                return
            end = "(" + rows[-1][0].decode()

    async def status(self) -> dict[str, str]:
        """Return `qq:status`."""
        rows = await self._do("HGETALL", self._key("status"))
        return {name.decode(): value.decode("utf-8", "replace") for name, value in rows.items()}

    async def newest_network(self) -> str:
        """Return the network that the newest event names; empty if there is none."""
        rows = await self._do("XREVRANGE", self._key("inbound"), "+", "-", "COUNT", 20)
        for entry, fields in rows:
            event = _event(entry, fields)
            upstream = event.body.get("upstream") if event else None
            if isinstance(upstream, dict) and isinstance(upstream.get("network"), str):
                return str(upstream["network"])
        return ""

    async def contacts(self, name: str) -> list[Contact]:
        """Return the rows of a list of contacts: friends, groups, discusses, members:<chat>."""
        rows = await self._do("HGETALL", self._key(name))
        return [row for value in rows.values() if (row := _contact(value))]

    async def contact(self, name: str, ident: str) -> Contact | None:
        """Return one row of a list."""
        value = await self._do("HGET", self._key(name), ident)
        return _contact(value) if value else None

    def _key(self, name: str) -> str:
        return self._client.settings.key(name)

    async def _do(self, *command: str | int) -> Any:
        try:
            return await self._client.client.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as exc:
            raise BusAway(f"Redis does not serve: {describe_error(exc)}") from exc


def _event(entry: bytes, fields: Fields) -> Received | None:
    try:
        return read_event(entry.decode(), fields)
    except SchemaError:
        return None


def _result(fields: Fields) -> Result | None:
    try:
        return read_result(fields)
    except SchemaError:
        return None


def _contact(value: bytes) -> Contact | None:
    try:
        return read_map(value)
    except SchemaError:
        return None
