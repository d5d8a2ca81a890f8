"""Operations: the action of each, and whether it is paced."""

import pytest

from adapter.errors import SchemaError
from adapter.events import Address, AnswerRequest, CallAction, ChatKind, EventRef, Operation, Recall
from adapter.networks.onebot.protocol.dialects import Action
from adapter.networks.onebot.protocol.operations import encode_operation, is_paced

GROUP = Address(ChatKind.GROUP, "30001")
FRIEND = EventRef("", None, "10010", ":u_5fx_7c1", 0.0)
JOIN = EventRef("", GROUP, "10010", "add:7", 0.0)


@pytest.mark.parametrize(
    ("operation", "name", "params"),
    [
        (Recall("-5"), "delete_msg", {"message_id": -5}),
        (
            AnswerRequest(FRIEND, is_approved=True, text="老友"),
            "set_friend_add_request",
            {"flag": "u_x|1", "approve": True, "remark": "老友"},
        ),
        (
            AnswerRequest(JOIN, is_approved=False, text="no"),
            "set_group_add_request",
            {"flag": "7", "approve": False, "sub_type": "add", "reason": "no"},
        ),
        (CallAction("send_poke", {"group_id": 1, "user_id": 2}), "send_poke", {"group_id": 1, "user_id": 2}),
        (CallAction("send_msg", {"user_id": 1, "group_id": 0}), "send_msg", {"user_id": 1, "group_id": 0}),
    ],
)
def test_each_operation_is_an_action(operation: Operation, name: str, params: dict[str, object]) -> None:
    assert encode_operation(operation) == Action(name, params)


@pytest.mark.parametrize(
    "operation",
    [
        Recall(""),
        AnswerRequest(EventRef("", GROUP, "1", ":5", 0.0), is_approved=True),
        AnswerRequest(EventRef("", None, "1", "35693", 0.0), is_approved=True),
        CallAction("a b"),
        CallAction("send_msg", {"user_id": 1, "group_id": 2}),
        CallAction("send_private_msg", {"user_id": 1, "group_id": 2}),
    ],
)
def test_what_makes_no_sense_or_is_not_safe_is_refused(operation: Operation) -> None:
    with pytest.raises(SchemaError):
        encode_operation(operation)


def test_looking_costs_no_pace() -> None:
    assert [
        is_paced(CallAction(name)) for name in ("get_msg", "can_send_image", "send_like", "set_group_ban")
    ] == [
        *(False, False, True, True),
    ]
    assert not is_paced(Recall("1"))
