"""Proof of adapter/codec/example.py: examples are events as the adapter appends them."""

from typing import Any

import pytest

from adapter.codec.example import example_event, example_fields
from adapter.contract.tables import INBOUND, TYPES
from adapter.errors import SchemaError

VALUES: dict[str, Any] = {"chat": "group:1", "sender": "", "name": "林", "own": False, "data": {}, "now": 1.0}
CHATS = {"friend": "friend:1", "group": "group:1", "discuss": "discuss:1", "temp": "temp:1@group:2"}


@pytest.mark.parametrize("kind", TYPES)
def test_an_example_of_each_type_has_the_fields_of_the_contract(kind: str) -> None:
    family, _, detail = kind.partition(".")
    chat = CHATS[detail] if family == "message" else "group:1"
    fields = example_fields("x", kind=kind, number=1, **VALUES | {"chat": chat})
    assert [name.decode() for name in fields] == [field.name for field in INBOUND.fields]
    assert fields[b"type"].decode() == kind


def test_examples_of_one_moment_differ_by_their_number() -> None:
    one, two = (example_event("x", kind="", number=number, **VALUES) for number in (1, 2))
    assert one.id != two.id
    assert (one.sender_name, one.chat, one.own) == ("林", "group:1", False)


@pytest.mark.parametrize("family", ["notice", "request", "session"])
def test_a_family_is_no_type_of_an_event(family: str) -> None:
    with pytest.raises(SchemaError, match=f"'{family}' is a family"):
        example_event("x", kind=family, number=1, **VALUES)


def test_a_message_without_a_chat_is_refused() -> None:
    with pytest.raises(SchemaError, match="no chat"):
        example_event("x", kind="message", number=1, **VALUES | {"chat": ""})
