"""Compute the hashes that SmartQQ's page scripts send along (1.3, 1.10, 5.3, 5.9)."""

from typing import Final

_31_BITS: Final = 0x7FFFFFFF

_32_BITS: Final = 0xFFFFFFFF

_SALT: Final = b"ECOK"


def time33(text: str, start: int = 0) -> int:
    """Return Bernstein's hash modulo 2^32; of `supertoken`, the `auth_token` of pt4_auth (1.10)."""
    value = start
    for character in text:
        value = (value * 33 + ord(character)) & _32_BITS
    return value


def hash33(text: str) -> int:
    """Return the `ptqrtoken` for the cookie `qrsig` (1.3)."""
    return time33(text) & _31_BITS


def bkn(skey: str) -> int:
    """Return the `bkn` of qun.qq.com for the cookie `skey` (5.9)."""
    return time33(skey, 5381) & _31_BITS


def contact_hash(uin: int | str, ptwebqq: str) -> str:
    """Return the proof for the two contact lists: 16 upper-case hex digits (5.3)."""
    units = ptwebqq.encode("utf-16-le", "surrogatepass")[::2]  # only the low byte of a unit matters
    slots = [0, 0, 0, 0]
    for index, low in enumerate(units):
        slots[index % 4] ^= low
    number = int(uin) & _32_BITS
    keys = [byte ^ salt for byte, salt in zip(number.to_bytes(4, "big"), _SALT, strict=True)]
    return "".join(f"{slot:02X}{key:02X}" for slot, key in zip(slots, keys, strict=True))
