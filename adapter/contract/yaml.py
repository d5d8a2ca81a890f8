"""Plain values as YAML, without a library: only what the contract needs, in one fixed form."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

# Words that need no quotes: nothing YAML could take for a number, a boolean or a beginning of anything else.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./(,)-]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def dump(value: Mapping[str, object]) -> str:
    """The value as a YAML document."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: object, indent: str) -> Iterator[str]:
    match value:
        case Mapping():
            for key, item in value.items():
                yield from _item(f"{indent}{_scalar(key)}:", item, indent + "  ")
        case list() | tuple():
            for item in value:
                inner = list(_lines(item, indent + "  ")) if _nested(item) else [_scalar(item)]
                yield f"{indent}- {inner[0].strip() if _nested(item) else inner[0]}"
                yield from inner[1:]


def _item(head: str, value: object, indent: str) -> Iterator[str]:
    if _nested(value):
        yield head
        yield from _lines(value, indent)
    else:
        yield f"{head} {_scalar(value)}"


def _nested(value: object) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str) and bool(value)


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
