"""What is drawn: failed runs, margins, and an enlarged view where a few arms would flatten the rest."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as PlotPath

from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.curves import crowd, curves
from fairtrial.reporting.figures.figure_files import MADE_BY, _lean, render, styled
from fairtrial.reporting.figures.forest import contrast_forests, forest, rows_of
from fairtrial.reporting.report.figure_registry import draw_study
from fairtrial.reporting.report.page_model import split_caption
from fairtrial.reporting.results import load
from fairtrial.reporting.results.arms import axis_of, gather
from fairtrial.reporting.verdicts import aa_check, findings
from fairtrial.reporting.verdicts.study_verdicts import judge_results
from fairtrial.reporting.wording import SCALES
from fairtrial.study.study import Contrast

LINK = ("href", "{http://www.w3.org/1999/xlink}href")  # as SVG 2 has it, and as matplotlib writes it

PLACE = re.compile(r' (?:x|y|width|height|d)="[^"]*"|translate\([^)]*\)')
NUMBER = re.compile(r"-?\d*\.?\d+")


def axes():
    return Figure().subplots()


def test_a_failed_run_is_a_cross_at_the_chance_line(make_study, publish):
    def outcome(cell):
        return "diverged" if cell.seed == 1 and cell.arm == "bn, batch 4" else 0.9

    results = load.load(publish(make_study(), outcome))
    groups = gather(results, list(results.study.factors), "test_acc", intervals=True)
    ax = curves(groups, "batch_size", SCALES["test_acc"], 0.1, axes())
    crosses = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_ydata())]
    assert [list(line.get_ydata()) for line in crosses] == [[pytest.approx(10.0)]]
    assert to_hex(crosses[0].get_color()) == style.ALARM
    assert "chance" in [text.get_text() for text in ax.texts]


def test_every_seed_is_a_dot_and_every_arm_has_its_name(make_study, publish, noise):
    results = load.load(publish(make_study(), lambda cell: 0.8 + 0.01 * noise(cell, "acc")))
    groups = gather(results, list(results.study.factors), "test_acc", intervals=True)
    ax = curves(groups, "batch_size", SCALES["test_acc"], 0.1, axes())
    dots = [
        y
        for line in ax.lines
        if line.get_markersize() < 3 and line.get_marker() == "o"
        for y in line.get_ydata()
    ]
    assert len(dots) == 8 * 10
    assert {text.get_text() for text in ax.texts} == {"bn", "bn+ws", "gn", "gn+ws"}


def test_the_forest_shows_each_contrast_and_the_twin(make_study, publish, noise):
    results = load.load(publish(make_study(), lambda cell: 0.8 + 0.01 * noise(cell, "acc")))
    rows = rows_of(findings.judge(results), aa_check.compare(results))
    ax = forest(rows, axes())
    said = [text.get_text() for text in ax.texts]
    assert "small batch" in said and "A/A check" in said
    assert "no alarm, too wide\nto tell" in said
    assert [(band.get_x(), band.get_width()) for band in ax.patches] == [pytest.approx((-1.0, 2.0))] * 2


def test_the_forest_says_arms_of_long_names_to_their_end(make_study, publish, noise):
    """Of public-weights it said "gn+ws, mini, 32 px, from upstream with a" and no more."""
    results = load.load(publish(make_study(), lambda cell: 0.8 + 0.01 * noise(cell, "acc")))
    (first, *_) = rows_of(findings.judge(results), aa_check.compare(results))
    title = " ".join(f"word{n} of a long name" for n in range(12))
    ax = forest([replace(first, title=title)], axes())
    assert title in [text.get_text().replace("\n", " ") for text in ax.texts]


def test_no_words_of_the_forest_overlap(make_study, publish, noise):
    results = load.load(publish(make_study(), lambda cell: 0.8 + 0.02 * noise(cell, "acc")))
    with styled():
        (_, _, figure), *_ = contrast_forests(judge_results(results))
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for ax in figure.axes for text in ax.texts]
    assert len(boxes) == 8
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]


@pytest.mark.parametrize("several", [True, False])
def test_the_forest_says_that_verdicts_rest_on_their_step_of_holm(make_study, publish, noise, several):
    """Whiskers are at the level of Bonferroni, and the sentence beside them has another interval."""
    contrasts = [Contrast(f"at {b}", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": b}) for b in (4, 64)]
    study = make_study(primary=tuple(contrasts[: 1 + several]))
    results = load.load(publish(study, lambda cell: 0.8 + 0.02 * noise(cell, "acc")))
    ((_, caption, _),) = contrast_forests(judge_results(results))
    told, _ = split_caption(caption)
    assert ("thin whiskers: 97.5 % (Bonferroni over 2 contrasts)." in told) == several
    holm = "Verdicts rest on the interval of their step of Holm, which each sentence prints."
    assert (holm in told) == several


def test_far_arms_bring_an_enlarged_view_and_near_ones_do_not(make_study, publish, noise):
    def outcome(cell):
        collapsed = (
            cell.levels["norm"] == "gn" and not cell.levels["weight_std"] and cell.levels["batch_size"] == 64
        )
        return (0.3 if collapsed else 0.95) + 0.003 * noise(cell, "acc")

    results = load.load(publish(make_study(), outcome))
    groups = gather(results, list(results.study.factors), "test_acc", intervals=True)
    low, high = crowd(groups)
    assert 0.9 < low < high < 1.0
    assert crowd([group for group in groups if group.centre > 0.5]) is None


def test_the_axis_is_the_number_with_most_levels(make_study):
    assert (
        axis_of(
            make_study(
                factors={"norm": ("bn", "gn"), "batch_size": (4, 16), "lr": (0.1, 0.2, 0.3)},
                aa=None,
                primary=(),
            )
        )
        == "lr"
    )
    assert (
        axis_of(make_study(factors={"norm": ("bn", "gn"), "weight_std": (False, True)}, aa=None, primary=()))
        is None
    )


def test_an_incomplete_figure_is_stamped_and_has_no_interval(make_study, publish, noise):
    store = publish(make_study(), lambda cell: 0.9 + 0.01 * noise(cell, "a") if cell.seed < 5 else None)
    results = load.load(store)
    drawn = draw_study(judge_results(results), ())
    assert all("Incomplete: 45 of 90 cells" in figure.full_caption for figure in drawn)
    assert all(f"{kind} intervals" not in drawn[1].caption for kind in ("t", "95 % t"))
    groups = gather(results, list(results.study.factors), "test_acc", intervals=False)
    assert all(group.mean is None for group in groups)


def test_drawing_leaves_the_settings_of_matplotlib_alone(make_study, publish):
    before = dict(matplotlib.rcParams)
    results = load.load(publish(make_study(seeds=range(3)), lambda cell: 0.9))
    draw_study(judge_results(results))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.every_format
def test_a_pdf_embeds_its_letters_without_the_tables_that_only_a_typesetter_reads():
    with styled():
        figure = Figure(figsize=(1, 1))
        figure.text(0.1, 0.5, "office")
        drawn = render("word", "", figure, ("pdf",)).formats["pdf"]
    streams = [zlib.decompress(data) for data in re.findall(rb"stream\n(x.+?)\nendstream", drawn, re.DOTALL)]
    fonts = [data[: 12 + 16 * 30] for data in streams if data.startswith(b"\0\1\0\0")]
    assert fonts
    for directory in fonts:
        assert b"glyf" in directory
        assert not any(table in directory for table in (b"GSUB", b"GPOS", b"GDEF", b"kern", b"MATH"))


@pytest.mark.every_format
def test_no_number_of_a_pdf_depends_on_how_a_processor_rounds():
    """Of transfer-mini, two places ended in ...0039062 on one processor and in ...0039063 on another."""
    figure = Figure(figsize=(1, 1))
    places = [width / 72 for x in (20 + 1 / 2**11, 30 + 1 / 2**6) for width in (x, np.nextafter(x, 99))]
    for place in places:
        figure.text(place, 0, "a")
    with styled():
        drawn = render("a", "", figure, ("pdf",)).formats["pdf"]
    streams = [zlib.decompress(data) for data in re.findall(rb"stream\n(x.+?)\nendstream", drawn, re.DOTALL)]
    told = re.findall(rb"1 0 0 1 (\S+) 0 cm", b"".join(streams))
    assert told == [b"20.00049", b"20.00049", b"30.01563", b"30.01563"]


@pytest.mark.every_format
def test_no_line_of_a_picture_depends_on_how_a_processor_rounds():
    """A path at 20 1/128 was 20.007812 in a pdf on one processor and 20.007813 on another."""
    figure = Figure(figsize=(1, 1))
    halves = [20 + 1 / 2**n for n in range(1, 12)] + [20.005, 20.015, 20.000005, 20.000015, 20.0, 20.07]
    for place in halves:
        for x in (np.nextafter(place, 0), place, np.nextafter(place, 99)):
            figure.add_artist(PathPatch(PlotPath([(x / 72, 0.5), (0.1, 0.1)]), fill=False))
    with styled():
        drawn = render("a", "", figure, ("pdf",)).formats
    streams = [zlib.decompress(s) for s in re.findall(rb"stream\n(x.+?)\nendstream", drawn["pdf"], re.DOTALL)]
    for told in (re.findall(rb"(\S+) 36 m", b"".join(streams)), re.findall(rb'd="M(\S+) 36', drawn["svg"])):
        by_place = [set(told[at : at + 3]) for at in range(0, len(told), 3)]
        assert len(by_place) == len(halves) and all(len(each) == 1 for each in by_place)


def svg_of(figure):
    """A figure as it is drawn here, and as matplotlib writes it."""
    with styled():
        drawn = render("a", "", figure, ()).formats["svg"]
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg")
    return drawn, buffer.getvalue()


def test_a_drawing_keeps_two_decimals_of_places_and_every_one_of_scales():
    figure = Figure()
    figure.subplots().plot([0, 1, 2], [0.1234567, 0.7654321, 0.3333333], "o-", label="0.0046")
    drawn, whole = (svg.decode() for svg in svg_of(figure))
    whole = re.sub(r"(translate\(\S+) 0\)", r"\1)", whole)  # that a letter stands in its line is not said
    numbers = [
        [float(n) for place in PLACE.findall(svg) for n in NUMBER.findall(place)] for svg in (drawn, whole)
    ]
    assert len(numbers[0]) == len(numbers[1]) > 500
    assert np.abs(np.subtract(*numbers)).max() <= 0.0051 and numbers[0] == np.round(numbers[0], 2).tolist()
    assert numbers[1] != np.round(numbers[1], 2).tolist()
    scales = [
        re.sub(r"(?<!\d)0\.", ".", " ".join(re.findall(r"scale\([^)]*\)", svg))) for svg in (drawn, whole)
    ]
    assert scales[0] == scales[1] != ""
    assert re.findall("<!--.*?-->", whole) == re.findall("<!--.*?-->", drawn) != []  # verify reads them
    assert len(drawn) < 0.6 * len(whole)


def test_a_place_near_zero_is_zero_on_either_side():
    assert _lean(b'<path d="M -0.001 0.001 L -0.006 -7.5 z"/>') == b'<path d="M0 0L-.01-7.5z"/>'


def test_a_text_that_looks_like_a_drawing_keeps_its_comment():
    """As the name of an arm may."""
    figure = Figure()
    text = 'x="0.1234567"; lr: 0.5 translate(1.2345 0) version="1.1" xlink:href="#m0"'
    figure.text(0.1, 0.5, text)
    drawn, _ = svg_of(figure)
    assert f"<!-- {text} -->" in drawn.decode()


def test_a_drawing_is_an_svg_2_that_says_its_size_and_what_drew_it():
    figure = Figure(figsize=(3.4, 2))
    figure.subplots().plot([0, 1])
    drawn, _ = svg_of(figure)
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib == {"width": "244.8pt", "height": "144pt", "viewBox": "0 0 244.8 144"}
    assert [each.text for each in root.iter("{http://www.w3.org/2000/svg}metadata")] == [MADE_BY]
    assert b"xlink" not in drawn and len(drawn[: drawn.index(b"<path")]) < 250
    assert not re.search(rb'<g>|<g/>|style="[^"]*[:;] |[^\d.]0\.\d', re.sub(rb"<!--.*?-->", b"", drawn))


def test_parts_that_a_figure_names_keep_their_names():
    figure = Figure()
    (line,) = figure.subplots().plot([0, 1])
    line.set_gid("arm_1")
    drawn, whole = svg_of(figure)
    assert re.findall(b'<g id="(.*?)"', drawn) == [b"arm_1"] and whole.count(b"<g id=") > 10


def test_only_what_is_used_anew_stands_at_x():
    """A path has no x, and what is turned is turned about its place."""
    letter, moved, path, turned = (
        f'<{tag} transform="translate(7.5 {y}){more}"/>'.encode()
        for tag, y, more in (
            ('use href="#m0"', 0, ""),
            ('use href="#m0"', 2, ""),
            ('path d="M1 1"', 0, ""),
            ('use href="#m0"', 0, " rotate(90)"),
        )
    )
    assert _lean(letter) == b'<use href="#m0" x="7.5"/>'
    assert [_lean(each) for each in (moved, path, turned)] == [moved, path, turned]


SAID = ("style", "transform", "clip-path")


def marks(svg):
    """Return what a drawing shows: each path and use with its place, and what it inherits, names resolved."""
    root = ElementTree.fromstring(svg)
    by_id = {each.get("id"): each for each in root.iter() if each.get("id")}

    def shown(element, inherited):
        kind = element.tag.partition("}")[2]
        if kind in ("defs", "metadata"):
            return
        own = {k: re.sub("(?<=[:;]) ", "", v) for k, v in element.items() if k in SAID}
        if kind == "use":  # which stands at x, y, or is moved there
            (link,) = (element.get(name) for name in {*LINK} & {*element.keys()})
            moved = re.fullmatch(r"translate\((\S+) (\S+)\)", own.pop("transform", ""))
            place = moved.groups() if moved else (element.get("x", "0"), element.get("y", "0"))
        said = inherited + tuple(sorted(own.items()))
        if kind in ("path", "use"):
            target = by_id[link[1:]] if kind == "use" else element
            path = re.findall(rf"[A-Za-z]|{NUMBER.pattern}", target.get("d", ""))
            yield path, target.get("transform"), place if kind == "use" else None, said
        for part in element:
            yield from shown(part, said)

    def hundredths(number):
        return f"{round(float(number[0]) + 1e-7, 2) + 0.0:.2f}"

    return [NUMBER.sub(hundredths, re.sub(r"url\(#\w+\)", "", repr(each))) for each in shown(root, ())]


def test_a_lean_drawing_shows_what_the_whole_one_shows():
    figure = Figure()
    ax = figure.subplots()
    ax.plot([0, 1, 2], [0, 1, 4], marker="o", label="gn $\\alpha$")
    ax.scatter([0.5, 1.5], [1, 2], c=["red", "blue"])
    ax.fill_between([0, 2], [0, 1], [1, 3], alpha=0.3)
    ax.legend(title="of 10")
    drawn, whole = svg_of(figure)
    # a style is one for the marks of a series: see below
    assert [re.sub(r"\('style'.*?'\), ", "", each) for each in marks(drawn)] == [
        re.sub(r"\('style'.*?'\), ", "", each) for each in marks(whole)
    ]
    assert len(marks(drawn)) > 60 and len(drawn) < 0.6 * len(whole)


def test_no_id_of_a_drawing_depends_on_how_a_processor_rounds():
    """On another processor, two figures of released reports were not those that the records give."""
    figure = Figure()
    for each in figure.subplots(1, 2):
        each.plot([0, 1, 2], [0, 1, 4], marker="o")
    drawn = render("a", "", figure, ()).formats["svg"].decode()
    named = re.findall(r' id="([mp]\d+)"', drawn)
    assert len(named) == len(set(named)) > 4
    assert set(re.findall(r'(?:href="#|url\(#)([mp]\d+)', drawn)) == set(named)
    assert not re.search(r'"#?[mp][0-9a-f]{10}"', drawn)
    first, other = (
        f'<a id="p{code}"/> <b clip-path="url(#p{code})"/>'.encode() for code in ("0" * 10, "f" * 10)
    )
    assert _lean(first) == _lean(other) == first.replace(b"0" * 10, b"0")


def test_marks_of_a_series_have_their_style_once_unless_it_blends_them():
    def series(*styles):
        marks = "".join(f'<use href="#m0" x="{n}"{style}/>\n' for n, style in enumerate(styles))
        return f'<g clip-path="url(#p0)">\n{marks}</g>'.encode()

    red, blue, pale = (f' style="{how}"' for how in ("fill:red;fill-opacity:.5", "fill:blue", "opacity:.5"))
    once = series("", "").replace(b'p0)"', b'p0)"' + red.encode())
    assert _lean(series(red, red)) == once
    for as_it_is in ((red, blue), (red, ""), (pale, pale), (red,)):
        assert _lean(series(*as_it_is)) == series(*as_it_is)
