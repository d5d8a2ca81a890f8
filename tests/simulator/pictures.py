"""Images the service hands out: captchas, avatars, pictures in messages; drawn, not stored."""

import hashlib
import io
import random

from PIL import Image, ImageDraw, ImageFont

_CAPTCHA = (130, 53)
_LETTER = 26
AVATAR = 40
_PICTURE = (48, 32)


def letters(text: str, rng: random.Random) -> bytes:
    """Return a captcha as JPEG: letters a person can read, on lines that are in the way."""
    image = Image.new("RGB", _CAPTCHA, (250, 246, 236))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        ends = [rng.randrange(_CAPTCHA[0]), rng.randrange(_CAPTCHA[1])]
        draw.line([*ends, rng.randrange(_CAPTCHA[0]), rng.randrange(_CAPTCHA[1])], fill=(190, 200, 214))
    font = ImageFont.load_default(size=_LETTER)
    for index, letter in enumerate(text):
        place = (10 + 28 * index, 8 + rng.randrange(-4, 5))
        draw.text(place, letter, fill=(40, 60, 110), font=font)
    return _encoded(image, "JPEG")


def avatar(kind: str, number: int, side: int = AVATAR) -> bytes:
    """Return an avatar as JPEG; the same for a permanent number after every login."""
    colour = hashlib.sha256(f"{kind}:{number}".encode()).digest()
    return _encoded(Image.new("RGB", (side, side), (colour[0], colour[1], colour[2])), "JPEG")


def message_picture(name: str) -> bytes:
    """Return the picture of that name as PNG."""
    colour = hashlib.sha256(name.encode()).digest()
    return _encoded(Image.new("RGB", _PICTURE, (colour[0], colour[1], colour[2])), "PNG")


def _encoded(image: Image.Image, kind: str) -> bytes:
    target = io.BytesIO()
    image.save(target, kind)
    return target.getvalue()
