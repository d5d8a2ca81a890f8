"""Proof of adapter/codec/address.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.address import chat_from_event_id, chat_token, parse_address, parse_event_id
from adapter.errors import SchemaError
from adapter.events import Address, ChatKind, EventRef

IDS = st.integers(0, 2**63).map(str)
PLAIN = st.builds(Address, st.sampled_from([ChatKind.FRIEND, ChatKind.GROUP, ChatKind.DISCUSS]), IDS)
PLACES = st.builds(Address, st.sampled_from([ChatKind.GROUP, ChatKind.DISCUSS]), IDS)
ADDRESSES = PLAIN | st.builds(Address, st.just(ChatKind.TEMP), IDS, PLACES)


@given(ADDRESSES)
def test_an_address_reads_back_as_what_was_written(address: Address) -> None:
    assert parse_address(str(address)) == address


@given(ADDRESSES)
def test_an_event_id_leads_back_to_its_chat(address: Address) -> None:
    assert chat_from_event_id(f"305419896.{chat_token(address)}.1.2.3.5c2e") == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "friend",
            "friend:",
            "friend:01",
            "friend:-1",
            "friend:1 ",
            "Friend:1",
            "friend:1\n",
            "friend:１",
        ),
        *(
            "temp:1",
            "temp:1@friend:2",
            "temp:1@group:",
            "group:1@group:2",
            "room:1",
            "friend:123456789012345678901",
        ),
    ],
)
def test_anything_else_is_refused_in_words(text: str) -> None:
    with pytest.raises(SchemaError, match="is not one of friend:<id>"):
        parse_address(text)


@pytest.mark.parametrize(
    "ident", ["", "x", "1.-.0.1.2.ab", "1.x1.2", "1.t1.2", "1.f1g2.3", "1.t1f2.3", "1.g01.2", "1.session.2"]
)
def test_an_event_without_a_chat_cannot_be_answered(ident: str) -> None:
    with pytest.raises(SchemaError, match="names no chat"):
        chat_from_event_id(ident)


@given(ADDRESSES | st.none())
def test_an_event_id_says_where_who_what_and_when(address: Address | None) -> None:
    ident = f"305419896.{chat_token(address)}.10002.-2147483648.1445653507.5c2e"
    assert parse_event_id(ident) == EventRef(ident, address, "10002", "-2147483648", 1_445_653_507.0)


def test_an_event_without_sender_or_time_has_the_adapters_time() -> None:
    ident = "305419896.f1.0.0.1445653507123-4.5c2e"
    assert parse_event_id(ident) == EventRef(ident, Address(ChatKind.FRIEND, "1"), "", "0", 1_445_653_507.123)


@pytest.mark.parametrize(
    "ident",
    [
        "",
        "x",
        "1.g2.3.4.5",
        "1.x2.3.4.5.ab",
        "1.g2.3.4.now.ab",
        "1.g2.3.4.-5.ab",
        "1.-.online.7.5-0",
        "1.g2.3.4.٣.ab",
    ],
)
def test_anything_else_is_no_event_id(ident: str) -> None:
    with pytest.raises(SchemaError, match="is not the id of"):
        parse_event_id(ident)
