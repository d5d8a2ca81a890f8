"""Reads the QR code in the picture upstream sends, so that it can be drawn again elsewhere."""

import io
import logging

import zxingcpp
from PIL import Image, UnidentifiedImageError

log = logging.getLogger(__name__)

LARGEST = 2000
"""Pixels on a side: upstream's codes have about 165."""


def decode_qr(picture: bytes) -> str:
    """What the code says, or "" where the picture cannot be read: it is shown all the same."""
    try:
        with Image.open(io.BytesIO(picture)) as image:
            if max(image.size) > LARGEST:
                return ""
            # A white margin: readers want one, and pictures without it have been seen.
            grey = Image.new("L", (image.width + 40, image.height + 40), 255)
            grey.paste(image.convert("L"), (20, 20))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as exc:
        log.warning("the picture of the QR code cannot be opened: %s", type(exc).__name__)
        return ""
    codes = zxingcpp.read_barcodes(grey)
    return codes[0].text if codes else ""
