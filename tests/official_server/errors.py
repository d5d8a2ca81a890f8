"""What the API says when it refuses: code, HTTP status and words."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """One row of the table; `err_code` differs from `code` in a few."""

    status: int
    message: str
    err_code: int = 0


_BAD = 400
_DENIED = 401
_BUSY = 429

TABLE = {
    # Token and rights
    11241: Refusal(_DENIED, "请求头 Authorization 参数为空或格式错误"),
    11244: Refusal(_DENIED, "AccessToken 无效或过期"),
    11251: Refusal(_DENIED, "AppID 错误"),
    11253: Refusal(_DENIED, "机器人没有调用该接口的权限"),
    11254: Refusal(_DENIED, "机器人的该接口已被封禁"),
    11265: Refusal(_DENIED, "机器人已被封禁"),
    11275: Refusal(_DENIED, "安全打击"),
    11298: Refusal(_DENIED, "接口访问源IP不在白名单", 40023002),
    # Requests
    12002: Refusal(_BAD, "请求体错误"),
    22006: Refusal(_BAD, "消息类型不支持"),
    22009: Refusal(_BUSY, "消息发送超频"),
    50006: Refusal(_BAD, "消息为空"),
    1100100: Refusal(_BUSY, "安全打击：消息被限频"),
    1100308: Refusal(_BUSY, "频控失败"),
    # Anchors
    304103: Refusal(_BAD, "消息ID已过期"),
    40034005: Refusal(_BAD, "被动回复的消息ID已过期"),
    40034024: Refusal(_BAD, "请求参数msg_id无效或越权"),
    40034025: Refusal(_BAD, "请求参数event_id无效或越权"),
    40034128: Refusal(_BAD, "被动回复超时或次数超限"),
    40054005: Refusal(_BAD, "消息被去重，请检查请求msgseq"),
    # Proactive messages
    40034100: Refusal(_BAD, "主动消息发送超频"),
    40034102: Refusal(_BAD, "主动消息失败, 未获得授权"),
    40034105: Refusal(_BAD, "主动消息失败, 无权限"),
    # Targets
    40034101: Refusal(_BAD, "机器人非群成员"),
    40054002: Refusal(_BAD, "机器人被禁言"),
    40054003: Refusal(_BAD, "机器人不是群成员"),
    40054004: Refusal(_BAD, "机器人不是用户好友"),
    40054013: Refusal(_BAD, "用户拒收消息"),
    40054016: Refusal(_BAD, "机器人已下线"),
    304018: Refusal(_BAD, "机器人没有连上QQ网关"),
    # Content
    40034006: Refusal(_BAD, "消息内容未通过安全审核"),
    40054007: Refusal(_BAD, "消息长度超限"),
    40054010: Refusal(_BAD, "不允许发送url"),
    304023: Refusal(202, "push message is waiting for audit now"),
    304036: Refusal(_BAD, "模板错误"),
    # Server
    50055001: Refusal(500, "消息发送异常"),
    50055002: Refusal(500, "消息发送异常"),
    50055006: Refusal(504, "消息发送超时"),
    # Media
    850018: Refusal(_BAD, "禁言中，无法上传富媒体"),
    850019: Refusal(_BAD, "富媒体文件格式不支持"),
    850026: Refusal(_BAD, "富媒体文件下载失败"),
    850027: Refusal(_BAD, "富媒体文件下载超时"),
    850031: Refusal(_BAD, "富媒体文件大小超限"),
    40093001: Refusal(_BAD, "分片上传未完成，请重试"),
    40093002: Refusal(_BAD, "当日上传额度已用完"),
    # Recall
    40061001: Refusal(_BAD, "消息ID错误"),
    40062003: Refusal(_BAD, "没有撤回权限"),
    40064004: Refusal(_BAD, "消息已超过可撤回时间"),
    # Token endpoint, always with HTTP 200
    10004: Refusal(200, "机器人不存在"),
    100001: Refusal(200, "请求过于频繁"),
    100007: Refusal(200, "appid invalid"),
    100016: Refusal(200, "invalid appid or secret"),
}


class ApiError(Exception):
    """A refusal on its way to the answer."""

    def __init__(self, code: int, **data: Any) -> None:
        super().__init__(code)
        self.code = code
        self.data = data


def refusal(code: int) -> Refusal:
    """Return the row of `code`, a plain 400 for one without a row."""
    return TABLE.get(code, Refusal(_BAD, f"error {code}"))


def body_of(code: int, trace_id: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON object that stands in the answer."""
    row = refusal(code)
    body: dict[str, Any] = {
        "message": row.message,
        "code": code,
        "err_code": row.err_code or code,
        "trace_id": trace_id,
    }
    return body | ({"data": data} if data else {})
