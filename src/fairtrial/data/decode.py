"""One encoded image -> RGB pixels, by a defined conversion or a refusal that says why."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Final

import numpy as np
import PIL
from PIL import Image, ImageFile, ImageOps, features

# Decoders differ between builds, so their versions are part of what identifies decoded pixels.
DECODER: Final = f"1, Pillow {PIL.__version__}, " + ", ".join(
    f"{codec} {features.version(codec)}" for codec in ("jpg", "libjpeg_turbo", "zlib", "webp")
)
FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
MIN_SIDE: Final = 2
MAX_PIXELS: Final = 89_478_485  # where Pillow starts to speak of a decompression bomb
MAX_ASPECT: Final = 20  # longer side over shorter side

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


def pixels(image: bytes | Image.Image, resolution: int | None) -> np.ndarray:
    """-> (3, H, W) uint8. A resolution squashes to a square, bilinear with antialiasing, as BiT resizes.

    Conversion: the EXIF rotation is applied; grey is repeated; transparency is laid over white; palette, CMYK
    and YCbCr become RGB by Pillow's formulas; 16-bit grey is scaled by 255/65535 and rounded (Pillow alone
    would clip it to white), 16-bit colour keeps its high byte. Animations and other modes are refused.
    """
    try:
        with _strict():
            opened = _opened(image) if isinstance(image, bytes) else image
            _check(opened)
            picture = _rgb(opened)
    except Unusable:
        raise
    except Image.DecompressionBombError as error:
        raise Unusable(f"expected at most {MAX_PIXELS:,} pixels; {error}") from None
    except Exception as error:  # on damaged input Pillow's readers raise almost anything
        raise Unusable(f"expected a whole image; got damaged {_type(image)} data ({error})") from None
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


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise Unusable(f"expected an image ({', '.join(FORMATS)}); the content is {_type(data)}") from None


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
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a phone's JPEG, whose first frame is the photograph
        raise Unusable(f"expected one still image; got an animated {image.format} of {frames} frames")


def _rgb(image: Image.Image) -> Image.Image:
    image.load()
    deep = image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PNG")  # "I": Pillow 10
    if "exif" in image.info or "xmp" in image.info:
        image = ImageOps.exif_transpose(image)
    if deep:
        grey = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((grey * 255 + 32_767) // 65_535).astype(np.uint8))
    if image.mode in _ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode not in _OPAQUE:
        raise Unusable(f"expected 8 or 16 bits of grey or colour; got Pillow's mode {image.mode!r}")
    return image.convert("RGB")
