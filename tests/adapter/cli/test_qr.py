"""Proof of adapter/cli/qr.py: what it draws is rendered as a terminal would, and read by a barcode reader."""

import io
import re
from collections.abc import Sequence

import pytest
import segno
import zxingcpp
from PIL import Image

from adapter.cli import qr

TEXT = "https://txz.qq.com/p?k=2Dz0gXxv7fK5nqV4j2dYwR3mS8oP1abc&f=716027609"
CELL = 8  # pixels of a character's width; it is twice as high
# Which quarters of a cell a character fills: upper left, upper right, lower left, lower right.
FILLED = {char: filled for filled, char in enumerate(" ▗▖▄▝▐▞▟▘▚▌▙▀▜▛█")}


def screenshot(lines: Sequence[str], *, ink: int, paper: int) -> Image.Image:
    """The characters as a terminal paints them."""
    image = Image.new("L", (len(lines[0]) * CELL, len(lines) * CELL * 2), paper)
    for y, line in enumerate(lines):
        for x, char in enumerate(line):
            for quarter in range(4):
                if FILLED[char] >> (3 - quarter) & 1:
                    left, top = x * CELL + quarter % 2 * CELL // 2, y * CELL * 2 + quarter // 2 * CELL
                    image.paste(ink, (left, top, left + CELL // 2, top + CELL))
    return image


def read(image: Image.Image, *, border: int) -> str:
    framed = Image.new("L", (image.width + 80, image.height + 80), border)
    framed.paste(image, (40, 40))
    codes = zxingcpp.read_barcodes(framed, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode]))
    return codes[0].text if codes else ""


def drawn(text: str, columns: int, *, colour: bool) -> list[str]:
    lines = qr.render(qr.modules(text), columns, colour=colour)
    assert lines is not None
    return lines


@pytest.mark.parametrize("columns", [80, 37, 36, 19])
def test_a_code_can_be_read_from_a_dark_terminal_at_any_width(columns: int) -> None:
    lines = drawn(TEXT, columns, colour=False)
    assert max(map(len, lines)) <= columns
    picture = screenshot(lines, ink=255, paper=0)
    # Quarters of a character are twice as high as wide: readers take the code for one seen at an angle.
    assert read(picture, border=0) == TEXT


@pytest.mark.parametrize("columns", [80, 36])
def test_with_colour_it_is_dark_on_light_whatever_the_terminals_colours_are(columns: int) -> None:
    lines = drawn(TEXT, columns, colour=True)
    codes = {code for line in lines for code in re.findall("\x1b\\[([0-9;]*)m", line)}
    assert codes == {"38;5;16;48;5;231", "0"}
    bare = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    picture = screenshot(bare, ink=0, paper=255)
    assert read(picture, border=255) == TEXT


def test_a_window_that_is_too_narrow_is_told_apart() -> None:
    assert qr.render(qr.modules(TEXT), 18, colour=False) is None


@pytest.mark.parametrize("text", ["x", "微信扫一扫", "a" * 300])
def test_codes_of_any_size_can_be_read(text: str) -> None:
    assert read(screenshot(drawn(text, 200, colour=False), ink=255, paper=0), border=0) == text


def picture(scale: float, *, mode: str = "L", border: int = 4) -> bytes:
    buffer = io.BytesIO()
    segno.make(TEXT, error="l", boost_error=False).save(buffer, kind="png", scale=8, border=border)
    with Image.open(buffer) as image:
        side = round(image.width * scale / 8)
        resized = image.convert("L").resize((side, side))
    if mode == "RGBA":
        clear = Image.new("RGBA", resized.size, (0, 0, 0, 0))
        clear.paste((0, 0, 0, 255), mask=resized.point(lambda value: 255 - value))
        resized = clear
    out = io.BytesIO()
    resized.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "png",
    [picture(3), picture(4.5), picture(3, border=0), picture(3, mode="RGBA")],
    ids=["3", "4.5", "bare", "clear"],
)
def test_the_modules_of_a_picture_are_those_of_its_code(png: bytes) -> None:
    matrix = qr.picture_modules(png)
    assert matrix is not None
    lines = qr.render(matrix, 80, colour=False)
    assert lines is not None
    assert read(screenshot(lines, ink=255, paper=0), border=0) == TEXT


def blank(colour: int, size: tuple[int, int] = (40, 40)) -> bytes:
    out = io.BytesIO()
    Image.new("L", size, colour).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "png", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", blank(255), blank(0), blank(0, (40, 20)), picture(3)[:80]]
)
def test_a_picture_that_is_no_code_has_no_modules(png: bytes) -> None:
    assert qr.picture_modules(png) is None


def test_another_picture_is_drawn_as_it_is_no_wider_than_the_window() -> None:
    lines = qr.render_picture(blank(255, (130, 53)), 40, colour=False)
    assert lines == ["█" * 40] * 8
    assert qr.render_picture(b"no picture", 40, colour=False) is None
    assert qr.render_picture(blank(0, (2001, 10)), 40, colour=False) is None
