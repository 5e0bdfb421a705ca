"""One encoded image becomes RGB by a defined conversion, or is refused with a reason."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from fairtrial.data.decode import MAX_PIXELS, Unusable, pixels
from tests.data.making import encoded, picture, png


def flat(mode, colour, size=(4, 4), format="PNG", **options):
    """The corner pixel of a one-colour image after decoding."""
    image = pixels(encoded(Image.new(mode, size, colour), format, **options), None)
    assert image.shape == (3, size[1], size[0])
    assert image.dtype == np.uint8
    return image[:, 0, 0].tolist()


def raw_png(wide, high, depth, colour_type, rows):
    """A PNG written by hand, for what Pillow does not write."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", wide, high, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\x00" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


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
    with pytest.raises(Unusable, match=f"animated {format} of 3 frames"):
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


# D1: cut files
@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_cut_file_is_refused_or_still_whole(format, tolerant, monkeypatch):
    """At every 7th length; a file whose pixels all arrived may lack its end mark."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    data = encoded(picture(0, (24, 24)), format)
    whole = pixels(data, None)
    refused = 0
    for length in range(0, len(data), 7):
        try:
            assert (pixels(data[:length], None) == whole).all(), length
        except Unusable:
            refused += 1
    assert refused > 0.9 * len(data) / 7
    assert ImageFile.LOAD_TRUNCATED_IMAGES is tolerant  # another library's setting is put back


def test_a_damaged_image_says_what_it_is():
    data = encoded(picture(0, (32, 32)), "JPEG")
    with pytest.raises(Unusable, match="damaged JPEG data"):
        pixels(data[: len(data) // 2], None)


def test_random_damage_never_raises_anything_else():
    """300 PNG, JPEG and GIF files with 8 random bytes replaced; seed 0."""
    rng = np.random.default_rng(0)
    for format in ("PNG", "JPEG", "GIF"):
        good = np.frombuffer(encoded(picture(1), format), np.uint8)
        for _ in range(100):
            bad = good.copy()
            bad[rng.integers(0, len(bad), 8)] = rng.integers(0, 256, 8, np.uint8)
            try:
                image = pixels(bad.tobytes(), 8)
            except Unusable:
                continue
            assert image.shape == (3, 8, 8)


# D2: something else under the name of an image
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"not an image\n", "text"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC"),
        (b"\x00\x00\x00\x18ftypmp42", "ISO media file (mp42)"),
        (b"II*\x00 and so on", "TIFF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PK\x03\x04....", "zip archive"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\x01\x02\x03\x04\x00", "unknown (starts with 01 02 03 04)"),
    ],
)
def test_another_content_is_named(data, kind):
    with pytest.raises(Unusable) as caught:
        pixels(data, None)
    assert str(caught.value).endswith(f"the content is {kind}") or f"is an {kind}" in str(caught.value)


def test_a_name_is_not_needed_to_know_the_format():
    assert pixels(encoded(picture(0), "WEBP", lossless=True), None).shape == (3, 8, 8)


# D7: limits
@pytest.mark.parametrize(
    ("size", "limit"), [((1, 1), "at least 2"), ((1, 5000), "at least 2"), ((2, 41), "at most 20")]
)
def test_a_shape_beyond_the_limits_is_refused(size, limit):
    with pytest.raises(Unusable, match=f"{limit}.*{size[0]}x{size[1]}"):
        pixels(encoded(Image.new("RGB", size)), None)


@pytest.mark.parametrize("side", [9_460, 14_000])
@pytest.mark.parametrize("tolerant", [False, True])
def test_a_decompression_bomb_is_refused_before_it_unfolds(side, tolerant, monkeypatch):
    """89.5 Mpx, where Pillow only warns, and 196 Mpx, where it raises; also with its own check off."""
    if tolerant:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    bomb = raw_png(side, side, 8, 2, [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Unusable, match=f"at most {MAX_PIXELS:,} pixels"):
            pixels(bomb, 32)


def test_a_mode_without_a_conversion_is_refused():
    with pytest.raises(Unusable, match="mode 'F'"):
        pixels(Image.new("F", (4, 4)), None)


def test_an_opened_image_is_converted_alike():
    image = Image.new("RGBA", (4, 4), (200, 100, 0, 102))
    assert pixels(image, None)[:, 0, 0].tolist() == [233, 193, 153]
    assert (pixels(picture(0), None) == pixels(png(0), None)).all()
