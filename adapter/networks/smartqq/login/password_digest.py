"""Compute the digest that a password is sent as: MD5, RSA and QQ's TEA (2.4). Pure.

Randomness is an argument: `random_bytes(n)` returns n bytes.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

from adapter.errors import ProtocolError

RandomBytes = Callable[[int], bytes]

# The public key in the script of the login page.
MODULUS: Final = int(
    "F20CE00BAE5361F8FA3AE9CEFA495362FF7DA1BA628F64A347F0A8C012BF0B25"
    "4A30CD92ABFFE7A6EE0DC424CB6166F8819EFA5BCCB20EDFB4AD02E412CCF579"
    "B1CA711D55B8B0B3AEB60153D5E0693A2A86F3167D7847A0CB8B00004716A909"
    "5D9BADC977CBB804DBDCBA6029A9710869A453F27DFDDF83C016D928B3CBF4C7",
    16,
)
EXPONENT: Final = 3
KEY_BYTES: Final = 128
SALT_BYTES: Final = 8
BLOCK: Final = 8

_DELTA: Final = 0x9E3779B9
_ROUNDS: Final = 16
_32_BITS: Final = 0xFFFFFFFF


def digest(password: str, salt: bytes, verify_code: str, random_bytes: RandomBytes) -> str:
    """Return the parameter `p` of the login. `salt`: 8 bytes, as `check` gives them."""
    if len(salt) != SALT_BYTES:
        raise ProtocolError("the salt of the password is not 8 bytes")
    # The server demands MD5; no security rests on it here.
    once = hashlib.md5(password.encode(), usedforsecurity=False).digest()
    key = hashlib.md5(once + salt, usedforsecurity=False).digest()
    secret = rsa_encrypt(once, random_bytes)
    code = verify_code.upper().encode()
    plain = _counted(secret) + salt + _counted(code)
    cipher = tea_encrypt(plain, key, random_bytes)
    return base64.b64encode(cipher).decode().translate(str.maketrans("/+=", "-*_"))


def _counted(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def rsa_encrypt(data: bytes, random_bytes: RandomBytes) -> bytes:
    """Encrypt by PKCS#1 v1.5 with the server's public key. Returns 128 bytes."""
    padding = _non_zero(KEY_BYTES - 3 - len(data), random_bytes)
    block = b"\x00\x02" + padding + b"\x00" + data
    return pow(int.from_bytes(block, "big"), EXPONENT, MODULUS).to_bytes(KEY_BYTES, "big")


def _non_zero(count: int, random_bytes: RandomBytes) -> bytes:
    found = b""
    while len(found) < count:
        found += random_bytes(count - len(found)).replace(b"\x00", b"")
    return found


def tea_encrypt(data: bytes, key: bytes, random_bytes: RandomBytes) -> bytes:
    """Encrypt with QQ's TEA: padded in front, chained both ways, seven zeros at the end."""
    pad = -(len(data) + 10) % BLOCK
    # The upper five bits are free; ones, as PiWebQQ sent them.
    plain = bytes([0xF8 | pad]) + random_bytes(pad + 2) + data + bytes(7)
    before = cipher = bytes(BLOCK)
    out = b""
    for start in range(0, len(plain), BLOCK):
        mixed = _xor(plain[start : start + BLOCK], cipher)
        cipher = _xor(tea_block(mixed, key), before)
        before = mixed
        out += cipher
    return out


def tea_block(block: bytes, key: bytes) -> bytes:
    """Encrypt one block of 8 bytes with a key of 16."""
    y, z = _split(block)
    a, b = _split(key)
    c, d = _split(key[8:])
    total = 0
    for _ in range(_ROUNDS):
        total = total + _DELTA & _32_BITS
        y = y + ((z << 4) + a ^ z + total ^ (z >> 5) + b) & _32_BITS
        z = z + ((y << 4) + c ^ y + total ^ (y >> 5) + d) & _32_BITS
    return y.to_bytes(4, "big") + z.to_bytes(4, "big")


def _split(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
