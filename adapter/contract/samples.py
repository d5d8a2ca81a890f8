"""Golden entries: one of each event type, result and other kind of entry, as the adapter makes them.

A client in another language can prove itself by them. Bytes of `body`, `fields` and `png` are exact.
"""

from dataclasses import dataclass
from typing import Any

import msgpack

from adapter.codec.inbound import (
    EventRecord,
    RecordContext,
    encode_message,
    encode_notice,
    encode_session_event,
    pack,
    timestamp,
)
from adapter.codec.outbound import encode_result
from adapter.codec.sent_message import encode_sent_message
from adapter.content import (
    At,
    Face,
    File,
    Font,
    Forward,
    Image,
    Json,
    Markdown,
    Record,
    Reply,
    Text,
    Unknown,
    Video,
)
from adapter.contract.tables import CODES, COMMANDS, INBOUND, NOTICES, REQUESTS, SESSIONS
from adapter.events import (
    CONTRACT_VERSION,
    Address,
    ChatKind,
    ContactRef,
    Gap,
    Identity,
    Message,
    Notice,
    Participants,
    SendRequest,
    SendResult,
    SessionChange,
    SessionState,
    Status,
)

ACCOUNT, EPOCH, WHEN = "305419896", 7, 1_445_653_507.0
_GROUP = Address(ChatKind.GROUP, "2419712345")
_CHATS = {
    ChatKind.FRIEND: Address(ChatKind.FRIEND, "3680212345"),
    ChatKind.GROUP: _GROUP,
    ChatKind.DISCUSS: Address(ChatKind.DISCUSS, "1664012345"),
    ChatKind.TEMP: Address(ChatKind.TEMP, "3680212345", _GROUP),
}
_SPEAKER = ContactRef("3680212345", "林晓", Identity.EXACT, card="小林", qq="10001")
_FONT = Font("宋体", 10, (0, 1, 0), "000000")
_SEGMENTS = (
    Text("hello 😀\n"),
    Face(14, "微笑"),
    Image("cface", name="{9A}.jpg", file_id="2914", key="k9", server="127.0.0.1:8000"),
    Image("offpic", file_path="/1/2/3"),
    Image("missing"),
    Unknown(["later", {"n": 2**53}]),
)
# A picture of one pixel: bytes that are not UTF-8.
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010100000000376ef92400000010"
    "49444154789c626001000000ffff03000006000557bfabd40000000049454e44ae426082"
)
Value = str | bytes


@dataclass(frozen=True, slots=True)
class Golden:
    """An entry of a stream, under a unique name."""

    stream: str
    name: str
    fields: dict[str, Value]

    def as_map(self) -> dict[str, Any]:
        """Return the value of its JSON file.

        Bytes become hexadecimal text; `decoded` is what they decode to.
        """
        texts = {
            name: {"hex": value.hex()} if isinstance(value, bytes) else value
            for name, value in self.fields.items()
        }
        decoded = {
            name: _json_value(msgpack.unpackb(value))
            for name, value in self.fields.items()
            if isinstance(value, bytes) and name in {"body", "fields"} and not value.startswith(b"{")
        }
        return {"stream": self.stream, "fields": texts, "decoded": decoded}


def goldens() -> list[Golden]:
    """Return all golden entries."""
    return [
        *(*_messages(), *_onebot_messages(), *_notices(), *_group_requests()),
        *(*_sessions(), *_requests(), *_results(), *_others()),
    ]


def append_fields(record: EventRecord, seq: int) -> dict[str, Value]:
    """Return the fields of an event as the append writes them."""
    known: dict[str, Value] = dict(
        zip(("id", "type", "time", "chat", "sender", "self", "text", "body"), record, strict=True)
    )
    known |= {"v": CONTRACT_VERSION, "account": ACCOUNT, "epoch": str(EPOCH), "seq": str(seq)}
    return {name: known[name] for name in INBOUND.names}


def _event(record: EventRecord, seq: int, name: str = "") -> Golden:
    return Golden("inbound", name or record.type, append_fields(record, seq))


def _messages() -> list[Golden]:
    made = []
    for seq, (kind, chat) in enumerate(_CHATS.items(), 1):
        contact = ContactRef(chat.id, "读书会", Identity.MATCHED)
        message = Message(
            chat,
            _SPEAKER.id,
            WHEN,
            _SEGMENTS,
            "35693",
            font=_FONT,
            upstream={"network": "smartqq", "poll_type": f"{kind}_message", "from_uin": 2**32 + 5},
        )
        record = encode_message(
            message, Participants(chat, contact, _SPEAKER), RecordContext(ACCOUNT, EPOCH, WHEN), raw=False
        )
        made.append(_event(record, seq))
    own = Message(
        _GROUP, ACCOUNT, WHEN, (Text("said on the phone"),), "35694", from_self=True, raw={"msg_id": 35694}
    )
    participants = Participants(_GROUP, ContactRef(_GROUP.id), ContactRef(ACCOUNT))
    made.append(
        _event(
            encode_message(own, participants, RecordContext(ACCOUNT, EPOCH, WHEN), raw=True), 5, "message.own"
        )
    )
    return made


def _onebot_messages() -> list[Golden]:
    """Return a message with all segments that SmartQQ does not have, and one that was sent by a request."""
    segments = (
        *(Reply("-2147483648"), At("10001", "小林"), At("all"), Text(" look ")),
        Image(file="A1B2.jpg", url="https://multimedia.nt.qq.com.cn/download?rkey=1", size=3_000_000),
        Record(file="a.amr", size=2_048),
        Video(file="a.mp4", file_id="/1", name="a.mp4"),
        File(file="report.docx", file_id="/2", size=12, name="report.docx"),
        *(Forward("7214"), Json('{"app":"com.tencent.structmsg"}'), Markdown("# title")),
    )
    message = Message(
        _GROUP, "10001", WHEN, segments, "84966612664", qq="10001", upstream={"network": "onebot"}
    )
    sender = ContactRef("10001", "林晓", Identity.EXACT, "小林", "10001", "admin", "大侠")
    participants = Participants(_GROUP, ContactRef(_GROUP.id, "读书会", Identity.EXACT), sender)
    context = RecordContext(ACCOUNT, EPOCH, WHEN)
    record = encode_message(message, participants, context, raw=False)
    request = SendRequest("1445653507000-0", "bot/1", _GROUP, (Text("hello"),))
    sent = encode_sent_message(request, _GROUP, "84966612665", context, nick="小林", network="onebot")
    return [_event(record, 6, "message.onebot"), _event(sent, 7, "message.sent")]


def _group_requests() -> list[Golden]:
    made = []
    for seq, kind in enumerate(REQUESTS, 28):
        is_group = kind == "group"
        data = {"user_id": "10010", "comment": "你好", "flag": "30001|7|1|0" if is_group else "1445653507"}
        notice = Notice(
            f"request.{kind}",
            text="请求加入群：你好" if is_group else "请求加为好友：你好",
            chat=_GROUP if is_group else None,
            sender="10010",
            time=WHEN,
            message_id="add:30001_7c7_7c1_7c0" if is_group else ":1445653507",
            data=data | ({"group_id": _GROUP.id, "sub_type": "add"} if is_group else {}),
            upstream={"network": "onebot"},
        )
        chat = ContactRef(_GROUP.id, "读书会", Identity.EXACT) if is_group else None
        sender = ContactRef("10010", "", Identity.EXACT, qq="10010")
        participants = Participants(_GROUP if is_group else None, chat, sender)
        record = encode_notice(notice, participants, RecordContext(ACCOUNT, EPOCH, WHEN), raw=False)
        made.append(_event(record, seq))
    return made


# The own content of notices that have one.
_NOTICE_DATA: dict[str, dict[str, object]] = {
    "file": {"name": "report.docx"},
    "recall": {"group_id": "2419712345", "user_id": "10001", "operator_id": "", "message_id": "-9"},
    "member": {"group_id": "2419712345", "user_id": "10010", "operator_id": "10001", "sub_type": "approve"},
    "mute": {"group_id": "2419712345", "user_id": "", "operator_id": "10001", "duration": -1},
}


def _notices() -> list[Golden]:
    made = []
    for seq, kind in enumerate(NOTICES, 10):
        raw = {"poll_type": "never_seen", "value": {"a": [1, None, True]}} if kind == "other" else None
        notice = Notice(
            kind,
            text="共享文件 [report.docx]" if kind == "file" else kind,
            chat=None if kind == "other" else _GROUP,
            sender="" if kind == "other" else _SPEAKER.id,
            time=None if kind == "other" else WHEN,
            data=_NOTICE_DATA.get(kind, {}),
            raw=raw,
        )
        participants = (
            Participants()
            if kind == "other"
            else Participants(_GROUP, ContactRef(_GROUP.id, "读书会"), _SPEAKER)
        )
        made.append(
            _event(encode_notice(notice, participants, RecordContext(ACCOUNT, EPOCH, WHEN), raw=False), seq)
        )
    return made


def _sessions() -> list[Golden]:
    made = []
    for seq, kind in enumerate(SESSIONS, 30):
        event = (
            Gap(WHEN - 60, WHEN, "relink")
            if kind == "gap"
            else SessionChange(SessionState(kind), "full", account=ACCOUNT, nick="小桥")
        )
        made.append(_event(encode_session_event(event, RecordContext(ACCOUNT, EPOCH, WHEN)), seq))
    return made


def _requests() -> list[Golden]:
    segments = [{"type": "text", "data": {"text": "hello "}}, {"type": "face", "data": {"id": 14}}]
    font = {"name": "宋体", "size": 10, "style": [0, 0, 0], "color": "000000"}
    rows: dict[str, dict[str, Value]] = {
        "smallest": {"to": "group:2419712345", "text": "hello [微笑]"},
        "reply": {"to": "reply:305419896.g2419712345.3680212345.35693.1445653507.5c2e", "text": "hello"},
        "full": {
            "to": "temp:3680212345@group:2419712345",
            "text": "hello",
            "id": "bot/305419896.g2419712345.3680212345.35693.1445653507.5c2e",
            "expires": "30",
            "cause": "305419896.g2419712345.3680212345.35693.1445653507.5c2e",
            "delivery": "at-least-once",
            "priority": "high",
            "results": "qq:results:bot",
        },
        "msgpack": {"to": "discuss:1664012345", "body": pack({"segments": segments, "font": font})},
        "json": {
            "to": "friend:3680212345",
            "body": b'{"segments": [{"type": "text", "data": {"text": "hello"}}]}',
            "expires": "2015-10-24T02:26:07.000Z",
        },
        "at": {
            "to": "group:2419712345",
            "text": "good morning",
            "id": "bot/morning/2015-10-24",
            "expires": "600",
            "at": "3600",
        },
        "recall": {"to": "group:2419712345", "op": "recall", "message_id": "-9"},
        "approve": {
            "op": "approve",
            "event": f"{ACCOUNT}.-.10010.:1445653507.1445653507.5c2e",
            "text": "小林",
        },
        "deny": {
            "op": "deny",
            "event": f"{ACCOUNT}.g2419712345.10010.add:30001_7c7_7c1_7c0.1445653507.5c2e",
        },
        "call": {"op": "call", "body": b'{"action": "get_group_info", "params": {"group_id": 2419712345}}'},
    }
    return [Golden("outbound", f"outbound.{name}", fields) for name, fields in rows.items()]


def _results() -> list[Golden]:
    made = []
    for status, codes in CODES.items():
        begun = status not in {Status.REJECTED, Status.EXPIRED}
        for code in codes:
            result = SendResult(
                entry="1445653507123-0",
                id="bot/1",
                to="group:2419712345",
                status=status,
                code=code,
                detail="0 send ok" if status is Status.SENT else "",
                attempts=int(begun),
                sent=2 if status is Status.SENT else int(status is Status.UNKNOWN),
                total=2 if begun else 0,
                message_id="45650001" if begun else "",
                replayed=False,
            )
            made.append(_result(f"{status.value}.{code}", result))
    again = SendResult(
        "1445653507124-0",
        "bot/1",
        "group:2419712345",
        Status.SENT,
        "ok",
        "",
        1,
        1,
        1,
        "45650001",
        replayed=True,
    )
    called = SendResult(
        "1445653507125-0", "bot/2", "", Status.SENT, "ok", "", 1, 1, 1, data='{"group_name":"读书会"}'
    )
    return [*made, _result("replayed", again), _result("called", called)]


def _result(name: str, result: SendResult) -> Golden:
    flat = encode_result(result, ACCOUNT, EPOCH, WHEN)
    return Golden("results", f"results.{name}", dict(zip(flat[::2], flat[1::2], strict=True)))


def _others() -> list[Golden]:
    when = timestamp(WHEN)
    letter: dict[str, Value] = {
        "v": CONTRACT_VERSION,
        "time": when,
        "stream": "qq:outbound",
        "entry": "1445653507123-0",
        "group": "adapter",
        "consumer": "adapter",
        "reason": "schema.invalid",
        "detail": "to is missing: give an address, or reply:<event id>",
        "attempts": "1",
        "fields": pack({"text": b"hello", "blob": b"\xff\x00"}),
    }
    made = [Golden("dead", "dead", letter)]
    details: dict[str, dict[str, Value]] = {"captcha": {"text": "a7Kq"}}
    details["lapse"] = details["restore"] = {"group": "bot"}
    details["presence"] = {"status": "busy", "reply": "0123456789abcdef" * 2}
    details["image"] = {"entry": "1445653507123-0", "number": "1", "reply": "0123456789abcdef" * 2}
    for name in COMMANDS:
        command: dict[str, Value] = {"cmd": name, "by": "operator@host"}
        made.append(Golden("control", f"control.{name}", command | details.get(name, {})))
    for state in SessionState:
        entry: dict[str, Value] = {
            "v": CONTRACT_VERSION,
            "time": when,
            "account": ACCOUNT if state is SessionState.ONLINE else "",
            "epoch": str(EPOCH),
            "state": state.value,
            "reason": "",
            "detail": "",
        }
        if state in {SessionState.QR, SessionState.CAPTCHA}:
            text = "https://txz.qq.com/p?k=never&f=716027609" if state is SessionState.QR else ""
            entry |= {"png": _PNG, "text": text, "expires": timestamp(WHEN + 120)}
        made.append(Golden("session", f"session-stream.{state.value}", entry))
    return [*made, Golden("status", "status", _status(when))]


def _status(when: str) -> dict[str, Value]:
    return {
        "state": "online",
        "reason": "full",
        "account": ACCOUNT,
        "nick": "小桥",
        "since": when,
        "epoch": str(EPOCH),
        "holder": "host:1:0a1b2c3d",
        "inbound_seq": "90412",
        "outbound_pending": "0",
        "last_event": when,
        "last_poll": when,
        "paused": "0",
        "version": "0.1.0",
        "network": "smartqq",
    }


def _json_value(value: object) -> object:
    match value:
        case bytes():
            return {"hex": value.hex()}
        case dict():
            return {name: _json_value(item) for name, item in value.items()}
        case list():
            return [_json_value(item) for item in value]
        case _:
            return value
