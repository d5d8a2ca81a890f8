"""Lint the entries of a bus by the contract: each entry, and what belongs together. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgpack

from adapter.codec.address import parse_address
from adapter.codec.faststream import unwrap
from adapter.codec.outbound import decode_request
from adapter.codec.request_body import LARGEST_LIMITS
from adapter.contract.schemas import all_schemas
from adapter.contract.tables import CODES, TABLES, TYPES, Table
from adapter.contract.validate import Validator
from adapter.errors import SchemaError
from adapter.events import Status
from adapter.i18n import N_, Sentence

Fields = Mapping[bytes, bytes]
# Sentences about a stream: one broken writer breaks every entry alike.
MAX_SENTENCES = 50


class Linter:
    """Linter of one bus. Feed it whole streams, oldest entry first.

    `found`: what is wrong. `notes`: what a later version may bring, or a redrive. `seen`: entries by stream.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._validators = {name: Validator(schema) for name, schema in all_schemas().items()}
        self._ids: dict[str, str] = {}
        self._seqs: dict[str, int] = {}
        self._epoch = 0
        self._results: Counter[str] = Counter()
        self._counts: dict[str, int] = {}
        self.found: list[str] = []
        self.notes: list[str] = []
        self.seen: Counter[str] = Counter()

    def inbound(self, entry: str, fields: Fields) -> None:
        """Check one event."""
        known = self._check_entry(TABLES["inbound"], entry, fields)
        if known.get("type") and known["type"] not in TYPES:
            text = N_("type {type!r} is not of this version")
            self._add_note("inbound", entry, Sentence(text, type=known["type"]))
        family = known.get("type", "").partition(".")[0].replace("request", "notice")
        body = self._unpack("inbound", entry, fields.get(b"body", b""))
        if body is not None and f"body.{family}" in self._validators:
            self._add_problems("inbound", entry, self._validators[f"body.{family}"].problems(body, "body"))
            self._add_problems("inbound", entry, self._compare_body(known, body))
        self._check_sequence(entry, known)

    def _compare_body(self, known: Mapping[str, str], body: Mapping[str, Any]) -> Iterator[str]:
        """Yield where the plain fields and the body differ."""
        chat, sender = body.get("chat"), body.get("sender")
        address = ""
        if isinstance(chat, dict):
            via = chat.get("via")
            address = f"{chat.get('type')}:{chat.get('id')}" + (
                f"@{via.get('type')}:{via.get('id')}" if isinstance(via, dict) else ""
            )
        if known.get("chat", "") != address:
            yield Sentence(
                "chat {chat!r} and body.chat {other!r} differ", chat=known.get("chat"), other=address
            )
        speaker = sender.get("id") if isinstance(sender, dict) else ""
        if known.get("sender", "") != speaker:
            yield Sentence(
                "sender {sender!r} and body.sender.id {other!r} differ",
                sender=known.get("sender"),
                other=speaker,
            )

    def _check_sequence(self, entry: str, known: Mapping[str, str]) -> None:
        """Check that ids are unique, `seq` has no gap and the epoch never falls."""
        ident, account, seq, epoch = (known.get(name, "") for name in ("id", "account", "seq", "epoch"))
        if not (seq.isdecimal() and epoch.isdecimal()):
            return  # found by the schema
        if ident in self._ids:
            if self._ids[ident] == seq:
                self._add_note(
                    "inbound", entry, Sentence("seq {seq} is here again: it was redriven", seq=seq)
                )
            else:
                self._add_problems("inbound", entry, [Sentence("id {id} is there twice", id=ident)])
            return
        self._ids[ident] = seq
        last = self._seqs.get(account)
        if last is not None and int(seq) != last + 1:
            self._add_problems("inbound", entry, [self._describe_gap(last, int(seq))])
        self._seqs[account] = int(seq)
        if int(epoch) < self._epoch:
            self._add_problems(
                "inbound",
                entry,
                [Sentence("epoch {epoch} follows {last}: it may only rise", epoch=epoch, last=self._epoch)],
            )
        self._epoch = max(self._epoch, int(epoch))

    @staticmethod
    def _describe_gap(last: int, seq: int) -> str:
        if seq <= last:
            return Sentence("seq {seq} follows {last}: out of order", seq=seq, last=last)
        missing = seq - last - 1
        return Sentence(
            "seq {seq} follows {last}: {missing} events are missing", seq=seq, last=last, missing=missing
        )

    def outbound(self, entry: str, fields: Fields, *, answered: bool) -> None:
        """Check one request.

        `answered`: the adapter has acknowledged it, so it must have a result.
        """
        self.seen["outbound"] += 1
        try:
            decode_request(entry, unwrap(fields), self._prefix, LARGEST_LIMITS)
        except SchemaError as exc:
            self._add_note("outbound", entry, Sentence(exc.text, **exc.values))
        if answered and not self._results[entry]:
            own = fields.get(b"results", b"").decode("utf-8", "replace")
            if own and own != f"{self._prefix}:results":
                self._add_note(
                    "outbound", entry, Sentence("its result is not in {stream} any more", stream=own)
                )
            else:
                self._add_problems("outbound", entry, [Sentence("was acknowledged and has no result")])

    def result(self, entry: str, fields: Fields, stream: str = "results") -> None:
        """Check one result. All results come before the requests."""
        known = self._check_entry(TABLES["results"], entry, fields, stream)
        status, code = known.get("status", ""), known.get("code", "")
        if status in set(Status) and code not in CODES[Status(status)]:
            text = N_("code {code!r} of status {status} is not of this version")
            self._add_note(stream, entry, Sentence(text, code=code, status=status))
        request = known.get("entry", "")
        self._results[request] += 1
        if self._results[request] > 1:
            text, number = N_("is result number {number} of request {request}"), self._results[request]
            self._add_problems(stream, entry, [Sentence(text, number=number, request=request)])

    def dead(self, entry: str, fields: Fields) -> None:
        """Check one dead letter."""
        self._check_entry(TABLES["dead"], entry, fields)
        self._unpack("dead", entry, fields.get(b"fields", b""), "fields")

    def session(self, entry: str, fields: Fields) -> None:
        """Check one change of the session."""
        self._check_entry(TABLES["session"], entry, fields)

    def status(self, fields: Fields) -> None:
        """Check the hash `qq:status`."""
        if fields:
            self._check_entry(TABLES["status"], "", fields)

    def _check_entry(self, table: Table, entry: str, fields: Fields, stream: str = "") -> dict[str, str]:
        stream = stream or table.name
        self.seen[stream] += 1
        names = [name.decode("utf-8", "replace") for name in fields]
        if table.ordered and names[: len(table.required_names)] != list(table.required_names):
            missing = [name for name in table.required_names if name not in names]
            what = Sentence("{names} missing", names=", ".join(missing))
            self._add_problems(stream, entry, [what if missing else Sentence("fields in another order")])
        if extra := [name for name in names if name not in table.names]:
            self._add_note(
                stream, entry, Sentence("has fields of a later version: {names}", names=", ".join(extra))
            )
        binary = {one.name.encode() for one in table.fields if one.binary}
        texts: dict[str, Any] = {}
        for name, value in fields.items():
            try:
                texts[name.decode("utf-8", "replace")] = "" if name in binary else value.decode()
            except UnicodeDecodeError:
                shown = name.decode("utf-8", "replace")
                self._add_problems(stream, entry, [Sentence("{name} is not UTF-8", name=shown)])
        self._add_problems(stream, entry, self._field_problems(table, texts))
        if texts.get("chat"):
            self._add_problems(stream, entry, _address_problems(texts["chat"]))
        return texts

    def _field_problems(self, table: Table, texts: Mapping[str, Any]) -> Iterator[str]:
        for sentence in self._validators[table.name].problems(texts):
            # In an ordered table the check of the order has named what is missing.
            if not (table.ordered and sentence.endswith(" is missing")):
                yield sentence

    def _unpack(self, stream: str, entry: str, packed: bytes, name: str = "body") -> dict[str, Any] | None:
        try:
            value = msgpack.unpackb(packed)
        except (ValueError, msgpack.UnpackException):
            value = None
        if isinstance(value, dict):
            return value
        self._add_problems(stream, entry, [Sentence("{name} is not a msgpack map", name=name)])
        return None

    def _add_problems(self, stream: str, entry: str, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self._counts[stream] = self._counts.get(stream, 0) + 1
            if self._counts[stream] == MAX_SENTENCES + 1:
                self.found.append(Sentence("{stream}: and more like these", stream=stream))
            elif self._counts[stream] <= MAX_SENTENCES:
                self.found.append(_locate(f"{stream} {entry}".rstrip(), sentence))

    def _add_note(self, stream: str, entry: str, sentence: str) -> None:
        if len(self.notes) < MAX_SENTENCES:
            self.notes.append(_locate(f"{stream} {entry}", sentence))


def _address_problems(text: str) -> Iterator[str]:
    try:
        parse_address(text)
    except SchemaError as exc:
        yield Sentence(exc.text, **exc.values)


def _locate(place: str, sentence: str) -> str:
    return Sentence("{place}: {sentence}", place=place, sentence=sentence)
