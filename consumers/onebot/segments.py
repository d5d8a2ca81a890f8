"""Turn the segments of the bus into those of OneBot, and the messages of bots into segments. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from adapter import decode_cq
from consumers.onebot.errors import BadRequest
from consumers.onebot.numbers import parse_integer

Segment = dict[str, Any]

# Segments of one message: what the bus takes.
MAX_SEGMENTS: Final = 1_000
# What stands for a picture whose name nothing says.
_MISSING: Final = "missing"
_FILES: Final = frozenset({"image", "record", "video", "file"})
# Of a file that is sent: the keys that the bus knows. Switches such as `cache` mean nothing on it.
_FILE_KEYS: Final = ("file", "url", "file_id", "name")
_ADDRESSES: Final = ("base64://", "http://", "https://", "file://")
# Networks that cannot mention or quote: there a mention becomes text, and a quotation nothing.
_WITHOUT_MENTIONS: Final = frozenset({"smartqq", "official"})
_WITHOUT_QUOTES: Final = frozenset({"smartqq", "official"})
# Text beside other segments that counts as nothing.
_SILENT: Final = frozenset({"reply"})


# --- from the bus ------------------------------------------------------------------------------


def to_onebot(items: object, number_of: Callable[[str], str]) -> list[Segment]:
    """Return segments of the bus as OneBot names them. `number_of`: a network's id as bots know it."""
    if not isinstance(items, list):
        return []
    return [_to_onebot(item, number_of) for item in items if isinstance(item, dict)]


def _to_onebot(item: Mapping[str, Any], number_of: Callable[[str], str]) -> Segment:
    kind, data = item.get("type"), item.get("data")
    if not isinstance(kind, str) or not isinstance(data, dict):
        return {"type": "unknown", "data": {"raw": str(item)}}
    match kind:
        case "text":
            return {"type": kind, "data": {"text": str(data.get("text", ""))}}
        case "face":
            return {"type": kind, "data": {"id": str(data.get("id", ""))}}
        case "reply":
            return {"type": kind, "data": {**data, "id": number_of(str(data.get("id", "")))}}
        case "image":
            return {"type": kind, "data": {**data, "file": data.get("file") or data.get("name") or _MISSING}}
        case _:
            return {"type": kind, "data": data}


# --- to the bus --------------------------------------------------------------------------------


def read_message(message: object, *, auto_escape: bool = False) -> list[Segment]:
    """Return the segments of a message as a bot wrote it. Raises BadRequest."""
    if isinstance(message, int | float) and not isinstance(message, bool):
        message = str(message)
    if isinstance(message, str):
        items: object = [_text(message)] if auto_escape else decode_cq(message)
    else:
        items = [message] if isinstance(message, dict) else message
    if not isinstance(items, list):
        raise BadRequest("message is neither text nor a list of segments")
    if len(items) > MAX_SEGMENTS:
        raise BadRequest(f"message has {len(items)} segments, at most {MAX_SEGMENTS}")
    segments = [_read(index, item) for index, item in enumerate(items)]
    if not any(_is_content(one) for one in segments):
        raise BadRequest("message is empty")
    return segments


def _text(text: str) -> Segment:
    return {"type": "text", "data": {"text": text}}


def _is_content(segment: Segment) -> bool:
    if segment["type"] == "text":
        return bool(segment["data"]["text"].strip())
    return segment["type"] not in _SILENT


def _read(index: int, item: object) -> Segment:
    match item:
        case str(text):
            return _text(text)
        case {"type": str(kind), "data": dict(data)}:
            pass
        case {"type": str(kind), **rest} if rest.get("data") is None:
            data = {}
        case _:
            raise BadRequest(f"message[{index}] is not a segment: give {{type, data}}")
    if kind == "text":
        value = data.get("text")
        if value is None or isinstance(value, list | dict):
            raise BadRequest(f"message[{index}].data.text is missing or no text")
        return _text(str(value))
    if kind == "face":
        number = parse_integer(data.get("id"))
        if number is None or number < 0:
            raise BadRequest(f"message[{index}].data.id is not the number of a face")
        return {"type": "face", "data": {"id": number}}
    if kind in {"at", "reply"}:
        key = "qq" if kind == "at" else "id"
        value = data.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise BadRequest(f"message[{index}].data.{key} is missing")
        name = data.get("name")
        named = {"name": name} if kind == "at" and isinstance(name, str) and name else {}
        return {"type": kind, "data": {key: str(value).strip(), **named}}
    return {"type": kind, "data": _read_file(index, data) if kind in _FILES else data}


def _read_file(index: int, data: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: data[key] for key in _FILE_KEYS if isinstance(data.get(key), str) and data[key]}
    url = kept.pop("url", "")
    if url and not str(kept.get("file", "")).startswith(_ADDRESSES):
        kept["file"] = url
    if not kept.get("file"):
        raise BadRequest(f"message[{index}].data.file is missing: a URL, base64:// or file://")
    return kept


def fit_network(
    segments: Iterable[Segment], network: str, *, is_group: bool, name_of: Callable[[str], str]
) -> tuple[list[Segment], set[str]]:
    """Return segments that the network can send, and the types that were replaced.

    A mention becomes `@name `, a quotation is dropped. Anything else that the network lacks stays: the
    adapter refuses it in words. `name_of`: the name of a number, empty if unknown.
    """
    fitted: list[Segment] = []
    replaced: set[str] = set()
    for one in segments:
        kind, data = one["type"], one["data"]
        if kind == "at" and (network in _WITHOUT_MENTIONS or not is_group):
            replaced.add("at")
            name = "全体成员" if data["qq"] == "all" else data.get("name") or name_of(data["qq"])
            fitted.append(_text(f"@{name or data['qq']} "))
        elif kind == "reply" and network in _WITHOUT_QUOTES:
            replaced.add("reply")
        else:
            fitted.append(one)
    return fitted, replaced
