"""Attachments of messages, and what the network takes for a file to be sent."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from adapter.content import File, Image, Media, Record, Video
from adapter.networks.official.protocol.redaction import redact_text
from adapter.networks.official.protocol.values import Object, objects, parse_int, parse_text

# `file_type` of an upload.
FILE_TYPES: Final[Mapping[type[Media], int]] = {Image: 1, Video: 2, Record: 3, File: 4}
# Hexadecimal digits of the id under which the adapter knows an attachment's address.
_ID_DIGITS: Final = 16


def decode_attachments(value: object) -> list[Media]:
    """Return the attachments of a message as segments, with addresses that are not signed."""
    return [_decode(one) for one in objects(value)]


def signed_addresses(value: object) -> Iterator[tuple[str, str]]:
    """Yield the id and the signed address of each attachment."""
    for one in objects(value):
        if address := _address(one):
            yield file_id(redact_text(address)), address


def file_id(address: str) -> str:
    """Return the id of an attachment by its address without signature, which is the same in each copy."""
    return hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()[:_ID_DIGITS]


def _decode(one: Object) -> Media:
    content_type, address = parse_text(one.get("content_type")).lower(), redact_text(_address(one))
    kind: type[Media] = File
    if content_type.startswith("image"):
        kind = Image
    elif content_type.startswith(("voice", "audio")):
        kind = Record
    elif content_type.startswith("video"):
        kind = Video
    size = parse_int(one.get("size"))
    name = redact_text(parse_text(one.get("filename")))
    return kind(
        file=name,
        url=address,
        file_id=file_id(address) if address else "",
        size=size if size is not None and size >= 0 else None,
        name=name,
    )


def _address(one: Object) -> str:
    """Return the address of an attachment: some lack their scheme, of voice the WAV form is preferred."""
    address = parse_text(one.get("voice_wav_url")) or parse_text(one.get("url"))
    if not address:
        return ""
    return address if "://" in address else f"https://{address.removeprefix('//')}"
