"""Messages on their way out: segments become parts, and a part becomes the body of a request.

A part's content is a JSON object: `pieces` of text and mentions, or a `file` with its `type`; `quote` refers
to the message that is quoted. A mention is a list of openid and name.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from adapter.content import (
    EVERYONE,
    At,
    Face,
    File,
    Image,
    Markup,
    Media,
    Record,
    Reply,
    Segment,
    Text,
    Video,
)
from adapter.errors import SchemaError
from adapter.networks.official.protocol.media import FILE_TYPES
from adapter.networks.official.protocol.texts import encode_mention, escape_text
from adapter.networks.official.protocol.values import Object, mapping, parse_text

# Replies that one message allows: a C2C message four, one in a group five.
_QUOTA: Final = 4
# Characters of one part: as Tencent's own clients split, and what fits a whole request into the quota.
_USUAL, _MOST = 4_000, 9_000
# A blank in the last eighth of a part is a good place to cut.
_SEARCHED: Final = 8
_BLANKS: Final = frozenset(" \t\r\n")
# Messages of one request, pictures included.
MAX_PARTS: Final = 16
_MAX_ADDRESS: Final = 4_096

Piece = str | At
# Finds the openid of a person by the stable id, or the reference of a message by its id; "" if unknown.
Lookup = Callable[[str], str]


def encode_parts(segments: Sequence[Segment], openid_of: Lookup, reference_of: Lookup) -> tuple[str, ...]:
    """Return the content of each part that these segments need, in order.

    Raises SchemaError: `content.empty`, `content.toolong`, or `content.unsupported` for a segment that the
    network cannot send.
    """
    runs: list[list[Piece] | Media] = []
    quote = ""
    for segment in segments:
        if isinstance(segment, Reply):
            quote = _reference(segment.id, reference_of)
        elif isinstance(segment, Image | Video | Record | File):
            runs.append(segment)
        else:
            if not runs or not isinstance(runs[-1], list):
                runs.append([])
            _append(runs[-1], _piece(segment, openid_of))
    parts = [part for run in runs for part in _encode_run(run)]
    if not parts:
        raise SchemaError("there is nothing to send", "content.empty")
    if len(parts) > MAX_PARTS:
        raise SchemaError(f"the content needs {len(parts)} messages, at most {MAX_PARTS}", "content.toolong")
    if quote:
        parts[0] = {**parts[0], "quote": quote}
    return tuple(json.dumps(part, ensure_ascii=False) for part in parts)


def _append(run: list[Piece] | Media, piece: Piece) -> None:
    if isinstance(run, list):
        run.append(piece)


def _piece(segment: Segment, openid_of: Lookup) -> Piece:
    match segment:
        case Text(text) | Markup(text):
            return text
        case Face(name=name):
            return f"[{name}]"  # faces are received, and cannot be sent
        case At(qq, name) if qq != EVERYONE and (openid := openid_of(qq)):
            return At(openid, name or qq)
        case At(qq):
            raise _unsupported(f"a mention of {qq[:20]}: only a person who has spoken can be mentioned")
        case _:
            raise _unsupported(f"a segment of type {type(segment).__name__.lower()}")


def _unsupported(what: str) -> SchemaError:
    return SchemaError(f"the official API cannot send {what}", "content.unsupported")


def _reference(message_id: str, reference_of: Lookup) -> str:
    if reference := message_id if message_id.startswith("REFIDX_") else reference_of(message_id):
        return reference
    raise _unsupported("a quotation of this message: id is no message of late, nor a reference REFIDX_…")


def _encode_run(run: list[Piece] | Media) -> Iterator[Object]:
    if not isinstance(run, list):
        yield {"type": FILE_TYPES[type(run)], "file": _address(run)}
        return
    total = sum(len(piece) if isinstance(piece, str) else len(piece.name) for piece in run)
    size = min(max(-(-total // _QUOTA), _USUAL), _MOST)
    parts = list(_split(run, size, searched=size // _SEARCHED))
    if len(parts) > _QUOTA:
        parts = list(_split(run, size, searched=0))
    for part in parts:
        if any(isinstance(piece, At) or piece.strip() for piece in part):
            yield {"pieces": [piece if isinstance(piece, str) else [piece.qq, piece.name] for piece in part]}


def _split(run: Sequence[Piece], size: int, *, searched: int) -> Iterator[list[Piece]]:
    """Yield parts of at most `size` characters; cut after a blank among the last `searched` ones, if any."""
    part: list[Piece] = []
    room = size
    for piece in run:
        rest = piece
        while isinstance(rest, str) and len(rest) > room:
            lowest = max(room - searched, 0)
            end = next((at for at in range(room, lowest, -1) if rest[at - 1] in _BLANKS), room)
            yield [*part, rest[:end]]
            part, rest, room = [], rest[end:], size
        part.append(rest)
        room = max(room - (len(rest) if isinstance(rest, str) else len(rest.name)), 0)
    yield part


def _address(segment: Media) -> str:
    kind = type(segment).__name__.lower()
    address = next(
        (one for one in (segment.file, segment.url) if one.startswith(("http://", "https://"))), ""
    )
    if not address:
        raise _unsupported(f"a segment {kind} without an address: give file or url as http(s)://…")
    if len(address) > _MAX_ADDRESS:
        raise SchemaError(f"the address of a segment {kind} is longer than {_MAX_ADDRESS} characters")
    return address


# --- bodies of requests ------------------------------------------------------------------------


def part_file(part: Object) -> tuple[int, str] | None:
    """Return the type and the address of the file that a part sends; None for text."""
    kind = part.get("type")
    return (kind, parse_text(part.get("file"))) if isinstance(kind, int) else None


def upload_body(file: tuple[int, str]) -> Object:
    """Return the body of the upload of a file."""
    return {"file_type": file[0], "url": file[1], "srv_send_msg": False}


def message_body(part: Object, *, is_group: bool, file_info: str) -> dict[str, object]:
    """Return the body of a message without its anchor."""
    body: dict[str, object] = {"msg_type": 0, "content": _text(part, is_group=is_group)}
    if part_file(part) is not None:
        body = {"msg_type": 7, "media": {"file_info": file_info}}
    if quote := parse_text(part.get("quote")):
        body["message_reference"] = {"message_id": quote}
    return body


def _text(part: Object, *, is_group: bool) -> str:
    pieces = part.get("pieces")
    return "".join(_spell(piece, is_group=is_group) for piece in (pieces if isinstance(pieces, list) else ()))


def _spell(piece: object, *, is_group: bool) -> str:
    if isinstance(piece, list):
        openid, name = map(parse_text, piece)
        return encode_mention(openid) if is_group else f"@{name}"
    text = parse_text(piece)
    return escape_text(text) if is_group else text


def read_part(content: str) -> Object:
    """Return the part that `encode_parts` has written."""
    return mapping(json.loads(content))
