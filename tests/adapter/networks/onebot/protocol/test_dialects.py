"""Dialects: their names, and the four forms of the history call."""

import pytest

from adapter.events import Address, ChatKind
from adapter.networks.onebot.protocol.dialects import (
    Action,
    Dialect,
    can_send_file,
    dialect_of,
    history_action,
    next_page,
)
from tests.onebot_server.dialects import DIALECTS

GROUP = Address(ChatKind.GROUP, "30001")
FRIEND = Address(ChatKind.FRIEND, "10001")
BY_NAME = {
    "napcat": Dialect.NAPCAT,
    "llbot": Dialect.LLBOT,
    "snowluma": Dialect.SNOWLUMA,
    "go-cqhttp": Dialect.GO_CQHTTP,
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_known_by_its_application(name: str) -> None:
    assert dialect_of({"app_name": DIALECTS[name].app_name}) is BY_NAME[name]


@pytest.mark.parametrize("version", [None, {}, {"app_name": "onebots"}, {"app_name": 5}, "NapCat"])
def test_any_other_application_is_other(version: object) -> None:
    assert dialect_of(version) is Dialect.OTHER


@pytest.mark.parametrize("dialect", [Dialect.NAPCAT, Dialect.LLBOT, Dialect.SNOWLUMA, Dialect.OTHER])
def test_most_dialects_return_as_many_as_are_asked_for(dialect: Dialect) -> None:
    assert history_action(dialect, GROUP, 50) == Action(
        "get_group_msg_history", {"group_id": 30001, "count": 50}
    )
    assert history_action(dialect, FRIEND, 5) == Action(
        "get_friend_msg_history", {"user_id": 10001, "count": 5}
    )
    assert next_page(dialect, {"messages": [{"message_seq": 100}]}) is None
    assert can_send_file(dialect)


def test_go_cqhttp_is_asked_page_by_page_and_for_groups_alone() -> None:
    dialect = Dialect.GO_CQHTTP
    assert history_action(dialect, GROUP, 50) == Action("get_group_msg_history", {"group_id": 30001})
    page = next_page(dialect, {"messages": [{"message_seq": 101}, {"message_seq": 100}, {}]})
    assert history_action(dialect, GROUP, 50, page) == Action(
        "get_group_msg_history", {"group_id": 30001, "message_seq": 99}
    )
    assert next_page(dialect, {"messages": [{"message_seq": 1}]}) is None
    assert next_page(dialect, {"messages": []}) is None
    assert history_action(dialect, FRIEND, 5) is None
    assert not can_send_file(dialect)


def test_a_temporary_session_has_no_history() -> None:
    assert history_action(Dialect.NAPCAT, Address(ChatKind.TEMP, "10009", GROUP), 5) is None
