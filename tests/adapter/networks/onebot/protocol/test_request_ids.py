"""Requests within event ids."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.networks.onebot.protocol.request_ids import RequestRef, decode_request, encode_request

ID = re.compile(r"[A-Za-z0-9_:-]{1,71}")


@pytest.mark.parametrize(
    ("sub_type", "flag", "name"),
    [
        ("", "1790000000", ":1790000000"),
        ("add", "30001|1790000000001|1|0", "add:30001_7c1790000000001_7c1_7c0"),
        ("invite", "a.b_c-d", "invite:a_2eb_5fc-d"),
    ],
)
def test_a_flag_comes_back_from_its_name(sub_type: str, flag: str, name: str) -> None:
    assert encode_request(sub_type, flag) == name
    assert ID.fullmatch(name)
    assert decode_request(name) == RequestRef(sub_type, flag)


@given(st.sampled_from(["", "add", "invite"]), st.text(max_size=20))
def test_every_flag_that_fits_comes_back(sub_type: str, flag: str) -> None:
    if name := encode_request(sub_type, flag):
        assert ID.fullmatch(name)
        assert decode_request(name) == RequestRef(sub_type, flag.encode("utf-8", "replace").decode())


def test_a_flag_that_does_not_fit_has_no_name() -> None:
    assert encode_request("add", "x" * 64)
    assert encode_request("add", "x" * 65) == encode_request("add", "") == encode_request("kick", "1") == ""


@pytest.mark.parametrize("name", ["", "5", "-5", "kick:1", "add:", "add:a.b", ":_ff"])
def test_other_names_are_no_requests(name: str) -> None:
    assert decode_request(name) is None
