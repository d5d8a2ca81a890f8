"""The server's side of the password digest: its TEA layer opens only with the right password.

The RSA block inside stays shut: there is no private key, and none is needed, because the TEA key is
made of the password's MD5 already.
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

_DELTA = 0x9E3779B9
_ROUNDS = 16
_MASK = 0xFFFFFFFF
_BLOCK = 8
_ZEROS = bytes(7)


class DigestError(ValueError):
    """The digest does not open with this password, or holds nonsense."""


@dataclass(frozen=True)
class Digest:
    """What a digest holds: the RSA block, the salt and the verify code it was made for."""

    rsa: bytes
    salt: bytes
    code: str


def open_digest(p: str, password: str, salt: bytes) -> Digest:
    """Return the content of the parameter `p` of a login; DigestError if the password is another."""
    try:
        sealed = base64.b64decode(p.replace("-", "/").replace("*", "+").replace("_", "="), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise DigestError("p is not in the digest's Base64") from exc
    key = hashlib.md5(hashlib.md5(password.encode()).digest() + salt).digest()  # noqa: S324 – as the service did
    return _parsed(decrypt(sealed, key))


def _parsed(data: bytes) -> Digest:
    try:
        (length,) = struct.unpack_from(">H", data)
        rsa = data[2 : 2 + length]
        salt = data[2 + length : 10 + length]
        (count,) = struct.unpack_from(">H", data, 10 + length)
        code = data[12 + length :].decode("ascii")
    except (struct.error, UnicodeDecodeError) as exc:
        raise DigestError("the digest is too short") from exc
    if len(rsa) != length or len(salt) != _BLOCK or len(code) != count:
        raise DigestError("the lengths in the digest are wrong")
    return Digest(rsa, salt, code)


def decrypt(sealed: bytes, key: bytes) -> bytes:
    """Undo QQ's chaining of TEA; DigestError if the seven zeros at the end are missing."""
    if len(sealed) % _BLOCK or len(sealed) < 2 * _BLOCK:
        raise DigestError("the digest is no whole number of blocks")
    plain = bytearray()
    before, mixed_before = bytes(_BLOCK), bytes(_BLOCK)
    for start in range(0, len(sealed), _BLOCK):
        block = sealed[start : start + _BLOCK]
        mixed = _decrypt_block(_xor(block, mixed_before), key)
        plain += _xor(mixed, before)
        before, mixed_before = block, mixed
    if plain[-len(_ZEROS) :] != _ZEROS:
        raise DigestError("the digest does not open with this password")
    return bytes(plain[1 + (plain[0] & 7) + 2 : -len(_ZEROS)])


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _decrypt_block(block: bytes, key: bytes) -> bytes:
    y, z = struct.unpack(">2I", block)
    k0, k1, k2, k3 = struct.unpack(">4I", key)
    total = (_DELTA * _ROUNDS) & _MASK
    for _ in range(_ROUNDS):
        z = (z - (((y << 4) + k2) ^ (y + total) ^ ((y >> 5) + k3))) & _MASK
        y = (y - (((z << 4) + k0) ^ (z + total) ^ ((z >> 5) + k1))) & _MASK
        total = (total - _DELTA) & _MASK
    return struct.pack(">2I", y, z)
