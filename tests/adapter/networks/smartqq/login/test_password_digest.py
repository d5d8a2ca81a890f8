"""Prove login/password_digest.py by vectors that clients of the time computed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import ProtocolError
from adapter.networks.smartqq.login.password_digest import (
    digest,
    rsa_encrypt,
    tea_block,
    tea_encrypt,
)
from tests.simulator.tea import DigestError, decrypt
from tests.support import DATA

VECTORS: dict[str, Any] = json.loads((DATA / "login_vectors.json").read_text(encoding="utf-8"))


def handing_out(*chunks: str) -> Callable[[int], bytes]:
    """Randomness that gives these bytes, one chunk after the other."""
    left = [bytes.fromhex(chunk) for chunk in chunks]

    def next_bytes(count: int) -> bytes:
        chunk = left.pop(0)
        assert len(chunk) == count
        return chunk

    return next_bytes


@pytest.mark.parametrize("vector", VECTORS["tea_block"], ids=lambda vector: vector["cipher_hex"])
def test_a_tea_block_is_the_peers(vector: dict[str, str]) -> None:
    key, block = bytes.fromhex(vector["key_hex"]), bytes.fromhex(vector["block_hex"])
    assert tea_block(block, key).hex() == vector["cipher_hex"]


@pytest.mark.parametrize("vector", VECTORS["qqtea"], ids=lambda vector: vector["cipher_hex"][:16])
def test_chained_tea_is_the_peers(vector: dict[str, str]) -> None:
    key, data = bytes.fromhex(vector["key_hex"]), bytes.fromhex(vector["data_hex"])
    cipher = tea_encrypt(data, key, handing_out(vector["fill_hex"]))
    assert cipher.hex() == vector["cipher_hex"]


@pytest.mark.parametrize("vector", VECTORS["password"], ids=lambda vector: str(vector["uin"]))
def test_the_digest_is_the_peers(vector: dict[str, Any]) -> None:
    randomness = handing_out(vector["rsa_padding_ps_hex"], vector["tea_fill_hex"])
    salt = bytes.fromhex(vector["salt_hex"])
    assert digest(vector["password"], salt, vector["verifycode"], randomness) == vector["p"]


def test_rsa_padding_holds_no_zero_whatever_the_randomness() -> None:
    chunks = iter([b"\x00" * 109, b"\x01" * 50 + b"\x00" * 59, b"\x01" * 59])
    expected = rsa_encrypt(b"x" * 16, lambda count: b"\x01" * count)
    assert rsa_encrypt(b"x" * 16, lambda _: next(chunks)) == expected
    assert len(expected) == 128


@given(st.binary(max_size=64), st.binary(min_size=16, max_size=16))
def test_tea_opens_with_its_key_and_with_no_other(data: bytes, key: bytes) -> None:
    cipher = tea_encrypt(data, key, lambda count: b"r" * count)
    assert decrypt(cipher, key) == data
    with pytest.raises(DigestError):
        decrypt(cipher, bytes([key[0] ^ 1]) + key[1:])


def test_a_salt_of_another_length_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        digest("secret", b"1234", "!ABC", lambda count: b"r" * count)
