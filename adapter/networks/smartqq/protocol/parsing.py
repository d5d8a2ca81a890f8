"""Parse SmartQQ's tolerant JSON, its values and its return codes."""

import html
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

from adapter.errors import ProtocolError
from adapter.networks.smartqq.protocol.http import Response

OK: Final = 0

# --- JSON --------------------------------------------------------------------------------------

# Levels of nesting: more than any real answer has, and few enough for msgpack.
MAX_DEPTH: Final = 64

# Larger numbers become text: readers of the bus could not hold them as integers.
INT64: Final = 1 << 63

_BLANK: Final = b" \t\r\n\x00"
_BOM: Final = b"\xef\xbb\xbf"


def parse_json(response: Response) -> Mapping[str, object]:
    """Return the JSON object in a response. Tolerates BOM, blanks and raw control characters.

    Raises ProtocolError if there is no object.
    """
    body = response.body.strip(_BLANK).removeprefix(_BOM).strip(_BLANK)
    try:
        value = json.loads(
            body.decode("utf-8", "replace"),
            strict=False,
            parse_constant=lambda _: None,
            parse_float=_finite,
        )
        if not _is_plain(body, value):
            value = _sanitize(value, 0)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"not JSON: status {response.status}, {len(response.body)} bytes") from exc
    if not isinstance(value, dict):
        raise ProtocolError(f"JSON, but no object: status {response.status}, {len(response.body)} bytes")
    return value


_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ALL_DIGITS: Final = bytes(48 if chr(code).isdigit() and code < 128 else 32 for code in range(256))  # noqa: PLR2004
_LONG: Final = b"0" * 19


def _is_plain(body: bytes, value: object) -> bool:
    """Return whether no value needs `_sanitize`; the bytes tell it many times faster than the values.

    Nesting is measured by removing the innermost pairs. Brackets within texts only cost time.
    """
    if _LONG in body.translate(_ALL_DIGITS):
        return False  # a number beyond 64 bits
    if b"\\ud" in body or b"\\uD" in body:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):
            return False  # a lone surrogate
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH // 4):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return False


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _sanitize(value: object, depth: int) -> object:
    """Return the value with valid Unicode and numbers of 64 bits. Raises ValueError if too deep."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    match value:
        case str():
            return join_surrogates(value)
        case list():
            return [_sanitize(item, depth + 1) for item in value]
        case dict():
            return {join_surrogates(key): _sanitize(item, depth + 1) for key, item in value.items()}
        case int() if not -INT64 <= value < INT64:
            return str(value)
    return value


def join_surrogates(text: str) -> str:
    """Return text with surrogate pairs joined and lone surrogates as U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def dump_json(value: object) -> str:
    """Write JSON as the web client does: no blanks, characters unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- reading values ----------------------------------------------------------------------------

_DIGITS: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


def parse_int(value: object) -> int | None:
    """Return a 64-bit integer that is written as number or text, else None."""
    match value:
        case bool():
            number = INT64
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case str() if _DIGITS.fullmatch(value.strip()):
            number = int(value)
        case _:
            number = INT64
    return number if -INT64 <= number < INT64 else None


def parse_id(value: object) -> str:
    """Return an id as decimal text, "" if there is none. Zero is an id: oneself (3.3)."""
    if type(value) is int and 0 <= value < INT64:
        return str(value)  # the usual case
    number = parse_int(value)
    return "" if number is None or number < 0 else str(number)


def mapping(value: object) -> Mapping[str, object]:
    """Return the object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def iter_objects(value: object) -> Iterable[Mapping[str, object]]:
    """Return the objects in a list; skips other elements."""
    return (row for row in value if isinstance(row, dict)) if isinstance(value, list) else ()


_ENTITY: Final = re.compile(r"&(?:lt|gt|amp|nbsp|quot|apos|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")


def unescape(text: str) -> str:
    """Undo HTML's escapes once. Only closed, known ones: `?a=1&copy=2` is a link."""
    if "&" not in text:
        return text
    return _ENTITY.sub(lambda found: _decode_entity(found.group()), text)


def _decode_entity(entity: str) -> str:
    if entity == "&nbsp;":
        return " "
    return join_surrogates(html.unescape(entity))


def parse_text(value: object) -> str:
    """Return a name or label: text or a number, unescaped, NBSP as a blank."""
    match value:
        case bool() | None:
            return ""
        case str():
            return unescape(value).replace("\u00a0", " ")
        case int():
            return str(value)
        case _:
            return ""


# --- return codes ------------------------------------------------------------------------------

NO_CODE: Final = -1


def return_code(reply: Mapping[str, object], *names: str) -> int:
    """Return the code under the first of these names that holds one, else NO_CODE."""
    for name in names or ("retcode", "errCode", "ec"):
        code = parse_int(reply.get(name))
        if code is None and isinstance(text := reply.get(name), str) and text.startswith("-"):
            code = parse_int(text[1:])
            code = None if code is None else -code
        if code is not None:
            return code
    return NO_CODE


def error_message(reply: Mapping[str, object]) -> str:
    """Return the server's text about a code, cut to what fits a log line."""
    for name in ("errMsg", "errmsg", "msg", "retmsg", "em"):
        text = reply.get(name)
        if isinstance(text, str) and text:
            return text[:200]
    return ""
