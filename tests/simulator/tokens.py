"""Tokens as the service mints them and the hashes by which clients prove that they hold them."""

import random
from dataclasses import dataclass

_HEX = "0123456789abcdef"
_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_MASK31 = 0x7FFFFFFF
_MASK32 = 0xFFFFFFFF

# An Erlang external term: tuple of (pid, little-endian number, binary skey, binary vfwebqq).
_TUPLE_OF_4 = "836804"
_PID_OF_ATOM = "6764001d"
_SMALL_BIG_4 = "6e0400"
_BINARY = "6d"


@dataclass(frozen=True)
class Mint:
    """Makes tokens of the right alphabet and length out of one source of chance."""

    rng: random.Random

    def _letters(self, count: int, alphabet: str = _WORD) -> str:
        return "".join(self.rng.choices(alphabet, k=count))

    def hexadecimal(self, count: int) -> str:
        """Return `count` lower-case hex digits (ptwebqq 64 or 48, vfwebqq 80, ptsigx 128)."""
        return self._letters(count, _HEX)

    def qrsig(self) -> str:
        """Return the 64 characters that name a QR code."""
        return self._letters(64, _WORD + "*-")

    def key(self) -> str:
        """Return the one-time key inside the QR code."""
        return self._letters(32)

    def skey(self) -> str:
        """Return a `skey`: an at sign and nine characters."""
        return "@" + self._letters(9)

    def p_skey(self) -> str:
        """Return 44 characters ending in an underscore, as p_skey and pt4_token have them."""
        return self._letters(43, _WORD + "*-") + "_"

    def digits(self, count: int) -> str:
        """Return a decimal number without a leading zero."""
        return self._letters(1, "123456789") + self._letters(count - 1, "0123456789")

    def captcha(self) -> str:
        """Return four letters that are hard to take for each other."""
        return self._letters(4, "ABCDEFGHJKMNPRSTUVWXYZ")

    def psessionid(self, uin: int, skey: str) -> str:
        """Return the 224 hex digits of a channel session, laid out as the real ones were."""
        octets = f"{self.rng.randint(100, 199)}.{self.rng.randint(1, 9)}.{self.rng.randint(100, 199)}"
        node = f"connserver_webqq@10.{octets}"[:29].encode().hex()
        pid = f"{self.rng.randrange(1 << 15):08x}{self.rng.randrange(1 << 13):08x}02"
        number = (uin & _MASK32).to_bytes(4, "little").hex()
        name = skey[:10].ljust(10, "0").encode().hex()
        return "".join(
            (
                *(_TUPLE_OF_4, _PID_OF_ATOM, node, pid, _SMALL_BIG_4, number),
                *(_BINARY, "0000000a", name, _BINARY, "00000028", self.hexadecimal(80)),
            )
        )


def hash33(text: str, start: int = 0) -> int:
    """Return the 31-bit hash that is `ptqrtoken` of a qrsig."""
    value = start
    for character in text:
        value = (value * 33 + ord(character)) & _MASK31
    return value


def bkn(skey: str) -> int:
    """Return the proof of `skey` that qun.qq.com asks for."""
    return hash33(skey, 5381)


def time33(text: str) -> int:
    """Return the 32-bit hash that is `auth_token` of a supertoken."""
    value = 0
    for character in text:
        value = (value * 33 + ord(character)) & _MASK32
    return value


def contact_hash(uin: int, ptwebqq: str) -> str:
    """Return the proof the two contact lists ask for: 16 upper-case hex digits."""
    mixed = [0, 0, 0, 0]
    for index, character in enumerate(ptwebqq):
        mixed[index % 4] ^= ord(character)
    number = (uin & _MASK32).to_bytes(4, "big")
    salted = [byte ^ ord(letter) for byte, letter in zip(number, "ECOK", strict=True)]
    pairs = zip(mixed, salted, strict=True)
    return "".join(f"{left & 0xFF:02X}{right & 0xFF:02X}" for left, right in pairs)
