"""Images that are damaged, too large or none at all are refused, and take little memory."""

import subprocess
import sys
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from fairtrial.data.decode import FORMATS, MAX_PIXELS, Unusable, pixels
from tests.data.making import encoded, picture
from tests.data.pixels import raw_png, written

EMPTY = written(b"IDAT", zlib.compress(b""))


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
