"""Make JSON Schemas (draft 7) of entries and bodies from the tables and the vocabulary's types."""

from dataclasses import MISSING, fields
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from adapter.codec.segments import segment_to_dict
from adapter.content import (
    At,
    Face,
    File,
    Font,
    Forward,
    Image,
    Json,
    Markdown,
    Record,
    Reply,
    Segment,
    Text,
    Unknown,
    Video,
)
from adapter.contract.tables import ENTRY, MESSAGES, TABLES, TIME, Schema, Table
from adapter.events import CONTRACT_VERSION, ContactRef, Identity

DRAFT = "http://json-schema.org/draft-07/schema#"
# One of each kind, for the name that the codec gives it.
_EXAMPLES: tuple[Segment, ...] = (
    *(Text(""), Face(0, ""), Image(), Record(), Video(), File(), At(""), Reply(""), Forward("")),
    *(Json(""), Markdown(""), Unknown(None)),
)
BODIES = {"inbound": ("body.message", "body.notice", "body.session"), "outbound": ("body.request",)}


def all_schemas() -> dict[str, Schema]:
    """Return all schemas by name."""
    made = {name: entry_schema(table) for name, table in TABLES.items()}
    made |= {
        "body.message": _document("Body of message.*", _message()),
        "body.notice": _document("Body of notice.* and request.*", _notice()),
        "body.session": _document("Body of session.*", _session()),
        "body.request": _document("Body of a request: instead of text", _request()),
        "contact": _document("Value of the hashes of contacts", _contact()),
    }
    for name, schema in made.items():
        schema["$id"] = f"urn:qqbus:contract:{CONTRACT_VERSION}:{name}"
    return made


def entry_schema(table: Table) -> Schema:
    """Return the schema of an entry: an object of texts.

    A binary field names the schema of its decoded body.
    """
    properties: Schema = {}
    for one in table.fields:
        schema = {"description": one.meaning, **one.schema}
        if one.binary:
            schema["contentMediaType"] = "image/png" if one.name == "png" else "application/msgpack"
            if one.name == "body":
                schema["x-decoded"] = [f"{name}.json" for name in BODIES[table.name]]
        properties[one.name] = schema
    required = [one.name for one in table.fields if one.required]
    return _document(table.what, {"type": "object", "properties": properties, "required": required})


def _document(title: str, schema: Schema) -> Schema:
    return {"$schema": DRAFT, "$id": "", "title": title, **schema}


def _type_schema(hint: Any) -> Schema:
    """Return the schema of a type of the vocabulary."""
    origin = get_origin(hint)
    if origin is UnionType:
        inner = [_type_schema(one) for one in get_args(hint) if one is not NoneType]
        nothing = [{"type": "null"}] if NoneType in get_args(hint) else []
        return {"anyOf": inner + nothing} if len(inner + nothing) > 1 else inner[0]
    if origin is tuple:
        size = len(get_args(hint))
        return {"type": "array", "items": _type_schema(get_args(hint)[0]), "minItems": size, "maxItems": size}
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"type": "string", "enum": [one.value for one in hint]}
    return {str: {"type": "string"}, int: {"type": "integer"}, bool: {"type": "boolean"}}.get(hint, {})


def _fields(kind: type, *, required: tuple[str, ...] | None = None) -> Schema:
    """Return the schema of a dataclass; a field without default is required."""
    hints = get_type_hints(kind)
    rows = fields(kind)
    needed = [row.name for row in rows if row.default is MISSING] if required is None else list(required)
    return _object({row.name: _type_schema(hints[row.name]) for row in rows}, needed)


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _segments() -> Schema:
    kinds = [
        _object(
            {
                "type": {"type": "string", "const": segment_to_dict(example)["type"]},
                "data": _fields(type(example)),
            },
            ["type", "data"],
        )
        for example in _EXAMPLES
    ]
    known = [kind["properties"]["type"]["const"] for kind in kinds]
    # A later version may bring another kind: readers pass over what they do not know.
    later = _object(
        {"type": {"type": "string", "not": {"enum": known}}, "data": {"type": "object"}}, ["type", "data"]
    )
    return {"type": "array", "items": {"anyOf": [*kinds, later]}}


def _participants() -> Schema:
    address = {"type": {"type": "string", "enum": list(MESSAGES)}, "id": {"type": "string"}}
    sender = _fields(ContactRef, required=("id", "name", "identity"))
    chat = _object(
        {
            **address,
            "name": {"type": "string"},
            "identity": _type_schema(Identity),
            "via": _object(address, ["type", "id"]),
        },
        ["type", "id", "name", "identity"],
    )
    return {"chat": _maybe(chat), "sender": _maybe(sender)}


def _message() -> Schema:
    return _object(
        {
            "segments": _segments(),
            "font": _maybe(_fields(Font)),
            **_participants(),
            "message_id": {"type": "string"},
            "upstream": {"type": "object"},
            "raw": {},
            # Of a message that was sent through the bus: id and entry of its request.
            "request": {"type": "string"},
            "entry": {"type": "string", "pattern": f"^{ENTRY}$"},
        },
        ["segments", "font", "chat", "sender", "message_id", "upstream"],
    )


def _notice() -> Schema:
    return _object(
        {
            **_participants(),
            "message_id": {"type": "string"},
            "data": {"type": "object"},
            "upstream": {"type": "object"},
            "raw": {},
        },
        ["chat", "sender", "message_id", "data", "upstream"],
    )


def _session() -> Schema:
    text = {"type": "string"}
    time = {"type": "string", "pattern": f"^{TIME}$"}
    change = _object({"reason": text, "detail": text, "nick": text}, ["reason", "detail", "nick"])
    gap = _object({"since": time, "until": time, "reason": text}, ["since", "until", "reason"])
    return {"anyOf": [change, gap]}


def _request() -> Schema:
    text = {"type": "string"}
    number = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]+$"}]}
    file = _object({"file": text, "url": text, "name": text}, [])
    sent = {
        "text": _object({"text": text}, ["text"]),
        "face": _object({"id": number}, ["id"]),
        **dict.fromkeys(("image", "record", "video", "file"), file),
        "at": _object({"qq": {"anyOf": [number, {"const": "all"}]}}, ["qq"]),
        "reply": _object({"id": number}, ["id"]),
        "json": _object({"data": text}, ["data"]),
        "markdown": _object({"content": text}, ["content"]),
    }
    kinds = [
        _object({"type": {"type": "string", "const": kind}, "data": data}, ["type", "data"])
        for kind, data in sent.items()
    ]
    segments = {"type": "array", "items": {"anyOf": kinds}, "minItems": 1}
    message = _object({"segments": segments, "font": _maybe(_fields(Font))}, ["segments"])
    call = _object({"action": text, "params": {"type": "object"}}, ["action"])
    return {"anyOf": [message, call]}


def _contact() -> Schema:
    text = {"type": "string"}
    time = {"type": "string", "pattern": f"^{TIME}$"}
    known = {"id": text, "name": text, "identity": _type_schema(Identity), "asof": time}
    return _object(known | {"nick": text, "mark": text, "qq": text}, list(known))
