"""Prove adapter/cli/qr.py: a barcode reader reads what it draws, painted as a terminal would."""

import io
import re
from collections.abc import Sequence

import pytest
import zxingcpp
from PIL import Image

from adapter.cli import qr

TEXT = "https://txz.qq.com/p?k=2Dz0gXxv7fK5nqV4j2dYwR3mS8oP1abc&f=716027609"
CELL = 8  # pixels of a character's width; it is twice as high
# Which halves of a cell a character fills: 2 is the upper one, 1 the lower.
FILLED = {char: filled for filled, char in enumerate(" ▄▀█")}
# Encodings of terminals: GBK has █ and ▄ but not ▀.
WITHOUT_BLOCKS = ["gbk", "latin-1", "ascii"]


def screenshot(lines: Sequence[str]) -> Image.Image:
    """Paint the characters as a dark terminal without colours does."""
    image = Image.new("L", (len(lines[0]) * CELL, len(lines) * CELL * 2), 0)
    for y, line in enumerate(lines):
        for x, char in enumerate(line):
            for half in range(2):
                if FILLED[char] >> (1 - half) & 1:
                    left, top = x * CELL, (y * 2 + half) * CELL
                    image.paste(255, (left, top, left + CELL, top + CELL))
    return image


def blanks_screenshot(lines: Sequence[str]) -> Image.Image:
    """Blanks with background colours, as any terminal paints them."""
    runs = [re.findall("\x1b\\[48;5;(16|231)m( +)\x1b\\[0m", line) for line in lines]
    assert "".join(lines) == "".join(
        f"\x1b[48;5;{colour}m{blanks}\x1b[0m" for row in runs for colour, blanks in row
    )
    width = sum(len(blanks) for _, blanks in runs[0])
    image = Image.new("L", (width * CELL, len(lines) * CELL * 2), 0)
    for y, row in enumerate(runs):
        x = 0
        for colour, blanks in row:
            right = x + len(blanks)
            image.paste(255 * (colour == "231"), (x * CELL, y * CELL * 2, right * CELL, (y + 1) * CELL * 2))
            x = right
    return image


def read(image: Image.Image, *, border: int) -> str:
    framed = Image.new("L", (image.width + 80, image.height + 80), border)
    framed.paste(image, (40, 40))
    codes = zxingcpp.read_barcodes(framed, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode]))
    return codes[0].text if codes else ""


def drawn(text: str, columns: int, *, colour: bool, encoding: str = "utf-8") -> list[str]:
    lines = qr.draw_code(text, columns, encoding=encoding, colour=colour)
    assert lines is not None
    return lines


@pytest.mark.parametrize("columns", [80, 37])
def test_a_code_can_be_read_from_a_dark_terminal(columns: int) -> None:
    lines = drawn(TEXT, columns, colour=False)
    assert max(map(len, lines)) <= columns
    assert read(screenshot(lines), border=0) == TEXT


def test_with_colour_it_is_light_on_dark_whatever_the_terminals_colours_are() -> None:
    lines = drawn(TEXT, 80, colour=True)
    codes = {code for line in lines for code in re.findall("\x1b\\[([0-9;]*)m", line)}
    assert codes == {"38;5;231;48;5;16", "0"}
    bare = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    for border in (0, 255):  # on a dark and on a light terminal
        assert read(screenshot(bare), border=border) == TEXT


@pytest.mark.parametrize("encoding", WITHOUT_BLOCKS)
def test_without_block_characters_it_is_drawn_with_background_colours(encoding: str) -> None:
    lines = drawn(TEXT, 80, colour=True, encoding=encoding)
    "".join(lines).encode(encoding)
    for border in (0, 255):
        assert read(blanks_screenshot(lines), border=border) == TEXT


@pytest.mark.parametrize(
    ("columns", "encoding", "colour"),
    [(36, "utf-8", True), (73, "gbk", True), (200, "gbk", False), (80, "no such encoding", False)],
)
def test_a_terminal_that_cannot_show_it_gets_no_grid(columns: int, encoding: str, colour: bool) -> None:  # noqa: FBT001
    assert qr.draw_code(TEXT, columns, encoding=encoding, colour=colour) is None


@pytest.mark.parametrize("text", ["x", "微信扫一扫", "a" * 300])
def test_codes_of_any_size_can_be_read(text: str) -> None:
    assert read(screenshot(drawn(text, 200, colour=False)), border=0) == text


def blank(colour: int, size: tuple[int, int] = (40, 40)) -> bytes:
    out = io.BytesIO()
    Image.new("L", size, colour).save(out, "PNG")
    return out.getvalue()


def test_another_picture_is_drawn_as_it_is_no_wider_than_the_window() -> None:
    assert qr.draw_picture(blank(255, (130, 53)), 40, encoding="utf-8", colour=False) == ["█" * 40] * 8
    for picture in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", blank(0)[:50], blank(0, (2001, 10))):
        assert qr.draw_picture(picture, 40, encoding="utf-8", colour=False) is None
    assert qr.draw_picture(blank(255), 40, encoding="gbk", colour=False) is None
