"""One encoded image -> RGB pixels, by a defined conversion or a refusal that says why."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import PIL
from PIL import Image, ImageFile, features

from fairtrial.errors import refuse_shortage

# Decoders differ between builds, so their versions are part of what identifies decoded pixels.
DECODER: Final = f"2, Pillow {PIL.__version__}, " + ", ".join(
    f"{codec} {features.version(codec)}" for codec in ("jpg", "libjpeg_turbo", "zlib", "webp")
)
FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
MIN_SIDE: Final = 2
MAX_PIXELS: Final = 89_478_485  # where Pillow starts to speak of a decompression bomb
MAX_ENCODED: Final = 2**26  # bytes of one image file
MAX_BYTES: Final = 2**28  # of memory for one image while it is decoded
# A JPEG of more pixels is decoded at 1/2, 1/4 or 1/8 of its size; twice the resolution asked for is left.
DRAFTED: Final = 2**23
MAX_ASPECT: Final = 20  # longer side over shorter side

_STRIP: Final = 2**20  # pixels that are converted at once
# Bytes for each pixel: the image and its RGB as Pillow holds them; WebP's decoder holds two more; an array.
_HELD: Final = 8
_WEBP: Final = 8
_ARRAY: Final = 3
# EXIF's orientation -> what sets the image upright
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION: Final = 0x0112
# How Pillow unpacks a PNG -> what it multiplies samples by; the transparent sample it leaves as it stands.
_SCALES: Final = {"L;2": 85, "L;4": 17}
_OPAQUE: Final = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
_ALPHA: Final = ("LA", "La", "PA", "RGBA", "RGBa")
_SIGNATURES: Final = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"%PDF": "PDF",
    b"PK\x03\x04": "zip archive",
    b"\x1f\x8b": "gzip archive",
    b"<svg": "SVG",
    b"PAR1": "parquet",
}


class Unusable(ValueError):
    """An image that is refused; the message says what was expected and what came."""


def pixels(
    image: bytes | Image.Image, resolution: int | None, sizes: Counter[str] | None = None
) -> np.ndarray:
    """-> (3, H, W) uint8. A resolution squashes to a square, bilinear with antialiasing, as BiT resizes.

    Conversion: the rotation in EXIF or XMP is applied; grey is repeated; transparency is laid over white;
    palette, CMYK and YCbCr become RGB by Pillow's formulas; 16-bit grey is scaled by 255/65535 and rounded
    (Pillow alone would clip it to white), 16-bit colour keeps its high byte, the transparent colour too.
    Animations, other modes, and images that take more than MAX_BYTES of memory are refused. sizes: gets the
    size of an image as it came, "wide x high".
    """
    try:
        with _strict():
            if isinstance(image, bytes) and len(image) > MAX_ENCODED:
                raise Unusable(f"expected at most {MAX_ENCODED:,} bytes; got {len(image):,}")
            whole = opened(image) if isinstance(image, bytes) else image
            _check(whole)
            wide, high = whole.size
            _shrink(whole, resolution)
            picture = _upright(whole, _rgb(whole))
    except Unusable:
        raise
    except Image.DecompressionBombError as error:
        raise Unusable(f"expected at most {MAX_PIXELS:,} pixels; {error}") from None
    except Exception as error:  # on damaged input Pillow's readers raise almost anything
        refuse_shortage(error, "an image")
        raise Unusable(f"expected a whole image; got damaged {_type(image)} data ({error})") from None
    if sizes is not None:
        sizes[f"{wide}x{high}"] += 1
    if resolution is not None and picture.size != (resolution, resolution):
        picture = picture.resize((resolution, resolution), Image.Resampling.BILINEAR)
    return np.asarray(picture).transpose(2, 0, 1)


@contextlib.contextmanager
def _strict() -> Iterator[None]:
    """Another library may have told Pillow to fill cut images with grey; here a cut image is an error."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `_check` has a limit of its own
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def opened(data: bytes) -> Image.Image:
    """An image whose header is read, and nothing more; Unusable where it is none."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        if (kind := _type(data)) in FORMATS:
            raise Unusable(f"expected a whole image; got damaged {kind} data (in its header)") from None
        raise Unusable(f"expected an image ({', '.join(FORMATS)}); the content is {kind}") from None


def _type(data: bytes | Image.Image) -> str:
    """What the first bytes look like; a file's name is not believed."""
    if isinstance(data, Image.Image):
        return str(data.format)
    if not data:
        return "empty"
    if data[4:8] == b"ftyp":
        brand = data[8:12].decode("ascii", "replace")
        return "HEIC" if brand in ("heic", "heix", "heim", "mif1", "msf1") else f"an ISO media file ({brand})"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature):
            return name
    head = data[:512]
    readable = b"\x00" not in head and all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    return "text" if readable else f"unknown (starts with {data[:4].hex(' ')})"


def _check(image: Image.Image) -> None:
    wide, high = image.size
    if min(wide, high) < MIN_SIDE:
        raise Unusable(f"expected sides of at least {MIN_SIDE} pixels; got {wide}x{high}")
    if wide * high > MAX_PIXELS:
        raise Unusable(f"expected at most {MAX_PIXELS:,} pixels; got {wide}x{high}")
    if max(wide, high) > MAX_ASPECT * min(wide, high):
        raise Unusable(f"expected a side ratio of at most {MAX_ASPECT}; got {wide}x{high}")
    # not counted: a GIF of a million frames takes a minute
    # MPO is a phone's JPEG, whose first frame is the photograph
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise Unusable(f"expected one still image; got an animated {image.format}")


def _shrink(image: Image.Image, resolution: int | None) -> None:
    """Let a large JPEG be decoded small; refuse what then takes too much memory, before it is decoded."""
    stored = (image.size[0] * image.size[1], f"{image.size[0]}x{image.size[1]}")
    if image.format in ("JPEG", "MPO") and resolution is not None and stored[0] > DRAFTED:
        image.draft(None, (2 * resolution, 2 * resolution))
    each = _HELD + (_WEBP if image.format == "WEBP" else 0) + (_ARRAY if resolution is None else 0)
    needed = image.size[0] * image.size[1] * each
    if "progressive" in image.info:
        # libjpeg holds two bytes for each sample of the whole image
        needed += 2 * len(image.getbands()) * stored[0]
    if needed > MAX_BYTES:
        what = f"expected at most {MAX_BYTES >> 20} MiB of memory to decode it"
        raise Unusable(f"{what}; got {stored[1]}, which takes {needed >> 20} MiB")


def _rgb(image: Image.Image) -> Image.Image:
    """Decode, and convert strip by strip, so that a large image has no third copy."""
    tiles = getattr(image, "tile", None) if image.format == "PNG" else None
    packed = str(tiles[0][3]) if tiles else ""
    image.load()
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    wide, high = image.size
    rows = max(1, _STRIP // wide)
    if rows >= high:
        return _converted(image, packed)
    whole = Image.new("RGB", image.size)
    for top in range(0, high, rows):
        strip = image.crop((0, top, wide, min(top + rows, high)))
        whole.paste(_converted(strip, packed), (0, top))
    return whole


def _converted(image: Image.Image, packed: str) -> Image.Image:
    """A part of an image as RGB. packed: how a PNG holds its samples."""
    clear = image.info.get("transparency")
    # "I": Pillow 10
    if image.mode.startswith("I;16") or (image.mode == "I" and packed.startswith("I")):
        grey = np.asarray(image).astype(np.uint32)
        scaled = ((grey * 255 + 32_767) // 65_535).astype(np.uint8)
        return Image.fromarray(np.where(grey == clear, 255, scaled).astype(np.uint8)).convert("RGB")
    if isinstance(clear, int) and packed in _SCALES:
        image.info["transparency"] = clear * _SCALES[packed]
    elif isinstance(clear, tuple) and packed.startswith("RGB;16"):
        image.info["transparency"] = tuple(sample >> 8 for sample in clear)
    if image.mode in _ALPHA or clear is not None:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode not in _OPAQUE:
        raise Unusable(f"expected 8 or 16 bits of grey or colour; got Pillow's mode {image.mode!r}")
    return image.convert("RGB")


def _upright(image: Image.Image, picture: Image.Image) -> Image.Image:
    """The picture, turned as its image says: in EXIF, in a text of a PNG, or in XMP."""
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    return picture if turn is None else picture.transpose(turn)
