"""Images to pixels: modes, depths, transparency, rotation, size."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from fairtrial.data import decode
from fairtrial.data.decode import Unusable, pixels
from tests.data.making import encoded, picture, png
from tests.data.pixels import raw_png


def flat(mode, colour, size=(4, 4), format="PNG", **options):
    """The corner pixel of a one-colour image after decoding."""
    image = pixels(encoded(Image.new(mode, size, colour), format, **options), None)
    assert image.shape == (3, size[1], size[0])
    assert image.dtype == np.uint8
    return image[:, 0, 0].tolist()


def test_rgb_pixels_come_unchanged_as_channels_rows_columns():
    image = picture(0, (5, 3))
    assert (pixels(encoded(image), None) == np.asarray(image).transpose(2, 0, 1)).all()


# D6: a defined conversion
def test_grey_is_repeated():
    assert flat("L", 77) == [77, 77, 77]
    assert flat("1", 1) == [255, 255, 255]


@pytest.mark.parametrize(
    ("alpha", "expected"), [(255, [200, 100, 0]), (0, [255, 255, 255]), (102, [233, 193, 153])]
)
def test_transparency_is_laid_over_white(alpha, expected):
    """102 / 255 = 0.4: 0.4 * (200, 100, 0) + 0.6 * 255 = (233, 193, 153)."""
    assert flat("RGBA", (200, 100, 0, alpha)) == expected


def test_grey_with_transparency_is_laid_over_white():
    assert flat("LA", (100, 102)) == [193, 193, 193]
    assert flat("LA", (100, 255)) == [100, 100, 100]


def test_a_palette_becomes_its_colours():
    image = picture(3).quantize(16)
    assert (pixels(encoded(image), None) == np.asarray(image.convert("RGB")).transpose(2, 0, 1)).all()


def test_the_transparent_entry_of_a_palette_is_white():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 200, 100, 0])
    assert pixels(encoded(image), None)[:, 0, 0].tolist() == [200, 100, 0]
    assert pixels(encoded(image, transparency=1), None)[:, 0, 0].tolist() == [255, 255, 255]


def test_the_transparent_colour_of_an_rgb_image_is_white():
    assert flat("RGB", (1, 2, 3), transparency=(1, 2, 3)) == [255, 255, 255]


def test_cmyk_becomes_rgb():
    """Pillow's formula, (255 - c)(255 - k) / 255; one colour survives JPEG within 2 levels."""
    red = flat("CMYK", (0, 255, 255, 0), (16, 16), "JPEG", quality=100)
    grey = flat("CMYK", (0, 0, 0, 155), (16, 16), "JPEG", quality=100)
    assert np.abs(np.array(red) - [255, 0, 0]).max() <= 2
    assert np.abs(np.array(grey) - [100, 100, 100]).max() <= 2


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (128, 0), (129, 1), (32_768, 128), (65_535, 255)])
def test_16_bit_grey_is_scaled_and_not_clipped(value, expected):
    image = Image.fromarray(np.full((4, 4), value, np.uint16))
    assert pixels(encoded(image), None)[:, 0, 0].tolist() == [expected] * 3


def test_16_bit_colour_keeps_its_high_byte():
    row = struct.pack(">HHH", 0x1234, 0x80FF, 0xFFFF) * 4
    assert pixels(raw_png(4, 4, 16, 2, [row] * 4), None)[:, 0, 0].tolist() == [0x12, 0x80, 0xFF]


@pytest.mark.parametrize(
    ("depth", "samples", "expected"),
    [
        (1, bytes([0b01000000]), [0, 255]),
        (2, bytes([0b00_10_01_11]), [0, 255, 85, 255]),
        (4, bytes([0x0A, 0x5F]), [0, 255, 85, 255]),
        (8, bytes([0, 234, 77]), [0, 255, 77]),
        (16, struct.pack(">3H", 0, 60_000, 0x4D4D), [0, 255, 0x4D]),
    ],
)
def test_the_transparent_grey_is_white_at_every_depth(depth, samples, expected):
    """The second sample is the transparent one; the others keep their grey."""
    wide, clear = len(expected), {1: 1, 2: 2, 4: 10, 8: 234, 16: 60_000}[depth]
    data = raw_png(wide, 2, depth, 0, [samples] * 2, (b"tRNS", struct.pack(">H", clear)))
    assert pixels(data, None)[:, 0].tolist() == [expected] * 3


def test_the_transparent_16_bit_colour_is_white():
    row = struct.pack(">6H", 0x1234, 0x80FF, 0xFF00, 0x1334, 0x80FF, 0xFF00)
    clear = (b"tRNS", struct.pack(">3H", 0x1234, 0x80FF, 0xFF00))
    found = pixels(raw_png(2, 2, 16, 2, [row] * 2, clear), None)[:, 0].T
    assert found.tolist() == [[255, 255, 255], [0x13, 0x80, 0xFF]]


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF>'
    b"</x:xmpmeta>"
)


@pytest.mark.parametrize("carrier", ["eXIf", "eXIf behind the pixels", "text", "XMP"])
def test_the_rotation_is_found_wherever_a_png_carries_it(carrier):
    """6: stored lying on its side, to be turned clockwise. `text` is how ImageMagick writes EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes()
    hexadecimal = f"\nexif\n{len(body):8d}\n{body.hex()}\n".encode()
    chunk = {
        "text": (b"tEXt", b"Raw profile type exif\0" + hexadecimal),
        "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    }.get(carrier, (b"eXIf", body.removeprefix(b"Exif\0\0")))
    rows = [bytes([10 * row + column for column in range(4)]) for row in range(2)]
    if carrier == "eXIf behind the pixels":
        plain, own = raw_png(4, 2, 8, 0, rows), raw_png(4, 2, 8, 0, rows, chunk)
        length = len(own) - len(plain)
        data = plain[:-12] + own[33 : 33 + length] + plain[-12:]
    else:
        data = raw_png(4, 2, 8, 0, rows, chunk)
    assert pixels(data, None)[0].tolist() == [[10, 0], [11, 1], [12, 2], [13, 3]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_rotation_is_applied(orientation):
    upright = np.asarray(picture(5, (6, 4)))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert (pixels(data, None) == upright.transpose(2, 0, 1)).all()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused(format):
    data = encoded(picture(0), format, save_all=True, append_images=[picture(1), picture(2)])
    with pytest.raises(Unusable, match=f"animated {format}"):
        pixels(data, None)


def test_a_still_gif_is_an_image():
    assert pixels(encoded(picture(0), "GIF"), None).shape == (3, 8, 8)


# Resizing
def test_a_resolution_squashes_to_a_square():
    image = picture(2, (12, 6))
    expected = np.asarray(image.resize((4, 4), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert (pixels(encoded(image), 4) == expected).all()


def test_the_right_size_is_left_alone():
    image = picture(2)
    assert (pixels(encoded(image), 8) == pixels(encoded(image), None)).all()


def test_an_opened_image_is_converted_alike():
    image = Image.new("RGBA", (4, 4), (200, 100, 0, 102))
    assert pixels(image, None)[:, 0, 0].tolist() == [233, 193, 153]
    assert (pixels(picture(0), None) == pixels(png(0), None)).all()


@pytest.mark.parametrize(
    ("mode", "format", "options"),
    [
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("P", "PNG", {"transparency": 3}),
        ("L", "PNG", {"transparency": 7}),
        ("CMYK", "JPEG", {}),
    ],
)
def test_strips_hold_the_pixels_of_the_whole(monkeypatch, mode, format, options):
    image = picture(4, (24, 21)).convert(mode)
    data = encoded(image, format, **options)
    whole = pixels(data, None)
    monkeypatch.setattr(decode, "_STRIP", 24 * 5)
    assert (pixels(data, None) == whole).all()


@pytest.mark.parametrize("format", ["JPEG", "MPO"])
def test_a_large_jpeg_is_decoded_small_and_looks_the_same(monkeypatch, format):
    smooth = picture(6, (6, 6)).resize((640, 640), Image.Resampling.BICUBIC)
    data = encoded(smooth, format, quality=95)
    usual = pixels(data, 32).astype(int)
    monkeypatch.setattr(decode, "DRAFTED", 1000)
    assert np.abs(pixels(data, 32).astype(int) - usual).max() <= 3
    assert (pixels(data, None) == np.asarray(Image.open(io.BytesIO(data))).transpose(2, 0, 1)).all()
