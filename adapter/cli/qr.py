"""Draw QR codes and other pictures with the characters of a terminal."""

import io
from collections.abc import Sequence

import segno
from PIL import Image, UnidentifiedImageError

# Light modules around a code. The standard wants four; phones read it with two.
QUIET_ZONE = 2
# Pixels on a side of a picture: SmartQQ's captchas have about 130.
MAX_PIXELS = 2000
# By the upper and the lower half: 1 is light.
_BLOCKS = " ▄▀█"
# White on black whatever the terminal's own colours are: some phones do not read an inverted code.
_LIGHT, _DARK, _RESET = "48;5;231", "48;5;16", "\x1b[0m"
_COLOURS = f"\x1b[38;5;231;{_DARK}m"
# What segno writes: inverse video, and the terminal's own background.
_SEGNO_LIGHT, _SEGNO_DARK = "\x1b[7m", "\x1b[49m"


def draw_code(text: str, columns: int, *, encoding: str, colour: bool) -> list[str] | None:
    """Draw a QR code; None if no phone could scan the drawing.

    With block characters a line shows two rows of modules. An encoding without them needs colour and a window
    four times as large. Without colour the code is drawn for a dark terminal.
    """
    code = segno.make(text, error="l", micro=False, boost_error=False)
    width = code.symbol_size(border=QUIET_ZONE)[0]
    out = io.StringIO()
    if _has_blocks(encoding) and width <= columns:
        code.terminal(out, border=QUIET_ZONE, compact=True)
        return _coloured(out.getvalue().splitlines(), colour=colour)
    if colour and 2 * width <= columns:
        code.terminal(out, border=QUIET_ZONE)
        ansi = out.getvalue().replace(_SEGNO_LIGHT, f"\x1b[{_LIGHT}m").replace(_SEGNO_DARK, f"\x1b[{_DARK}m")
        return ansi.splitlines()
    return None


def draw_picture(picture: bytes, columns: int, *, encoding: str, colour: bool) -> list[str] | None:
    """Draw a picture, as a captcha, in black and white.

    None if it cannot be read, or the encoding has no block characters.
    """
    image = _open(picture)
    if image is None or not _has_blocks(encoding):
        return None
    if image.width > columns:
        image = image.resize((columns, max(1, image.height * columns // image.width)))
    light = image.convert("1")
    rows = [[bool(light.getpixel((x, y))) for x in range(light.width)] for y in range(light.height)]
    rows += [[False] * light.width] * (light.height % 2)
    return _coloured([_half_blocks(*pair) for pair in zip(rows[::2], rows[1::2], strict=True)], colour=colour)


def _has_blocks(encoding: str) -> bool:
    try:
        _BLOCKS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _coloured(lines: list[str], *, colour: bool) -> list[str]:
    return [f"{_COLOURS}{line}{_RESET}" for line in lines] if colour else lines


def _half_blocks(upper: Sequence[bool], lower: Sequence[bool]) -> str:
    return "".join(_BLOCKS[top * 2 + bottom] for top, bottom in zip(upper, lower, strict=True))


def _open(picture: bytes) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if max(image.size) > MAX_PIXELS:
                return None
            # Transparent means light: pictures without a background have been seen.
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            return Image.alpha_composite(white, image.convert("RGBA")).convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None
