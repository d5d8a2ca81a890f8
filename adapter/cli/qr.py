"""Draws a QR code, or the picture of one, with characters that every terminal has."""

import io
from collections.abc import Iterator, Sequence

import segno
from PIL import Image, UnidentifiedImageError

Matrix = Sequence[Sequence[bool]]  # rows of modules, True is dark

# The standard wants four light modules around a code; phones are content with two.
QUIET = 2
LARGEST = 2000
_FINDER = 7  # modules of the square in each corner
_SMALLEST, _MOST = 21, 177
_MIDDLE = 128
# Black on white whatever the colours of the terminal are: some phones do not read an inverted code.
_ON, _OFF = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
# Two modules a character, upper and lower; four a character where a window is too narrow for that.
_HALVES = " ▄▀█"
_QUARTERS = " ▗▖▄▝▐▞▟▘▚▌▙▀▜▛█"


def modules(text: str) -> Matrix:
    """The code that says `text`."""
    code = segno.make(text, error="l", micro=False, boost_error=False)
    return [[bool(module) for module in row] for row in code.matrix]


def picture_modules(picture: bytes) -> Matrix | None:
    """The modules of a picture that shows a QR code and nothing else; None if it does not."""
    image = _open(picture)
    if image is None:
        return None
    dark = image.point(lambda value: 255 if value < _MIDDLE else 0)
    box = dark.getbbox()
    if box is None:
        return None
    dark = dark.crop(box)
    run = next((x for x in range(dark.width) if not dark.getpixel((x, 0))), dark.width)
    size = round(dark.width * _FINDER / run) if run else 0
    if not _SMALLEST <= size <= _MOST or (size - 17) % 4 or dark.width != dark.height:
        return None
    step = dark.width / size
    middles = [int((at + 0.5) * step) for at in range(size)]
    return [[bool(dark.getpixel((x, y))) for x in middles] for y in middles]


def render(matrix: Matrix, columns: int, *, colour: bool) -> list[str] | None:
    """The code in lines of at most so many columns; None where it cannot be that narrow.

    Without colour it is drawn for a dark terminal: a light module is one that shines.
    """
    framed = _framed(matrix)
    size = len(framed[0])
    if size <= columns:
        lines = [_halves(upper, lower, light=not colour) for upper, lower in _pairs(framed)]
    elif (size + 1) // 2 <= columns:
        lines = [_quarters(upper, lower, light=not colour) for upper, lower in _pairs(framed)]
    else:
        return None
    return [f"{_ON}{line}{_OFF}" for line in lines] if colour else lines


def render_picture(picture: bytes, columns: int, *, colour: bool) -> list[str] | None:
    """Any picture in black and white, such as a captcha; None where it cannot be opened."""
    image = _open(picture)
    if image is None:
        return None
    if image.width > columns:
        image = image.resize((columns, max(1, image.height * columns // image.width)))
    dark = image.convert("1")
    rows = [[not dark.getpixel((x, y)) for x in range(dark.width)] for y in range(dark.height)]
    lines = [_halves(upper, lower, light=not colour) for upper, lower in _pairs(rows)]
    return [f"{_ON}{line}{_OFF}" for line in lines] if colour else lines


def _open(picture: bytes) -> Image.Image | None:
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if max(image.size) > LARGEST:
                return None
            # Transparent means light: codes without a background have been seen.
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            return Image.alpha_composite(white, image.convert("RGBA")).convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None


def _framed(matrix: Matrix) -> list[list[bool]]:
    side = [False] * QUIET
    rows = [[*side, *row, *side] for row in matrix]
    blank = [[False] * len(rows[0])] * QUIET
    return [*blank, *rows, *blank]


def _pairs(rows: Sequence[Sequence[bool]]) -> Iterator[tuple[Sequence[bool], Sequence[bool]]]:
    for at in range(0, len(rows), 2):
        yield rows[at], rows[at + 1] if at + 1 < len(rows) else [False] * len(rows[at])


def _halves(upper: Sequence[bool], lower: Sequence[bool], *, light: bool) -> str:
    return "".join(
        _HALVES[(top != light) * 2 + (bottom != light)] for top, bottom in zip(upper, lower, strict=True)
    )


def _quarters(upper: Sequence[bool], lower: Sequence[bool], *, light: bool) -> str:
    if len(upper) % 2:
        upper, lower = [*upper, False], [*lower, False]
    return "".join(
        _QUARTERS[
            (upper[at] != light) * 8
            + (upper[at + 1] != light) * 4
            + (lower[at] != light) * 2
            + (lower[at + 1] != light)
        ]
        for at in range(0, len(upper), 2)
    )
