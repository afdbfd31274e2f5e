"""Small copies of pictures. The sandbox makes them, because reading a picture of unknown origin is a risk."""

import json
from dataclasses import dataclass
from typing import Literal

PictureType = Literal["image/png", "image/jpeg"]
SHRINKER_TIMEOUT_S = 15.0
SHRINKER = """
import io, json, sys
asked = json.loads(sys.stdin.buffer.readline())
from PIL import Image
picture = Image.open(io.BytesIO(sys.stdin.buffer.read()))
picture.load()
side = asked["side_pixels"]
while side >= 16:
    small = picture.convert("RGBA")
    small.thumbnail((side, side))
    plain = Image.new("RGB", small.size, "white")
    plain.paste(small, mask=small)
    for kind, form in (("PNG", plain.quantize(64)), ("JPEG", plain)):
        made = io.BytesIO()
        form.save(made, kind)
        if made.tell() <= asked["max_bytes"]:
            sys.stdout.buffer.write(made.getvalue())
            sys.exit()
    side = side * 3 // 4
"""
"""The program of `python -c`: it reads a line of JSON and then the picture. Plots keep their sharp lines as PNG."""
_BEGINNINGS: dict[PictureType, bytes] = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


@dataclass(frozen=True)
class Picture:
    """A picture, as untrusted as all that comes out of a sandbox."""

    type: PictureType
    data: bytes


def shrinker_input(picture: bytes, *, side_pixels: int, max_bytes: int) -> bytes:
    """What the program reads."""
    asked = {"side_pixels": side_pixels, "max_bytes": max_bytes}
    return json.dumps(asked).encode() + b"\n" + picture


def picture_in(written: bytes) -> Picture | None:
    """The picture that the program has written; None if it has written none."""
    for kind, beginning in _BEGINNINGS.items():
        if written.startswith(beginning):
            return Picture(kind, written)
    return None
