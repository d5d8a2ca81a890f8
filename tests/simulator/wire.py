"""The spelling of the service's answers: JSON, script calls, cookies, error pages; knows no state."""

import json
import re
import time
from collections.abc import Iterable
from typing import Any

_ASCII = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_RAW = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|.)")

PAST = "Fri, 02-Jan-1970 00:00:00 GMT"
_MOST_DIGITS = 20  # no id ever had more
YEARS = 5 * 365 * 86400  # how long a lasting cookie lasted

_PAGE = (
    '<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body bgcolor="white">\r\n'
    "<center><h1>{status} {reason}</h1></center>\r\n<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
)
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Not Allowed",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


def dumps(value: Any, *, ascii_only: bool, ampersand: str = "\\u0026") -> str:
    r"""Return JSON as upstream spells it: `\uXXXX` in capitals or raw; how it writes `&` is `ampersand`."""
    if not ascii_only:
        return _RAW.encode(value).replace("&", ampersand)
    text = _ASCII.encode(value)
    if "\\u" in text:
        text = _ESCAPE.sub(_capitals, text)
    return text.replace("&", ampersand)


def _capitals(match: re.Match[str]) -> str:
    digits = match[1]
    return "\\u" + digits.upper() if digits else match[0]


def encode(text: str) -> bytes:
    """Return JSON text as bytes; a lone surrogate, which UTF-8 has no form for, becomes its escape."""
    return text.encode("utf-8", "backslashreplace")


def integer(value: Any) -> int | None:
    """Return a number given as such or by its digits, None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS:
        return int(value)
    return value if isinstance(value, int) else None


def script_call(function: str, fields: Iterable[str], *, last_apart: bool) -> bytes:
    """Return `function('a','b', 'c');`, the way the ptlogin2 hosts answer."""
    quoted = [f"'{field}'" for field in fields]
    *most, last = quoted
    separator = ", " if last_apart else ","
    return f"{function}({','.join(most)}{separator}{last});\r\n".encode()


def cookie(name: str, value: str, domain: str, *, expires: str = "") -> str:
    """Return one Set-Cookie value with the attributes and capitals of the time."""
    until = f" EXPIRES={expires};" if expires else ""
    return f"{name}={value};{until} PATH=/; DOMAIN={domain};"


def lasting(now: float) -> str:
    """Return an expiry date some years ahead in the old dashed form."""
    return time.strftime("%a, %d-%b-%Y 00:00:00 GMT", time.gmtime(now + YEARS))


def page(status: int, server: str = "nginx") -> bytes:
    """Return the HTML page a gateway puts in place of an answer."""
    reason = _REASONS.get(status, "Error")
    return _PAGE.format(status=status, reason=reason, server=server).encode()
