"""CQ strings with every escape, and what only looks like a code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.codec.cq import RawSegment, decode_cq
from tests.onebot_server.segments import encode


def text(value: str) -> RawSegment:
    return {"type": "text", "data": {"text": value}}


def code(kind: str, **data: str) -> RawSegment:
    return {"type": kind, "data": data}


@pytest.mark.parametrize(
    ("message", "segments"),
    [
        ("", []),
        ("plain", [text("plain")]),
        ("a&#91;CQ:face,id=1&#93;b", [text("a[CQ:face,id=1]b")]),
        ("&amp;#91;&amp;amp;", [text("&#91;&amp;")]),
        ("1&#44;2, 3", [text("1,2, 3")]),
        ("[CQ:face,id=14]", [code("face", id="14")]),
        ("a[CQ:at,qq=all] b", [text("a"), code("at", qq="all"), text(" b")]),
        (
            "[CQ:image,file=A&#44;B.jpg,url=http://x/?a=1&amp;b=2]",
            [code("image", file="A,B.jpg", url="http://x/?a=1&b=2")],
        ),
        ('[CQ:json,data={"a":&#91;1&#44;2&#93;}]', [code("json", data='{"a":[1,2]}')]),
        ("[CQ:rps]", [code("rps")]),
        ("[CQ:face,id=14", [text("[CQ:face,id=14")]),
        ("[CQ:face id=14]", [text("[CQ:face id=14]")]),
        ("[CQ:,id=1]", [text("[CQ:,id=1]")]),
        ("[[CQ:face,id=1]]", [text("["), code("face", id="1"), text("]")]),
        ("[CQ:reply,id=-5][CQ:face,flag]", [code("reply", id="-5"), code("face")]),
        ("[CQ:text,text=a=b]", [code("text", text="a=b")]),
        ("&lt;&#0;&", [text("&lt;&#0;&")]),
    ],
)
def test_a_string_is_decoded(message: str, segments: list[RawSegment]) -> None:
    assert decode_cq(message) == segments


@given(st.text(), st.text(), st.text())
def test_what_an_implementation_escapes_comes_back(before: str, value: str, after: str) -> None:
    segments = [text(before), code("image", file=value, url=f"http://x/{value}"), text(after)]
    expected = [one for one in segments if one["data"] != {"text": ""}]
    assert decode_cq(encode(segments)) == expected


@given(st.text(alphabet="[]CQ:,=&#9134amp;"))
def test_any_text_is_decoded(message: str) -> None:
    assert isinstance(decode_cq(message), list)
