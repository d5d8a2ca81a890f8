"""Texts of messages: faces and mentions within them become segments, the rest stays as it is."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Final

from adapter.content import EVERYONE, At, Face, Segment, Text
from adapter.networks.official.protocol.values import mapping, parse_text

# Characters of an ID in a mention; real ones have 32.
_ID: Final = r"[A-Za-z0-9_-]{1,64}"
# Digits of a face's number: no network has faces beyond them.
_MARKS: Final = re.compile(
    r'<faceType=(?P<kind>\d{1,3}),faceId="(?P<face>\d{0,9})",ext="(?P<ext>[A-Za-z0-9+/=_-]{0,2000})">'
    rf'|<@!?(?P<short>{_ID})>|<qqbot-at-user id="(?P<long>{_ID})" ?/>|(?P<all><qqbot-at-everyone ?/>)',
    re.ASCII,
)
_OPENID: Final = re.compile(r"[0-9A-F]{32}", re.ASCII)
# What a group would take for a mention, in a text that is to be taken literally.
_PINGS: Final = re.compile(r"<(?=qqbot-at-|@!?[A-Za-z0-9_-]{1,64}>)", re.ASCII)
_ZERO_WIDTH_SPACE: Final = "\u200b"


def decode_text(content: str, mentions: Mapping[str, At] | None) -> list[Segment]:
    """Return the segments of a text. `mentions` are those of a group by ID; None where there are none."""
    segments: list[Segment] = []
    end = 0
    for found in _MARKS.finditer(content):
        segment = _face(found) if found["kind"] else _mention(found, mentions)
        if segment is None:
            continue
        if found.start() > end:
            segments.append(Text(content[end : found.start()]))
        segments.append(segment)
        end = found.end()
    if end < len(content):
        segments.append(Text(content[end:]))
    return segments


def _face(found: re.Match[str]) -> Face | None:
    try:
        described = json.loads(base64.b64decode(found["ext"] + "==", altchars=None))
    except (binascii.Error, ValueError, RecursionError):
        return None
    name = parse_text(mapping(described).get("text")).strip("[]").removeprefix("/")
    # Stickers and faces of the market have no number, only a name.
    return Face(int(found["face"] or 0), name) if name or found["face"] else None


def _mention(found: re.Match[str], mentions: Mapping[str, At] | None) -> At | None:
    if mentions is None:
        return None
    if found["all"]:
        return At(EVERYONE)
    openid = found["short"] or found["long"]
    known = mentions.get(openid)
    return At(openid) if known is None and _OPENID.fullmatch(openid) else known


def encode_mention(openid: str) -> str:
    """Return the text that mentions a member of a group."""
    return f'<qqbot-at-user id="{openid}" />'


def escape_text(text: str) -> str:
    """Return a text that mentions no person: a stranger may have typed what a worker repeats."""
    return _PINGS.sub("<" + _ZERO_WIDTH_SPACE, text)
