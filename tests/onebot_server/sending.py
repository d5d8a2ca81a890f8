"""Actions that send: where a message goes, what is left of it, and what is recorded."""

from urllib.parse import urlsplit

import aiohttp

from .addresses import Chat
from .call import Call
from .errors import ActionError, Failure, bad_params, refused
from .events import message_event
from .params import Params, boolean, integer, words
from .pictures import MAX_MADE, local_content
from .record import Delivery, shortened
from .segments import Segment, parse, plain, text

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# What each implementation can send; it drops other segments in silence.
SENDABLE = frozenset(
    (
        *("text", "face", "image", "record", "video", "file", "at", "reply", "forward", "json", "mface"),
        *("dice", "rps", "poke", "contact", "location", "music", "share", "markdown", "node"),
    )
)
# The highest face id; NapCat drops unknown ones in silence.
MAX_FACE = 400
# Seconds that fetching a picture may take.
_FETCH_SECONDS = 10
TIMEOUT_WORDING = (
    "Timeout: NTEvent serviceAndMethod:NodeIKernelMsgService/sendMsg "
    "ListenerName:NodeIKernelMsgListener/onMsgInfoListUpdate EventRet:\n{}\n"
)


async def send_private_msg(call: Call) -> object:
    """Send to a friend, or into a temporary session."""
    return await _send(call, _private_chat(call))


async def send_group_msg(call: Call) -> object:
    """Send to a group."""
    return await _send(call, _group_chat(call))


async def send_msg(call: Call) -> object:
    """Send to whatever the implementation takes the parameters for."""
    return await _send(call, _private_chat(call) if _is_private(call) else _group_chat(call))


async def send_forward(call: Call) -> object:
    """Send a forwarded chat of nodes."""
    nodes = call.params.get("messages", call.params.get("message"))
    if not isinstance(nodes, list) or not nodes:
        raise bad_params("messages is required")
    chat = _private_chat(call) if "user_id" in call.params else _group_chat(call)
    sent = await _deliver(call, chat, [{"type": "forward", "data": {"content": nodes}}], form="array")
    return {"message_id": sent, "forward_id": str(sent), "res_id": str(sent)}


def _is_private(call: Call) -> bool:
    params, traits = call.params, call.state.traits
    kind, has_group = params.get("message_type"), bool(params.get("group_id"))
    if traits.does_group_id_override_type and has_group:
        return False
    if kind in {"private", "group"}:
        return bool(kind == "private")
    return bool(params.get("user_id")) and (traits.does_send_msg_prefer_user or not has_group)


def _group_chat(call: Call) -> Chat:
    number = integer(call.params, "group_id")
    if number not in call.state.world.groups:
        raise refused("群聊不存在或未加入", "GROUP_NOT_FOUND")
    return Chat("group", number)


def _private_chat(call: Call) -> Chat:
    state, world = call.state, call.state.world
    user, number = integer(call.params, "user_id"), integer(call.params, "group_id", 0)
    if user in world.friends:
        return Chat("friend", user)
    group = world.groups.get(number)
    if group is not None and user in group.members:
        return Chat("temp", user, number)
    if group is not None and state.traits.does_private_fall_back_to_group:
        return Chat("group", number)  # the trap: a private text becomes public
    if not number and user in state.temp_groups:
        return Chat("temp", user, state.temp_groups[user])
    raise refused("无法获取用户信息", "SEND_MSG_API_ERROR")


async def _send(call: Call, chat: Chat) -> object:
    message = call.params.get("message")
    if message is None:
        raise bad_params("message is required")
    if isinstance(message, str) and boolean(call.params, "auto_escape", default=False):
        segments = [text(message)]
    else:
        segments = parse(message, bad_params)
    kept = await _kept(call, chat, segments)
    if not kept:
        raise refused("消息体无法解析, 请检查是否发送了不支持的消息类型", "EMPTY_MSG_ERROR")
    form = "string" if isinstance(message, str) else "array"
    return {"message_id": await _deliver(call, chat, kept, form=form)}


async def _kept(call: Call, chat: Chat, segments: list[Segment]) -> list[Segment]:
    kept = []
    for segment in segments:
        kind, data = segment["type"], segment["data"]
        is_dropped = (
            kind not in SENDABLE
            or (kind == "text" and not str(data.get("text", "")))
            or (kind == "at" and chat.is_private)
            or (kind == "face" and not _is_face(data.get("id")))
            or (kind == "reply" and call.state.messages.find(_id(data.get("id"))) is None)
        )
        if is_dropped:
            continue
        if kind in {"image", "record", "video", "file"}:
            segment = {"type": kind, "data": {**data, **await _uploaded(call, data)}}  # noqa: PLW2901
        kept.append(segment)
    return kept


def _is_face(value: object) -> bool:
    return str(value).isdecimal() and int(str(value)) <= MAX_FACE


def _id(value: object) -> int:
    digits = str(value)
    return int(digits) if digits.removeprefix("-").isdecimal() else 0


async def _uploaded(call: Call, data: Params) -> dict[str, object]:
    """Return name and size of a file that is now stored; raise if it cannot be had."""
    file, pictures = str(data.get("file") or data.get("url") or ""), call.state.pictures
    content = local_content(file)
    if content is None and file.startswith(("http://", "https://")):
        content = await _fetched(file)
    if content is None:
        stored = pictures.find(file)
        if stored is None:
            raise refused("识别URL失败, 文件不存在")
        return {"file": stored.name, "file_size": len(stored.content)}
    stored = pictures.store(content)
    return {"file": stored.name, "file_size": len(stored.content)}


async def _fetched(url: str) -> bytes:
    if urlsplit(url).hostname not in LOOPBACK:
        raise refused("下载文件失败: this server fetches from loopback alone")
    limit = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=limit) as http, http.get(url) as answer:
            is_good = answer.ok and (answer.content_length or 0) <= MAX_MADE
            content = await answer.read() if is_good else None
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise refused(f"下载文件失败: {exc}") from exc
    if content is None:
        raise refused(f"下载文件失败: {answer.status}")
    return content


async def _deliver(call: Call, chat: Chat, segments: list[Segment], *, form: str) -> int:
    state = call.state
    if not state.switches.is_online:
        raise refused("发送失败, 账号已离线")
    if state.switches.mute == "lost":
        raise ActionError(Failure.TIMEOUT, TIMEOUT_WORDING)
    if chat.kind == "group" and _is_muted(call, chat.peer):
        raise refused("发送失败, 已被禁言", "SEND_MSG_API_ERROR")
    said = state.messages.add(chat, state.account, segments, state.now())
    line = plain(segments)
    state.record.received.add(
        lambda n: Delivery(
            n,
            state.clock(),
            call.connection,
            call.number,
            str(chat),
            said.message_id,
            line,
            shortened(segments),
            form,
        ),
        200 + 2 * len(line),
    )
    if state.options.report_self:
        call.emit(message_event(state, said))
    if state.switches.mute == "delivered":
        raise ActionError(Failure.TIMEOUT, TIMEOUT_WORDING)
    return said.message_id


def _is_muted(call: Call, number: int) -> bool:
    group = call.state.world.groups[number]
    own = group.members.get(call.state.account)
    return group.is_muted or (own is not None and own.muted_until > call.state.now())


async def upload_file(call: Call) -> object:
    """Send a file by the upload actions, whose `file` is a path, a URL or a stored name."""
    chat = _private_chat(call) if "user_id" in call.params else _group_chat(call)
    file = words(call.params, "file")
    source = f"file://{file}" if file.startswith("/") else file
    stored = await _uploaded(call, {"file": source})
    data = {**stored, "name": words(call.params, "name", str(stored["file"]))}
    await _deliver(call, chat, [{"type": "file", "data": data}], form="array")
    return {"file_id": f"/{stored['file']}"}
