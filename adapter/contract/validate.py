"""The small part of JSON Schema that the contract uses: checking a bus needs no library. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list, tuple),
    "null": (type(None),),
}
# What says nothing about validity.
_SILENT = {"$schema", "$id", "title", "description", "contentMediaType", "x-decoded"}
KEYWORDS = frozenset(
    {
        "type",
        "const",
        "enum",
        "pattern",
        "anyOf",
        "not",
        "properties",
        "required",
        "items",
        "minItems",
        "maxItems",
    }
    | _SILENT
)


def problems(schema: Schema, value: object, where: str = "") -> Iterator[str]:
    """What is wrong with a value; nothing if it fits. `where` begins each sentence."""
    kind = schema.get("type")
    if kind is not None and not _is(kind, value):
        yield f"{where or 'it'} is not of type {kind}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where or 'it'} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where or 'it'} is not one of {', '.join(map(str, schema['enum']))}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{where or 'it'} is not of the form {schema['pattern']}"
    if "anyOf" in schema:
        yield from _any(schema["anyOf"], value, where)
    if "not" in schema and not list(problems(schema["not"], value, where)):
        yield f"{where or 'it'} is what it must not be"
    if isinstance(value, dict):
        yield from _map(schema, value, where)
    elif isinstance(value, list | tuple):
        yield from _list(schema, value, where)


def _is(kind: str, value: object) -> bool:
    return isinstance(value, _TYPES[kind]) and not (kind == "integer" and isinstance(value, bool))


def _any(choices: list[Schema], value: object, where: str) -> Iterator[str]:
    found = [list(problems(choice, value, where)) for choice in choices]
    if all(found):
        # The nearest miss tells most: the longest way into the value before something was wrong.
        yield max(found, key=lambda sentences: sentences[0].partition(" ")[0].count("."))[0]


def _map(schema: Schema, value: Mapping[object, object], where: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_inside(where, name)} is missing"
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            yield from problems(inner, value[name], _inside(where, name))


def _list(schema: Schema, value: list[object] | tuple[object, ...], where: str) -> Iterator[str]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not least <= len(value) <= most:
        yield f"{where or 'it'} has {len(value)} items instead of {least} to {most}"
    if "items" in schema:
        for at, item in enumerate(value):
            yield from problems(schema["items"], item, f"{where}[{at}]")


def _inside(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)
