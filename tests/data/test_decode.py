"""One encoded image becomes RGB by a defined conversion, or is refused with a reason."""

import io
import struct
import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from fairtrial.data import decode
from fairtrial.data.decode import FORMATS, MAX_PIXELS, Unusable, pixels
from tests.data.making import encoded, picture, png


def flat(mode, colour, size=(4, 4), format="PNG", **options):
    """The corner pixel of a one-colour image after decoding."""
    image = pixels(encoded(Image.new(mode, size, colour), format, **options), None)
    assert image.shape == (3, size[1], size[0])
    assert image.dtype == np.uint8
    return image[:, 0, 0].tolist()


def written(kind, body):
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(wide, high, depth, colour_type, rows, *extra):
    """A PNG written by hand, for what Pillow does not write. extra: (kind, body) of chunks."""
    header = struct.pack(">IIBBBBB", wide, high, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\x00" + row for row in rows))
    own = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written(kind, body) for kind, body in own)


EMPTY = written(b"IDAT", zlib.compress(b""))


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


@pytest.mark.parametrize("name", FORMATS)
def test_a_broken_header_is_damage_and_no_other_content(name):
    data = encoded(picture(0), name)
    with pytest.raises(Unusable, match=f"expected a whole image; got damaged {name} data"):
        pixels(data[:16], None)


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


GROWTH = """
import resource, sys
from pathlib import Path
from fairtrial.data.decode import Unusable, pixels
data = Path(sys.argv[1]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(pixels(data, int(sys.argv[2]) or None).shape[1])
except Unusable as refused:
    print(refused)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize(
    ("side", "colour_type", "resolution", "said"),
    [
        (9_380, 0, 32, "expected at most 256 MiB of memory to decode it; got 9380x9380, which takes 671 MiB"),
        (5_760, 6, 32, "32"),
        (4_900, 3, 0, "4900"),
    ],
    ids=["88 Mpx grey", "33 Mpx RGBA", "24 Mpx palette, not resized"],
)
def test_no_image_takes_300_mb(tmp_path, side, colour_type, resolution, said):
    """In a process of its own, as its memory never shrinks; each file has less than a megabyte."""
    packer = zlib.compressobj(1)
    row = bytes(1 + side * (4 if colour_type == 6 else 1))
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    colours = [(b"PLTE", bytes(6)), (b"tRNS", b"\0")] if colour_type == 3 else []
    whole = raw_png(side, side, 8, colour_type, [], *colours).replace(EMPTY, written(b"IDAT", data))
    assert len(whole) < 2**20
    file = tmp_path / "large.png"
    file.write_bytes(whole)
    command = [sys.executable, "-c", GROWTH, str(file), str(resolution)]
    told, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told == said
    assert float(grown) < 300


def test_a_gif_of_many_frames_is_refused_without_counting_them():
    frames = encoded(picture(0), "GIF", save_all=True, append_images=[picture(n) for n in range(1, 4)])
    began = time.process_time()
    with pytest.raises(Unusable, match="an animated GIF"):
        pixels(frames[:-1] + frames[800:-1] * 20_000, None)
    assert time.process_time() - began < 2
