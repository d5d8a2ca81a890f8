"""Define what messages are made of: segments, fonts, and their plain rendering."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, to be taken literally."""

    text: str


@dataclass(frozen=True, slots=True)
class Markup:
    """Text of a request in which `[名称]` stands for the face of that name. Never received."""

    text: str


@dataclass(frozen=True, slots=True)
class Face:
    """A built-in emoticon: upstream's number and its name without brackets."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture and what is needed to fetch or to send it.

    SmartQQ fills `kind` (`cface`, `offpic` or `missing`), `key`, `server` and `file_path`; other networks
    fill `file`, `url` and `size` (bytes, None where unknown).
    """

    kind: str = ""
    name: str = ""
    file_id: str = ""
    key: str = ""
    server: str = ""
    file_path: str = ""
    file: str = ""
    url: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Media:
    """A file of a message. `file`: a name, or to send `base64://…`, `http(s)://…` or `file://…`.

    `size` is in bytes, None where unknown.
    """

    file: str = ""
    url: str = ""
    file_id: str = ""
    size: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Record(_Media):
    """A voice message."""


@dataclass(frozen=True, slots=True)
class Video(_Media):
    """A video."""


@dataclass(frozen=True, slots=True)
class File(_Media):
    """A file that is sent as a message of its own."""


EVERYONE: Final = "all"


@dataclass(frozen=True, slots=True)
class At:
    """A mention of a person by number, or of `EVERYONE`. `name` is what the message shows, if known."""

    qq: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A quotation of the message with this id of the network."""

    id: str


@dataclass(frozen=True, slots=True)
class Forward:
    """A forwarded chat, by the id under which the network keeps it."""

    id: str


@dataclass(frozen=True, slots=True)
class Json:
    """A card, as JSON text."""

    data: str


@dataclass(frozen=True, slots=True)
class Markdown:
    """Text in Markdown."""

    content: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """An element that no description of SmartQQ names, as upstream gave it."""

    raw: object


Media = Image | Record | Video | File
Segment = (
    Text | Markup | Face | Image | Record | Video | File | At | Reply | Forward | Json | Markdown | Unknown
)


@dataclass(frozen=True, slots=True)
class Font:
    """How the sender's client showed the text. `style`: bold, italic, underline as 0 or 1."""

    name: str
    size: int
    style: tuple[int, int, int]
    color: str


def render(segments: tuple[Segment, ...]) -> str:
    """Return the plain text of segments: faces as `[名称]`, pictures as `[图片]`, mentions as `@name`."""
    return "".join([_render_segment(segment) for segment in segments])


def _render_segment(segment: Segment) -> str:
    if isinstance(segment, Text | Markup):  # most are: a pattern takes three times as long
        return segment.text
    match segment:
        case Face(name=name):
            return f"[{name}]"
        case At(qq, name):
            return "@全体成员" if qq == EVERYONE else f"@{name or qq}"
        case Markdown(content):
            return content
        case _:
            return _PLACEHOLDERS[type(segment)]


# A quotation stands for nothing: what it quotes has been on the bus as an event of its own.
_PLACEHOLDERS: Final[Mapping[type[Segment], str]] = {
    Image: "[图片]",
    Record: "[语音]",
    Video: "[视频]",
    File: "[文件]",
    Forward: "[聊天记录]",
    Json: "[卡片]",
    Reply: "",
    Unknown: "[未识别内容]",
}
