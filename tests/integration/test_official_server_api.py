"""The API of the official server: tokens, messages, refusals, media, faults."""

import base64
import hashlib
from typing import Any

import httpx
import pytest

from tests.official_server import Answer, OfficialServer, Rule
from tests.official_server.files import PIXEL
from tests.official_server.visitor import Visitor

pytestmark = pytest.mark.anyio


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json().get("code", 0)


# Tokens


async def test_a_token_is_the_same_until_its_last_minute_and_the_old_one_lives_on() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        first = await bot.fetch_token()
        assert first["expires_in"] == "7200"
        server.advance(7_100)
        assert (await bot.fetch_token())["access_token"] == first["access_token"]
        server.advance(50)
        second = await bot.fetch_token()
        assert second["access_token"] != first["access_token"]
        bot.token = first["access_token"]
        assert (await bot.call("GET", "/users/@me")).json()["bot"] is True
        server.advance(60)
        assert code(await bot.call("GET", "/users/@me")) == (401, 11244)


async def test_refused_tokens_come_as_http_200() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        assert (await bot.fetch_token(secret="wrong"))["code"] == 100016
        assert (await bot.fetch_token(appid="1"))["code"] == 100007
        server.set(token_code=100001)
        assert await bot.fetch_token() == {"code": 100001, "message": "请求过于频繁"}
        server.set(token_code=0, token_text=False)
        assert (await bot.fetch_token())["expires_in"] == 7200


async def test_calls_without_rights_are_refused() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        assert code(await bot.call("GET", "/gateway", Authorization="Bearer x")) == (401, 11241)
        assert (await bot.call("GET", "/gateway")).json() == {"url": server.gateway_url}
        server.set(ip_allowed=False)
        refused = await bot.call("GET", "/gateway/bot")
        assert (code(refused), refused.json()["err_code"]) == ((401, 11298), 40023002)
        assert refused.headers["X-Tps-trace-ID"]
        server.revoke_tokens()
        assert code(await bot.call("GET", "/gateway")) == (401, 11244)


# Messages


async def test_an_answer_needs_its_anchor_and_each_msg_seq_goes_once() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        event = server.say("friend:ann", "hi")
        sent = await bot.send("friend:ann", "hello", msg_id=event.message_id, msg_seq=7)
        assert sent.headers["Content-Type"] == "application/json"
        assert sent.json()["ext_info"]["ref_idx"].startswith("REFIDX_")
        again = await bot.send("friend:ann", "hello", msg_id=event.message_id, msg_seq=7)
        assert code(again) == (400, 40054005)
        stranger = await bot.call("POST", "/v2/users/0123/messages", {"content": "x"})
        assert code(stranger) == (400, 40054004)
        assert code(await bot.send("friend:bob", "hello", msg_id=event.message_id)) == (400, 40034024)
        (received,) = server.record.received
        assert (received.chat, received.text, received.anchor, received.msg_seq, received.id) == (
            "friend:ann",
            "hello",
            event.message_id,
            7,
            sent.json()["id"],
        )


@pytest.mark.parametrize(
    ("chat", "replies", "seconds", "refused"),
    [("friend:ann", 4, 3_600, 40034005), ("group:lab", 5, 300, 304103)],
)
async def test_answers_are_counted_and_end_with_their_window(
    chat: str, replies: int, seconds: float, refused: int
) -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        event = server.say(chat, "hi", sender="ann", at=True)
        for seq in range(replies):
            assert code(await bot.send(chat, "x", msg_id=event.message_id, msg_seq=seq + 1)) == (200, 0)
        assert code(await bot.send(chat, "x", msg_id=event.message_id, msg_seq=90)) == (400, 40034128)
        late = server.say(chat, "hi", sender="ann", at=True)
        server.advance(seconds + 1)
        await bot.fetch_token()
        assert code(await bot.send(chat, "x", msg_id=late.message_id)) == (400, refused)


async def test_some_notices_can_be_answered_by_event_id() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        added = server.notify("FRIEND_ADD", "friend:ann")
        assert code(await bot.send("friend:ann", "welcome", event_id=added.event_id)) == (200, 0)
        assert code(await bot.send("friend:ann", "welcome", event_id=added.event_id)) == (400, 40054005)
        server.set(event_dedup=False)
        assert code(await bot.send("friend:ann", "welcome", event_id=added.event_id)) == (200, 0)
        rejected = server.notify("C2C_MSG_REJECT", "friend:ann")
        assert code(await bot.send("friend:ann", "x", event_id=rejected.event_id)) == (400, 40034025)
        assert code(await bot.send("friend:ann", "x")) == (400, 40034105)


async def test_messages_without_an_anchor_have_switches_and_quotas() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        server.change("friend:ann", accepts_proactive=True)
        answers = [code(await bot.send("friend:ann", str(number))) for number in range(6)]
        assert answers == [(200, 0)] * 5 + [(400, 40034100)]
        server.change("group:lab", has_bot=True)
        assert code(await bot.send("group:lab", "x")) == (400, 40034105)
        server.notify("GROUP_MSG_RECEIVE", "group:lab", "owner")
        assert code(await bot.send("group:lab", "x")) == (200, 0)
        state = (await bot.call("GET", f"{bot.path('group:lab')}/bot_state")).json()
        assert (state["allow_proactive_msg"], state["recv_msg_setting"]) == (True, "only_mention")


async def test_one_wake_up_message_goes_in_each_period() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        server.say("friend:ann", "hi")
        server.change("friend:ann", accepts_proactive=False)
        assert code(await bot.send("friend:ann", "x", is_wakeup=True)) == (200, 0)
        assert code(await bot.send("friend:ann", "x", is_wakeup=True)) == (400, 40034102)
        server.advance(2 * 86_400)
        await bot.fetch_token()
        assert code(await bot.send("friend:ann", "x", is_wakeup=True)) == (200, 0)


@pytest.mark.parametrize(
    ("chat", "switches", "fields", "refused"),
    [
        ("friend:ann", {"is_friend": False}, {}, 40054004),
        ("friend:ann", {"refuses": True}, {}, 40054013),
        ("group:lab", {"has_bot": False}, {}, 40034101),
        ("group:lab", {"is_muted": True}, {}, 40054002),
        ("group:lab", {"allows_proactive": True}, {"content": "see https://x.example"}, 40054010),
        ("friend:ann", {}, {"content": " "}, 50006),
        ("friend:ann", {}, {"msg_type": 3}, 22006),
        ("friend:ann", {}, {"msg_type": 2}, 304036),
        ("friend:ann", {}, {"msg_type": 7}, 850019),
        ("friend:ann", {}, {"msg_seq": "x"}, 12002),
        ("friend:ann", {}, {"content": "y" * 11}, 40054007),
    ],
)
async def test_refusals_have_their_codes(
    chat: str, switches: dict[str, Any], fields: dict[str, Any], refused: int
) -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        server.change(chat, **switches)
        server.set(max_length=10 if refused == 40054007 else 0)
        assert code(await bot.send(chat, "hello", **fields)) == (400, refused)
        server.set(errors_as_200=True)
        assert code(await bot.send(chat, "hello", **fields)) == (200, refused)
        assert server.record.received == []


async def test_markdown_typing_quotes_and_audit() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        event = server.say("friend:ann", "hi")
        anchored = {"msg_id": event.message_id}
        await bot.send(
            "friend:ann", msg_type=6, input_notify={"input_type": 1, "input_second": 5}, **anchored
        )
        assert server.record.typing == ["friend:ann"]
        await bot.send("friend:ann", msg_type=2, markdown={"content": "# hi"}, msg_seq=2, **anchored)
        quoted = {"message_reference": {"message_id": "REFIDX_x=="}}
        await bot.send("friend:ann", "this", msg_seq=3, **anchored, **quoted)
        assert [(one.text, one.reference) for one in server.record.received] == [
            ("# hi", ""),
            ("this", "REFIDX_x=="),
        ]
        server.set(audit=True)
        audited = await bot.send("friend:ann", "hm", msg_seq=4, **anchored)
        assert code(audited) == (202, 304023)
        assert audited.json()["data"]["message_audit"]["audit_id"]


async def test_a_message_can_be_recalled_for_two_minutes() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        server.change("friend:ann")
        ids = [(await bot.send("friend:ann", str(number))).json()["id"] for number in range(2)]
        path = f"{bot.path('friend:ann')}/messages"
        assert (await bot.call("DELETE", f"{path}/{ids[0]}")).status_code == 200
        assert code(await bot.call("DELETE", f"{path}/{ids[0]}")) == (400, 40061001)
        assert [one.text for one in server.shown] == ["1"]
        server.advance(121)
        assert code(await bot.call("DELETE", f"{path}/{ids[1]}")) == (400, 40064004)


# Events of groups


async def test_a_group_sends_mentions_only_until_its_owner_opens_it() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify()
        with pytest.raises(ValueError, match="only mentions"):
            server.say("group:lab", "unheard", sender="ann")
        server.say("group:lab", "/cmd", sender="ann", at=True)
        mention = await bot.frame()
        assert (mention["t"], mention["d"]["content"]) == ("GROUP_AT_MESSAGE_CREATE", " /cmd")
        assert mention["d"]["mentions"][0]["is_you"] is True
        server.change("group:lab", receives="all", roles={"ann": "owner"})
        server.say("group:lab", "all hear", sender="ann")
        full = await bot.frame()
        assert (full["t"], full["d"]["author"]["member_role"]) == ("GROUP_MESSAGE_CREATE", "owner")


async def test_a_mention_in_an_open_group_may_come_twice() -> None:
    async with OfficialServer(full_at="both", mention_style="long") as server, Visitor(server) as bot:
        await bot.identify()
        server.change("group:lab", receives="all")
        server.say("group:lab", "/cmd", sender="ann", at=True)
        short, full = await bot.frame(), await bot.frame()
        own = server.openid("group:lab", "qqbus-bot")
        assert (short["t"], full["t"]) == ("GROUP_AT_MESSAGE_CREATE", "GROUP_MESSAGE_CREATE")
        assert short["d"]["id"] == full["d"]["id"]
        assert short["id"] != full["id"]
        assert full["d"]["content"] == f'<qqbot-at-user id="{own}" /> /cmd'


async def test_old_payloads_have_few_fields() -> None:
    async with OfficialServer(old_payloads=True) as server, Visitor(server) as bot:
        await bot.identify()
        server.say("friend:ann", "hi")
        server.say("group:lab", "hi", sender="ann", at=True)
        private, group = (await bot.frame())["d"], (await bot.frame())["d"]
        assert set(private) == {"id", "content", "timestamp", "author"}
        assert set(private["author"]) == {"user_openid"}
        assert set(group) == {"id", "content", "timestamp", "author", "group_openid"}


async def test_quotes_cards_and_attachments_come_with_signed_addresses() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify()
        voice = {"kind": "voice", "asr": "hello", "base64": base64.b64encode(b"sound").decode()}
        quote = {"text": "before", "author": "bob", "attachments": [{"kind": "image"}]}
        server.say("friend:ann", "look", attachments=[voice], quote=quote)
        body = (await bot.frame())["d"]
        assert (body["message_type"], body["msg_elements"][0]["content"]) == (103, "before")
        assert body["message_scene"]["ext"][1] == f"ref_msg_idx={body['msg_elements'][0]['msg_idx']}"
        attached = body["attachments"][0]
        assert (attached["content_type"], attached["asr_refer_text"]) == ("voice", "hello")
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(attached["url"])).content == b"sound"
            assert (await http.get(body["msg_elements"][0]["attachments"][0]["url"])).content == PIXEL
            server.advance(3_601)
            assert (await http.get(attached["url"])).status_code == 400
        server.set(bare_urls=True)
        card = {"prompt": "p", "ark_type": "t", "ark_name": "n", "fields": {}}
        server.say("friend:ann", card=card, attachments=[{"kind": "file", "name": "a.pdf"}])
        body = (await bot.frame())["d"]
        assert (body["message_type"], body["ark_data"]) == (3, card)
        assert body["attachments"][0]["url"].startswith("127.0.0.1:")


# Media


async def test_a_picture_is_uploaded_by_address_and_shown_on_its_side_only() -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        await bot.identify()
        event = server.say("friend:ann", "hi", attachments=[{"kind": "image"}])
        url = (await bot.frame())["d"]["attachments"][0]["url"]
        uploaded = await bot.call("POST", f"{bot.path('friend:ann')}/files", {"file_type": 1, "url": url})
        media = {"file_info": uploaded.json()["file_info"]}
        await bot.send("friend:ann", msg_type=7, media=media, msg_id=event.message_id)
        (received,) = server.record.received
        assert received.media is not None
        assert received.media["sha256"] == hashlib.sha256(PIXEL).hexdigest()
        server.change("group:lab", allows_proactive=True)
        assert code(await bot.send("group:lab", msg_type=7, media=media)) == (400, 850019)


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ({"file_type": 9, "url": "https://x.example/a.png"}, 850019),
        ({"file_type": 1, "file_data": base64.b64encode(b"no picture").decode()}, 850019),
        ({"file_type": 1, "url": "ftp://x.example"}, 12002),
        ({"file_type": 1, "url": "http://127.0.0.1:9/none"}, 850026),
        ({"file_type": 4, "file_data": base64.b64encode(b"x" * 300).decode()}, 850031),
    ],
)
async def test_uploads_are_refused_with_their_codes(body: dict[str, Any], refused: int) -> None:
    async with OfficialServer(media_limit=200) as server, Visitor(server) as bot:
        server.change("friend:ann")
        assert code(await bot.call("POST", f"{bot.path('friend:ann')}/files", body)) == (400, refused)


async def test_a_file_is_uploaded_in_parts_and_sent_at_once() -> None:
    async with OfficialServer(part_bytes=4) as server, Visitor(server) as bot:
        server.change("friend:ann")
        content, path = b"ten bytes!", bot.path("friend:ann")
        md5 = hashlib.md5(content).hexdigest()  # noqa: S324 – the protocol's checksum
        sums = {"md5": md5, "sha1": hashlib.sha1(content).hexdigest(), "md5_10m": md5}  # noqa: S324
        asked = {"file_type": 4, "file_name": "a.txt", "file_size": len(content), **sums}
        prepared = (await bot.call("POST", f"{path}/upload_prepare", asked)).json()
        done = {"upload_id": prepared["upload_id"], "srv_send_msg": True}
        assert code(await bot.call("POST", f"{path}/files", done)) == (400, 40093001)
        async with httpx.AsyncClient(trust_env=False) as http:
            for part in prepared["parts"]:
                piece = content[4 * (part["index"] - 1) : 4 * part["index"]]
                await http.put(part["presigned_url"], content=piece)
                finished = {
                    "upload_id": prepared["upload_id"],
                    "part_index": part["index"],
                    "md5": hashlib.md5(piece).hexdigest(),  # noqa: S324
                }
                assert (await bot.call("POST", f"{path}/upload_part_finish", finished)).status_code == 200
        assert (await bot.call("POST", f"{path}/files", done)).json()["file_info"]
        assert server.record.received[0].media == {
            "kind": "file",
            "url": "",
            "size": 10,
            "sha256": hashlib.sha256(content).hexdigest(),
        }


# Faults


async def test_scripted_answers_say_whether_the_message_arrived() -> None:
    async with OfficialServer(errors_as_200=True, proactive_limits=False) as server, Visitor(server) as bot:
        server.change("friend:ann")
        server.next_answer(
            "send",
            Answer(status=502),
            Answer(code=50055001, serve=True),
            Answer(status=200, code=40034105),
            Answer(swallow=True),
            Answer(code=22009),
            Answer(json={"message": "no id"}, serve=True),
        )
        answers = [await bot.send("friend:ann", str(number)) for number in range(6)]
        assert [one.status_code for one in answers] == [502, 200, 200, 200, 200, 200]
        assert [(one.text, one.shown) for one in server.record.received] == [
            ("1", True),
            ("3", False),
            ("5", True),
        ]


@pytest.mark.parametrize(("cut", "arrived"), [("before", 0), ("after", 1), ("body", 1)])
async def test_a_cut_connection_leaves_the_sender_in_doubt(cut: Any, arrived: int) -> None:
    async with OfficialServer() as server, Visitor(server) as bot:
        server.change("friend:ann")
        await bot.fetch_token()
        server.next_answer("send", Answer(cut=cut))
        with pytest.raises(httpx.TransportError):
            await bot.send("friend:ann", "x")
        assert len(server.record.received) == arrived
        assert server.record.requests[-1].cut == cut


async def test_rules_answer_again_and_again_until_they_are_cleared() -> None:
    async with OfficialServer(proactive_limits=False) as server, Visitor(server) as bot:
        server.change("friend:ann")
        server.add_rule(Rule("send", Answer(code=22009), every=2))
        statuses = [(await bot.send("friend:ann", "x")).status_code for _ in range(4)]
        assert statuses == [200, 429, 200, 429]
        server.clear_faults()
        assert (await bot.send("friend:ann", "x")).status_code == 200


async def test_calls_are_limited_by_the_second() -> None:
    async with OfficialServer(api_qps=3) as server, Visitor(server) as bot:
        statuses = [(await bot.call("GET", "/users/@me")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        server.advance(1)
        assert (await bot.call("GET", "/users/@me")).status_code == 200


async def test_messages_after_an_expired_connection_may_never_be_shown() -> None:
    async with (
        OfficialServer(swallow_after_expiry=100.0, needs_gateway=True) as server,
        Visitor(server) as bot,
    ):
        server.change("friend:ann")
        assert code(await bot.send("friend:ann", "x")) == (400, 304018)
        await bot.identify()
        await server.kill(4009)
        await bot.resume()
        await bot.frame()
        assert code(await bot.send("friend:ann", "swallowed")) == (200, 0)
        server.advance(101)
        assert code(await bot.send("friend:ann", "shown")) == (200, 0)
        assert [one.text for one in server.shown] == ["shown"]
