"""Proof of CQ strings: what is written is read again as it was."""

from hypothesis import given
from hypothesis import strategies as st

from adapter import decode_cq
from consumers.onebot.cq import encode_cq

TEXT = st.text(alphabet=st.sampled_from("&[],=;a你#9 CQ:amp"), min_size=1)


@given(st.lists(st.one_of(TEXT, st.tuples(st.sampled_from(["at", "face", "image"]), TEXT)), max_size=6))
def test_text_is_never_read_as_a_code_and_values_come_back(parts: list[str | tuple[str, str]]) -> None:
    segments = [
        {"type": "text", "data": {"text": part}}
        if isinstance(part, str)
        else {"type": part[0], "data": {"file": part[1]}}
        for part in parts
    ]
    back = decode_cq(encode_cq(segments))
    assert _joined(back) == _joined(segments)


def _joined(segments: list[dict[str, object]]) -> list[object]:
    joined: list[object] = []
    for one in segments:
        data = one["data"]
        assert isinstance(data, dict)
        if one["type"] != "text":
            joined.append((one["type"], data["file"]))
        elif joined and isinstance(joined[-1], str):
            joined[-1] += data["text"]
        else:
            joined.append(data["text"])
    return joined


def test_a_code_is_escaped_by_the_standard() -> None:
    code = {"type": "image", "data": {"file": "a,b&[c]", "gone": None, "flash": True}}
    assert encode_cq([{"type": "text", "data": {"text": "1 & [2], 3"}}, code]) == (
        "1 &amp; &#91;2&#93;, 3[CQ:image,file=a&#44;b&amp;&#91;c&#93;,flash=1]"
    )
