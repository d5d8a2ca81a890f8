"""Is what stands on a bus what the contract says? One pass over each stream, and what belongs together."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgpack

from adapter.codec.address import parse_address
from adapter.codec.faststream import unwrap
from adapter.codec.outbound import decode_request
from adapter.contract.schemas import all_schemas
from adapter.contract.tables import CODES, TABLES, TYPES, Table
from adapter.contract.validate import Validator
from adapter.errors import SchemaError
from adapter.events import Status

Fields = Mapping[bytes, bytes]
# One broken writer breaks every entry alike: so many sentences about a stream tell enough.
MOST = 50


class Linter:
    """Looks at one bus. Feed it whole streams, oldest entry first; `found` holds what is wrong."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._validators = {name: Validator(schema) for name, schema in all_schemas().items()}
        self._ids: dict[str, str] = {}
        self._seqs: dict[str, int] = {}
        self._epoch = 0
        self._results: Counter[str] = Counter()
        self._said: dict[str, int] = {}
        self.found: list[str] = []
        self.notes: list[str] = []
        self.seen: Counter[str] = Counter()

    def inbound(self, entry: str, fields: Fields) -> None:
        """One event."""
        known = self._entry(TABLES["inbound"], entry, fields)
        if known.get("type") and known["type"] not in TYPES:
            self._note("inbound", entry, f"type {known['type']!r} is not of this version")
        family = known.get("type", "").partition(".")[0]
        body = self._unpacked("inbound", entry, fields.get(b"body", b""))
        if body is not None and f"body.{family}" in self._validators:
            self._say("inbound", entry, self._validators[f"body.{family}"].problems(body, "body"))
            self._say("inbound", entry, self._agrees(known, body))
        self._follows(entry, known)

    def _agrees(self, known: Mapping[str, str], body: Mapping[str, Any]) -> Iterator[str]:
        """The plain fields say the same as the body."""
        chat, sender = body.get("chat"), body.get("sender")
        address = ""
        if isinstance(chat, dict):
            via = chat.get("via")
            address = f"{chat.get('type')}:{chat.get('id')}" + (
                f"@{via.get('type')}:{via.get('id')}" if isinstance(via, dict) else ""
            )
        if known.get("chat", "") != address:
            yield f"chat {known.get('chat')!r} and body.chat {address!r} differ"
        speaker = sender.get("id") if isinstance(sender, dict) else ""
        if known.get("sender", "") != speaker:
            yield f"sender {known.get('sender')!r} and body.sender.id {speaker!r} differ"

    def _follows(self, entry: str, known: Mapping[str, str]) -> None:
        """Ids are unique, numbers without a hole, the epoch never falls."""
        ident, account, seq, epoch = (known.get(name, "") for name in ("id", "account", "seq", "epoch"))
        if not (seq.isdecimal() and epoch.isdecimal()):
            return  # told already
        if ident in self._ids:
            if self._ids[ident] == seq:
                self._note("inbound", entry, f"seq {seq} stands here again: it was redriven")
            else:
                self._say("inbound", entry, [f"id {ident} stands there twice"])
            return
        self._ids[ident] = seq
        last = self._seqs.get(account)
        if last is not None and int(seq) != last + 1:
            self._say("inbound", entry, [f"seq {seq} follows {last}: {self._hole(last, int(seq))}"])
        self._seqs[account] = int(seq)
        if int(epoch) < self._epoch:
            self._say("inbound", entry, [f"epoch {epoch} follows {self._epoch}: it may only rise"])
        self._epoch = max(self._epoch, int(epoch))

    @staticmethod
    def _hole(last: int, seq: int) -> str:
        return "out of order" if seq <= last else f"{seq - last - 1} events are missing"

    def outbound(self, entry: str, fields: Fields, *, answered: bool) -> None:
        """One request. `answered`: the adapter has acknowledged it, so there must be a result by now."""
        self.seen["outbound"] += 1
        try:
            decode_request(entry, unwrap(fields), self._prefix)
        except SchemaError as exc:
            self._note("outbound", entry, str(exc))
        if answered and not self._results[entry]:
            own = fields.get(b"results", b"").decode("utf-8", "replace")
            if own and own != f"{self._prefix}:results":
                self._note("outbound", entry, f"its result is not in {own} any more")
            else:
                self._say("outbound", entry, ["was acknowledged, and there is no result"])

    def result(self, entry: str, fields: Fields, stream: str = "results") -> None:
        """One result; feed all of them before the requests."""
        known = self._entry(TABLES["results"], entry, fields, stream)
        status, code = known.get("status", ""), known.get("code", "")
        if status in set(Status) and code not in CODES[Status(status)]:
            self._note(stream, entry, f"code {code!r} of status {status} is not of this version")
        request = known.get("entry", "")
        self._results[request] += 1
        if self._results[request] > 1:
            self._say(stream, entry, [f"is result number {self._results[request]} of request {request}"])

    def dead(self, entry: str, fields: Fields) -> None:
        """One dead letter."""
        self._entry(TABLES["dead"], entry, fields)
        self._unpacked("dead", entry, fields.get(b"fields", b""), "fields")

    def session(self, entry: str, fields: Fields) -> None:
        """One change of the session."""
        self._entry(TABLES["session"], entry, fields)

    def status(self, fields: Fields) -> None:
        """The hash of figures."""
        if fields:
            self._entry(TABLES["status"], "", fields)

    def _entry(self, table: Table, entry: str, fields: Fields, stream: str = "") -> dict[str, str]:
        stream = stream or table.name
        self.seen[stream] += 1
        names = [name.decode("utf-8", "replace") for name in fields]
        if table.ordered and names[: len(table.always)] != list(table.always):
            missing = [name for name in table.always if name not in names]
            what = f"{', '.join(missing)} missing" if missing else "fields in another order"
            self._say(stream, entry, [what])
        if extra := [name for name in names if name not in table.names]:
            self._note(stream, entry, f"has fields of a later version: {', '.join(extra)}")
        binary = {one.name.encode() for one in table.fields if one.binary}
        texts: dict[str, Any] = {}
        for name, value in fields.items():
            try:
                texts[name.decode("utf-8", "replace")] = "" if name in binary else value.decode()
            except UnicodeDecodeError:
                self._say(stream, entry, [f"{name.decode('utf-8', 'replace')} is not UTF-8"])
        self._say(stream, entry, self._wrong(table, texts))
        if texts.get("chat"):
            self._say(stream, entry, _address(texts["chat"]))
        return texts

    def _wrong(self, table: Table, texts: Mapping[str, Any]) -> Iterator[str]:
        for sentence in self._validators[table.name].problems(texts):
            # Where the order counts, what is missing has been told.
            if not (table.ordered and sentence.endswith(" is missing")):
                yield sentence

    def _unpacked(self, stream: str, entry: str, packed: bytes, name: str = "body") -> dict[str, Any] | None:
        try:
            value = msgpack.unpackb(packed)
        except (ValueError, msgpack.UnpackException):
            value = None
        if isinstance(value, dict):
            return value
        self._say(stream, entry, [f"{name} is no msgpack map"])
        return None

    def _say(self, stream: str, entry: str, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self._said[stream] = self._said.get(stream, 0) + 1
            if self._said[stream] == MOST + 1:
                self.found.append(f"{stream}: and more of the kind")
            elif self._said[stream] <= MOST:
                self.found.append(f"{stream} {entry}".rstrip() + f": {sentence}")

    def _note(self, stream: str, entry: str, sentence: str) -> None:
        if len(self.notes) < MOST:
            self.notes.append(f"{stream} {entry}: {sentence}")


def _address(text: str) -> Iterator[str]:
    try:
        parse_address(text)
    except SchemaError as exc:
        yield str(exc)
