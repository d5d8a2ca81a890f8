"""The networks that the demo can simulate."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Network:
    """How a network is simulated: its program, how the adapter finds it, and what a friend says first.

    The program prints its addresses: that of the control interface begins with http, and `scheme` is that of
    the address in `address_setting`. `greeting` is the body of /sim/say, `shown` the same for a reader, and
    `example` a body in JSON to try next.
    """

    line: tuple[str, ...]
    ports: dict[str, int]
    scheme: str
    address_setting: str
    settings: dict[str, str]
    greeting: dict[str, Any]
    shown: str
    example: str
    hints: str = ""


NETWORKS = {
    "smartqq": Network(
        line=(f"{__package__}.simulator", "--auto-scan"),
        ports={"--port": 8017},
        scheme="http://",
        address_setting="QQBUS_SMARTQQ_URL",
        settings={},
        greeting={"text": 'hello 😀 [微笑] "<&>"'},
        shown='hello 😀 [微笑] "<&>"',
        example='"text": "你好 [微笑]"',
        hints="  {origin}/phone  {phones}\n",
    ),
    "onebot": Network(
        line=(f"{__package__}.onebot_server",),
        ports={"--port": 3001, "--control-port": 3002},
        scheme="ws://",
        address_setting="QQBUS_ONEBOT_URL",
        settings={"QQBUS_NETWORK": "onebot"},
        greeting={
            "message": [
                {"type": "text", "data": {"text": "hello 😀 "}},
                {"type": "face", "data": {"id": "14"}},
                {"type": "text", "data": {"text": ' "<&>"'}},
            ]
        },
        shown='hello 😀 [微笑] "<&>"',
        example='"message": "你好 [CQ:face,id=14]"',
    ),
}
