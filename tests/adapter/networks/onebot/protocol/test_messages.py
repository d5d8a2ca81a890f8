"""Messages of each dialect, as the server for tests reports them, and messages with oddities."""

from typing import Any

import pytest

from adapter.content import At, Face, Image, Text
from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Message, Profile
from adapter.networks.onebot.protocol.messages import NO_GROUP, decode_message, history_messages
from tests.onebot_server import DIALECTS, OneBotServer

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)
GROUP = Address(ChatKind.GROUP, "30001")
FRAME: dict[str, Any] = {
    "post_type": "message",
    "message_type": "private",
    "sub_type": "friend",
    "time": 1_790_000_000,
    "self_id": 20001,
    "user_id": 10001,
    "message_id": 5,
    "message": [{"type": "text", "data": {"text": "hi"}}],
    "sender": {"user_id": 10001, "nickname": "小明"},
}


def decode(**changes: Any) -> Message:
    return decode_message(FRAME | changes, 1.5)


def test_values_that_are_equal_in_python_and_no_ids_are_told_apart() -> None:
    assert decode(user_id=1).sender == "1"
    assert decode(user_id=1.0).sender == "1"
    with pytest.raises(ProtocolError):
        decode(user_id=True)
    assert decode(user_id=1, sender={"nickname": 1}).profile.name == "1"
    assert decode(user_id=1, sender={"nickname": True}).profile.name == ""


def test_a_list_in_the_place_of_a_name_is_no_name() -> None:
    message = decode(sender={"nickname": ["x"], "card": {}}, group_name=[])
    assert (message.sender, message.profile.name, message.chat_name) == ("10001", "", "")


@pytest.mark.parametrize("dialect", ALL)
async def test_a_group_message_names_speaker_card_role_and_group(dialect: str) -> None:
    server = OneBotServer(dialect)
    said = server.say(
        "group:30001", message="hi [CQ:face,id=14][CQ:at,qq=20001]", sender=10002, time=1_790_000_000
    )
    message = decode_message(said["event"], 0.0)
    assert (message.chat, message.sender, message.qq, message.time) == (
        GROUP,
        "10002",
        "10002",
        1_790_000_000.0,
    )
    assert message.segments == (Text("hi "), Face(14, "微笑"), At("20001"))
    assert message.profile == Profile("Alice", "爱丽丝", "admin")
    assert message.chat_name == ("茶馆" if dialect in {"napcat", "llbot"} else "")
    assert (message.from_self, message.raw) == (False, None)
    assert message.message_id == str(said["event"]["message_id"])
    assert message.upstream["network"] == "onebot"
    assert message.upstream["group_id"] == 30001


@pytest.mark.parametrize("dialect", ALL)
async def test_a_friend_writes_in_the_chat_of_the_friend(dialect: str) -> None:
    message = decode_message(OneBotServer(dialect).say("friend:10001", "hi")["event"], 0.0)
    assert (message.chat, message.sender) == (Address(ChatKind.FRIEND, "10001"), "10001")
    assert (message.profile, message.chat_name) == (Profile("小明"), "小明")


@pytest.mark.parametrize(
    ("dialect", "group"), [("napcat", "30001"), ("llbot", "30001"), ("snowluma", "0"), ("go-cqhttp", "30001")]
)
async def test_a_temporary_session_names_its_group_where_it_is_known(dialect: str, group: str) -> None:
    server = OneBotServer(dialect)
    known = decode_message(server.say("temp:10009@group:30001", "hi")["event"], 0.0)
    assert str(known.chat) == f"temp:10009@group:{group}"
    unknown = decode_message(server.say("temp:10009@group:0", "hi")["event"], 0.0)
    assert unknown.chat == Address(ChatKind.TEMP, "10009", NO_GROUP)


@pytest.mark.parametrize("dialect", ["napcat", "llbot", "go-cqhttp"])
async def test_an_own_message_stands_in_the_chat_that_it_went_to(dialect: str) -> None:
    server = OneBotServer(dialect)
    own = decode_message(server.say("friend:10001", "hi", sender=20001)["event"], 0.0)
    assert (str(own.chat), own.sender, own.from_self, own.chat_name) == ("friend:10001", "20001", True, "")
    group = decode_message(server.say("group:30001", "hi", sender=20001)["event"], 0.0)
    assert (group.chat, group.from_self) == (GROUP, True)


@pytest.mark.parametrize("values", ["native", "int", "str", "null"])
async def test_a_picture_is_read_whatever_types_its_values_have(values: str) -> None:
    server = OneBotServer("napcat", segment_values=values)
    message = [{"type": "image", "data": {"size": 3_000_000}}]
    (image,) = decode_message(server.say("group:30001", message=message)["event"], 0.0).segments
    assert isinstance(image, Image)
    assert image.size == 3_000_000
    assert image.file
    assert "rkey=" in image.url


@pytest.mark.parametrize("number", [-2_147_483_648, 84_966_612_664, "84966612664"])
def test_a_message_id_is_any_number(number: object) -> None:
    assert decode(message_id=number).message_id == str(number)


def test_what_is_missing_has_a_substitute() -> None:
    message = decode(time=None, sender=None, message_id=0, message=None)
    assert (message.time, message.profile, message.message_id, message.chat_name) == (1.5, Profile(), "", "")
    frame = {name: value for name, value in FRAME.items() if name != "message"} | {
        "raw_message": "[CQ:face,id=14]"
    }
    assert decode_message(frame, 0.0).segments == (Face(14, "微笑"),)
    assert decode(time=1_790_000_000_123).time == 1_790_000_000.123


def test_a_message_that_is_null_is_read_from_its_string() -> None:
    assert decode(message=None, raw_message="a [CQ:face,id=14]").segments == (Text("a "), Face(14, "微笑"))
    assert decode(message=None).segments == ()


def test_an_anonymous_member_has_a_name_and_a_flag() -> None:
    anonymous = {"id": 1, "name": "大侠", "flag": "f"}
    message = decode(message_type="group", group_id=30001, user_id=80000000, anonymous=anonymous)
    assert message.profile.anonymous == "大侠"
    assert message.upstream["anonymous"] == anonymous


def test_only_numbers_and_texts_are_kept_of_the_networks_own_fields() -> None:
    upstream = decode(message_seq=[1], real_seq="7", more={"a": 1}).upstream
    assert upstream == {
        "network": "onebot",
        "message_type": "private",
        "sub_type": "friend",
        "user_id": 10001,
        "message_id": 5,
        "real_seq": "7",
    }


def test_the_raw_form_is_kept_on_request() -> None:
    assert decode_message(FRAME, 0.0, keep_raw=True).raw == FRAME


@pytest.mark.parametrize(
    "changes",
    [{"user_id": 0}, {"message_type": "group"}, {"message_type": "guild"}, {"message_type": None}],
)
def test_a_message_without_a_chat_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="without a chat"):
        decode(**changes)


def test_a_history_is_a_list_of_messages() -> None:
    assert history_messages({"messages": [FRAME, None, 5]}) == [FRAME]
    assert history_messages({"messages": None}) == history_messages(None) == []
