"""Decoding: messages of each form, notices, and what must never reach the bus."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.content import At, Face, File, Forward, Image, Json, Record, Reply, Text, Unknown, Video, render
from adapter.directory import IdSpace
from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Message, Notice
from adapter.networks.official.protocol.events import decode_dispatch, decode_unreadable
from adapter.networks.official.protocol.frames import Frame, parse_frame
from adapter.networks.official.protocol.redaction import redact, redact_text
from adapter.permanent_directory import compute_stable_id

PERSON, MEMBER, GROUP, OWN = "5A" * 16, "0D" * 16, "C0" * 16, "B0" * 16
ACCOUNT = "102000001"
FACE = '<faceType=1,faceId="14",ext="eyJ0ZXh0Ijoi5b6u56yRIn0=">'


def private(**changes: Any) -> dict[str, Any]:
    """Return the body of a private message as the documents show it."""
    return {
        "id": "ROBOT1.0_aB..c-d_e!!",
        "content": "hi",
        "timestamp": "2026-09-21T22:13:20+08:00",
        "author": {"id": PERSON, "user_openid": PERSON, "union_openid": "U", "username": "", "bot": False},
        "message_type": 0,
        "message_scene": {"source": "default", "ext": ["msg_idx=REFIDX_x==", "auth_token=s3cret"]},
        "attachments": [],
        **changes,
    }


def public(**changes: Any) -> dict[str, Any]:
    """Return the body of a group message that mentions the bot."""
    author = {"id": MEMBER, "member_openid": MEMBER, "member_role": "owner", "username": "x", "bot": False}
    mention = {"scope": "single", "id": OWN, "member_openid": OWN, "username": "bot", "is_you": True}
    return private(
        content=" /cmd", group_openid=GROUP, group_id=GROUP, author=author, mentions=[mention], **changes
    )


def decode(body: Any, event: str = "C2C_MESSAGE_CREATE", **options: Any) -> Message | Notice:
    return decode_dispatch(
        Frame(0, 7, event, f"{event}:k1", body), 100.0, account=ACCOUNT, **({"own_id": OWN} | options)
    )


def message(body: Any, event: str = "C2C_MESSAGE_CREATE", **options: Any) -> Message:
    decoded = decode(body, event, **options)
    assert isinstance(decoded, Message), decoded
    return decoded


def test_a_private_message() -> None:
    decoded = message(private())
    assert decoded.chat == Address(ChatKind.FRIEND, PERSON)
    assert (decoded.sender, decoded.time, decoded.segments) == (PERSON, 1790000000.0, (Text("hi"),))
    assert (decoded.message_id, len(decoded.key)) == ("ROBOT1.0_aB..c-d_e!!", 16)
    assert decoded.upstream == {
        "network": "official",
        "event": "C2C_MESSAGE_CREATE",
        "s": 7,
        "event_id": "C2C_MESSAGE_CREATE:k1",
        "msg_id": "ROBOT1.0_aB..c-d_e!!",
        "msg_idx": "REFIDX_x==",
        "message_type": 0,
        "user_openid": PERSON,
        "union_openid": "U",
    }


def test_a_group_message_in_its_two_forms_has_one_key() -> None:
    at = message(public(), "GROUP_AT_MESSAGE_CREATE")
    full = message(public() | {"content": f"<@{OWN}> /cmd"}, "GROUP_MESSAGE_CREATE")
    assert at.chat == full.chat == Address(ChatKind.GROUP, GROUP)
    assert at.segments == (Text(" /cmd"),)
    assert full.segments == (At(ACCOUNT, "bot"), Text(" /cmd"))
    assert (at.key, at.sender, at.time) == (full.key, full.sender, full.time)
    assert (at.profile.name, at.profile.role, at.from_self) == ("x", "owner", False)
    assert message(public() | {"id": "another"}, "GROUP_MESSAGE_CREATE").key != at.key


def test_what_the_bot_itself_said_is_its_own() -> None:
    body = public() | {"author": {"member_openid": OWN}, "mentions": None}
    assert message(body, "GROUP_MESSAGE_CREATE").from_self


@pytest.mark.parametrize(
    "author", [{"user_openid": PERSON}, {"id": PERSON}, {"user_openid": PERSON, "id": None}]
)
def test_payloads_of_before_2026_have_few_fields(author: dict[str, Any]) -> None:
    body = {"id": "m", "content": "hi", "timestamp": "2025-01-01T00:00:00+08:00", "author": author}
    decoded = message(body)
    assert (decoded.sender, decoded.chat.id, decoded.segments) == (PERSON, PERSON, (Text("hi"),))
    group = {
        "id": "m",
        "content": "hi",
        "timestamp": "x",
        "author": {"member_openid": MEMBER},
        "group_openid": GROUP,
    }
    decoded = message(group, "GROUP_AT_MESSAGE_CREATE")
    assert (decoded.sender, decoded.chat.id, decoded.time) == (MEMBER, GROUP, 100.0)


def test_faces_within_a_text() -> None:
    market = base64.b64encode(json.dumps({"text": "[笑哭]"}).encode()).decode()
    content = f'a{FACE}b<faceType=4,faceId="",ext="{market}"><faceType=1,faceId="x",ext="=">'
    decoded = message(private(content=content))
    assert decoded.segments == (
        Text("a"),
        Face(14, "微笑"),
        Text("b"),
        Face(0, "笑哭"),
        Text('<faceType=1,faceId="x",ext="=">'),
    )
    assert render(decoded.segments).startswith("a[微笑]b[笑哭]")


def test_mentions_are_stable_ids_in_groups_and_text_elsewhere() -> None:
    content = f'<@{MEMBER}> <qqbot-at-user id="{MEMBER}" /> <@nobody> <qqbot-at-everyone />'
    stable = compute_stable_id(IdSpace.PERSON, MEMBER)
    decoded = message(public() | {"content": content}, "GROUP_MESSAGE_CREATE")
    assert decoded.segments == (
        *(At(stable), Text(" "), At(stable)),
        *(Text(" <@nobody> "), At("all")),
    )
    assert message(private(content=content)).segments == (Text(content),)


def test_attachments_have_addresses_without_signature() -> None:
    def attachment(kind: str, **fields: Any) -> dict[str, Any]:
        return {
            "content_type": kind,
            "filename": "f",
            "url": "x.qq.com/a?fileid=1&rkey=S3CRET&spec=0",
            **fields,
        }

    attachments = [
        attachment("image/jpeg", size=7),
        attachment("voice", voice_wav_url="https://x.qq.com/w?rkey=S3CRET", asr_refer_text="早上好"),
        attachment("video/mp4", size="8"),
        attachment("file", size=-1),
        attachment("", url=None),
        "odd",
    ]
    decoded = message(private(content="", attachments=attachments))
    address = "https://x.qq.com/a?fileid=1&spec=0"
    image, record, video, file, bare = decoded.segments
    assert isinstance(image, Image)
    assert (image.url, image.size, image.name, len(image.file_id)) == (address, 7, "f", 16)
    assert isinstance(record, Record)
    assert record.url == "https://x.qq.com/w"
    assert isinstance(video, Video)
    assert video.size == 8
    assert isinstance(file, File)
    assert file.size is None
    assert (bare, decoded.upstream["asr"]) == (File("f", name="f"), "早上好")
    assert render(decoded.segments) == "[图片][语音][视频][文件][文件]"
    again = private(
        content="", attachments=[attachment("image/jpeg", size=7, url="x.qq.com/a?fileid=1&rkey=2&spec=0")]
    )
    assert message(again).segments == (image,)


def test_a_quotation_is_a_segment_and_no_text() -> None:
    elements = [
        {"msg_idx": "REFIDX_q", "content": "before", "attachments": [{"url": "http://h/?rkey=S3CRET"}]}
    ]
    scene = {"ext": ["ref_msg_idx=REFIDX_q", "msg_idx=REFIDX_m", "auth_token=S3CRET", 7]}
    decoded = message(private(message_type=103, msg_elements=elements, message_scene=scene))
    assert decoded.segments == (Reply("REFIDX_q"), Text("hi"))
    assert "S3CRET" not in repr(decoded)
    assert message(private(message_type=103, msg_elements=elements)).segments[0] == Reply("REFIDX_q")


def test_cards_chat_records_and_what_is_unknown() -> None:
    card = message(
        private(message_type=3, content="", ark_data={"prompt": "p", "fields": {"rkey": "S3CRET"}})
    )
    assert card.segments == (Json('{"prompt": "p", "fields": {}}'),)
    record = message(private(message_type=102, content=""))
    assert record.segments == (Forward("ROBOT1.0_aB..c-d_e!!"),)
    unknown = message(private(message_type=999, content="", msg_elements=[{"x": 1}]))
    assert isinstance(unknown.segments[0], Reply | Unknown)
    assert isinstance(message(private(message_type=999, content="")).segments[0], Unknown)


@pytest.mark.parametrize(
    ("event", "kind", "sub_type"),
    [
        ("FRIEND_ADD", "friend", "add"),
        ("FRIEND_DEL", "friend", "delete"),
        ("C2C_MSG_REJECT", "friend", "reject"),
        ("C2C_MSG_RECEIVE", "friend", "receive"),
        ("GROUP_ADD_ROBOT", "group", "add"),
        ("GROUP_DEL_ROBOT", "group", "delete"),
        ("GROUP_MSG_REJECT", "group", "reject"),
        ("GROUP_MSG_RECEIVE", "group", "receive"),
        ("GROUP_MEMBER_ADD", "group", "member_add"),
        ("GROUP_JOIN_REQUEST", "group", "join_request"),
    ],
)
def test_notices(event: str, kind: str, sub_type: str) -> None:
    ids = {"openid": PERSON} if kind == "friend" else {"group_openid": GROUP, "op_member_openid": MEMBER}
    notice = decode({**ids, "timestamp": 1790000000}, event)
    assert isinstance(notice, Notice)
    assert (notice.kind, notice.data["sub_type"], notice.time) == (kind, sub_type, 1790000000.0)
    assert notice.text
    assert notice.raw is None
    assert len(notice.key) == 16
    if kind == "friend":
        assert (notice.chat, notice.sender) == (Address(ChatKind.FRIEND, PERSON), PERSON)
        assert notice.data["user_id"] == compute_stable_id(IdSpace.PERSON, PERSON)
    else:
        assert (notice.chat, notice.sender) == (Address(ChatKind.GROUP, GROUP), MEMBER)
        assert notice.data["group_id"] == compute_stable_id(IdSpace.GROUP, GROUP)
        assert notice.data["operator_id"] == compute_stable_id(IdSpace.PERSON, MEMBER)
    assert PERSON not in str(notice.data)


def test_an_unknown_event_has_its_raw_form_without_signatures() -> None:
    body = {"id": "i", "user_openid": PERSON, "url": "http://h/?rkey=S3CRET", "auth_token": "S3CRET"}
    notice = decode(body, "INTERACTION_CREATE")
    assert isinstance(notice, Notice)
    assert (notice.kind, notice.text) == ("other", "INTERACTION_CREATE")
    assert notice.chat == Address(ChatKind.FRIEND, PERSON)
    assert "S3CRET" not in repr(notice)
    assert "user_openid" in str(notice.raw)


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"author": {}}, {"author": None, "id": 7}, private(author={"user_openid": ["x"]})],
)
def test_what_cannot_be_read_is_an_event(body: Any) -> None:
    notice = decode(body)
    assert isinstance(notice, Notice)
    assert notice.kind == "other"
    assert notice.data["reason"]


def test_raw_values_are_kept_on_request_without_signatures() -> None:
    decoded = message(private(attachments=[{"url": "http://h/?a=1&rkey=S3CRET"}]), keep_raw=True)
    assert decoded.raw == redact(private(attachments=[{"url": "http://h/?a=1"}]))
    assert "s3cret" not in repr(decoded).lower()
    assert message(private()).raw is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/?rkey=a", "http://h/"),
        ("http://h/?rkey=a&b=1", "http://h/?b=1"),
        ("http://h/?b=1&rkey=a", "http://h/?b=1"),
        ("http://h/?b=1&RKEY=a&c=2#f", "http://h/?b=1&c=2#f"),
        ("next=http%3A%2F%2Fh%2F%3Frkey%3Da&x=1", "next=http%3A%2F%2Fh%2F%3F&x=1"),
        ("auth_token=a", ""),
        ("monkey=1", "monkey=1"),
    ],
)
def test_signatures_leave_a_text(text: str, shown: str) -> None:
    assert redact_text(text) == shown


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [*private(), *public(), "openid", "member_openid", "url", "ark_data", "timestamp", "d", "x"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)
_EVENTS = st.sampled_from(
    [
        "C2C_MESSAGE_CREATE",
        "GROUP_AT_MESSAGE_CREATE",
        "GROUP_MESSAGE_CREATE",
        "FRIEND_ADD",
        "GROUP_ADD_ROBOT",
        "?",
    ]
)


@given(body=_VALUES, event=_EVENTS, s=_SCALARS, op=_SCALARS, outer=_SCALARS)
def test_any_dispatch_becomes_an_event(
    body: object, event: str, s: object, op: object, outer: object
) -> None:
    content = json.dumps({"op": op, "s": s, "t": event, "id": outer, "d": body}).encode()
    try:
        frame = parse_frame(content)
    except ProtocolError:
        return
    decoded = decode_dispatch(frame, 100.0, account=ACCOUNT, keep_raw=True)
    assert isinstance(decoded, Message | Notice)


@given(changes=st.dictionaries(st.sampled_from(list(public())), _VALUES, max_size=4))
def test_any_change_of_a_message_becomes_an_event(changes: dict[str, object]) -> None:
    assert isinstance(decode(public() | changes, "GROUP_MESSAGE_CREATE"), Message | Notice)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(content: bytes) -> None:
    notice = decode_unreadable(content + b" rkey=S3CRET", "no JSON")
    assert "S3CRET" not in repr(notice)
