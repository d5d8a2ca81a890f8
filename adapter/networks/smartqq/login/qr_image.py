"""Read the QR code in the server's picture, so that a terminal can draw it again."""

import io
import logging
from typing import Final

import zxingcpp
from PIL import Image, UnidentifiedImageError

log = logging.getLogger(__name__)

# Pixels on a side: the server's codes have about 165.
MAX_SIDE: Final = 2000
# White pixels around the picture: readers want a margin, and pictures without one have been seen.
_MARGIN: Final = 20


def decode_qr(picture: bytes) -> str:
    """Return the text of the code, or "" if it cannot be read: the picture is shown anyway."""
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if max(image.size) > MAX_SIDE:
                return ""
            size = (image.width + 2 * _MARGIN, image.height + 2 * _MARGIN)
            grey = Image.new("L", size, 255)
            grey.paste(image.convert("L"), (_MARGIN, _MARGIN))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as exc:
        log.warning("the picture of the QR code cannot be opened: %s", type(exc).__name__)
        return ""
    codes = zxingcpp.read_barcodes(grey)
    return codes[0].text if codes else ""
