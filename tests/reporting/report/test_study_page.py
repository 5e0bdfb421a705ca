"""The page of a study in a real browser: hostile strings stay text; light, dark, phone and keyboard."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from fairtrial.errors import Fault
from fairtrial.reporting.report import study_page, study_report
from fairtrial.reporting.wording import clean
from fairtrial.study.study import Contrast
from tests.reporting.report.pages import PLAIN
from tests.support.browser import Browser

TEMPLATE = Path(study_page.__file__).parent / "templates" / "study_page.html"
HOSTILE = (
    "<script>window.acted = 1</script>",
    '"><img src=x onerror="window.acted = 1">',
    "'><svg onload='window.acted = 1'>",
    "--><iframe srcdoc='<script>parent.acted = 1</script>'></iframe><!--",
    "</title></style><script>window.acted = 1</script>",
    "]]></svg></text><script>window.acted = 1</script>",
    "javascript:window.acted = 1",
    "<a href=javascript:acted=1>a</a>",
    "&lt;b&gt; &amp; &#60;i&#62; &quot;",
    "{{ 7 * 7 }}{% for x in y %}{# no #}",
    "${7 * 7} #{7 * 7} `id`",
    "$\\frac{1}{2}$ \\input{/etc/passwd} %&_#^~",
    "a | b \\| c ](http://x.invalid) ![p](http://x.invalid/p.png)",
    "=cmd|'/c calc'!A1",
    "<style>@import 'http://x.invalid/a.css'; body { display: none }</style>",
    "\u202etxet\u202c a\u200bb\u0000c\u001b[31m",
    "\U0001f600 \U0001f3f3\ufe0f\u200d\U0001f308 caf\u0065\u0301 \u4f60\u597d",
    "null",
    "W" * 2000,
    "<base href=http://x.invalid/><meta http-equiv=refresh content='0;url=http://x.invalid'>",
)
ACTS = "script, iframe, object, embed, link, base, form, img, audio, video, foreignObject, animate, set"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


def hostile_study(make_study, index: int):
    """Every string as the name of a contrast, one of them as the question."""
    contrasts = tuple(
        Contrast(text, {"norm": "gn"}, {"norm": "bn"}, {"batch_size": (4, 64)[number % 2]})
        for number, text in enumerate(HOSTILE)
    )
    return make_study(**PLAIN | {"primary": contrasts, "question": HOSTILE[index]})


def test_hostile_strings_are_text_in_a_browser(browser, make_study, publish, noise):
    def outcome(cell):
        text = HOSTILE[int(cell.id, 16) % len(HOSTILE)]
        origin = dict.fromkeys(("cpu", "device", "host", "torch"), text)
        origin["commit"] = HOSTILE[0]  # one for all: mixed code is refused
        told = {"data_notes": list(HOSTILE), "class_names": list(HOSTILE)}
        if cell.levels["norm"] == "bn" and cell.levels["batch_size"] == 4:
            return {"status": "error", "error": {"what": text, "where": text}, "origin": origin}
        return {"measured": {"test_acc": 0.8 + noise(cell, "acc") / 100}, "origin": origin, "drawn": told}

    store = publish(hostile_study(make_study, 4), outcome)
    browser.open(study_report.build(store).path)
    assert browser.run("window.acted") is None
    assert browser.run(f"document.querySelectorAll('{ACTS}').length") == 0
    given = "[...document.querySelectorAll('*')].flatMap(each => [...each.attributes])"
    attributes = browser.run(f"{given}.map(each => [each.name, each.value])")
    assert not any(name.startswith("on") or name in ("src", "srcdoc") for name, _ in attributes)
    links = [value for name, value in attributes if name.endswith("href")]
    assert links and all(link.startswith("#") for link in links)
    assert browser.asked_for() == [(store.folder / "report.html").as_uri()]
    assert browser.run("document.querySelector('h1').textContent") == clean(HOSTILE[4])
    assert browser.run("document.title") == f"made-up: {clean(HOSTILE[4])}"
    names = [name.removesuffix(", confirmatory") for name in texts(browser, ".card .name")]
    assert names == texts(browser, "table.contrasts td:first-child") == [clean(text) for text in HOSTILE]
    assert {f"data: {clean(text)}" for text in HOSTILE} <= set(texts(browser, "main li"))


def unfold(browser: Browser) -> None:
    """Open every fold of a page."""
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")


def texts(browser: Browser, selector: str) -> list[str]:
    """What the elements of a page say."""
    return browser.run(f"[...document.querySelectorAll('{selector}')].map(each => each.textContent)")


def test_a_figure_can_be_cited_by_its_number_in_html_and_markdown(page):
    """The same figure has the same number in both."""
    in_html = re.findall(r"<figcaption>(Figure \d+): (\w+ \w+)", page.read_text())
    in_markdown = re.findall(r"^(Figure \d+): (\w+ \w+)", page.with_suffix(".md").read_text(), re.M)
    assert in_html == in_markdown
    assert [number for number, _ in in_html] == [f"Figure {n}" for n in range(1, len(in_html) + 1)]
    assert len(in_html) > 1


@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "null"])
def test_no_hostile_string_can_be_the_name_of_a_study(make_study, text):
    with pytest.raises(Fault):
        make_study(name=text)


def test_a_broken_page_would_be_noticed(browser, tmp_path):
    """So that the test above can fail: without escaping, these strings act."""
    (tmp_path / "page.html").write_text(f"<!doctype html><p>{''.join(HOSTILE[:3])}<p>")
    browser.open(tmp_path / "page.html")
    assert browser.run("window.acted") == 1
    assert browser.run(f"document.querySelectorAll('{ACTS}').length") > 0
    assert len(browser.asked_for()) > 1


@pytest.mark.parametrize("hostile", [False, True])
def test_only_tables_and_figures_scroll_sideways(browser, page, make_study, publish, noise, hostile):
    if hostile:
        store = publish(hostile_study(make_study, 18), lambda cell: 0.8 + noise(cell, "acc") / 100)
        page = study_report.build(store).path
    wide = "[...document.querySelectorAll('*')].filter(each => each.scrollWidth > each.clientWidth + 1)"
    boxes = f"{wide}.filter(each => getComputedStyle(each).overflowX === 'auto')"
    for width in (360, 768, 1280):
        browser.open(page, width=width)
        unfold(browser)
        assert browser.run("document.documentElement.scrollWidth") <= width
        named = "each.ariaLabel || each.getAttribute('aria-labelledby')"
        reached = browser.run(f"{boxes}.map(each => each.tabIndex === 0 && !!({named}))")
        assert all(reached) and (reached or width > 360)


def test_the_verdict_of_a_contrast_stays_in_view_however_far_its_table_is_scrolled(browser, page):
    browser.open(page, width=390)
    unfold(browser)
    box, cell = "document.querySelector('.scroll:has(table.contrasts)')", "document.querySelector('td.kept')"
    assert browser.run(f"{box}.scrollWidth > {box}.clientWidth")
    for scrolled in (0, 10_000):
        browser.run(f"{box}.scrollLeft = {scrolled}")
        inside = f"(({cell}).getBoundingClientRect())"
        assert browser.run(f"{inside}.left >= 0 && {inside}.right <= 390")


def test_the_keyboard_reaches_the_verdicts_and_every_table(browser, page):
    browser.open(page, width=360)
    browser.press_tab()
    assert browser.run("document.activeElement.textContent") == "Skip to the verdicts"
    assert browser.run("getComputedStyle(document.activeElement).clipPath") == "none"
    assert browser.run("document.querySelector(document.activeElement.hash).textContent") == "Verdicts"
    unfold(browser)
    seen = []
    for _ in range(40):
        browser.press_tab()
        outline = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        seen.append(browser.run("document.activeElement.getAttribute('aria-labelledby')"))
        assert outline == "solid" or browser.run("document.activeElement === document.body")
    tables = browser.run("[...document.querySelectorAll('summary[id]')].map(e => e.id)")
    assert tables and set(tables) <= set(seen)


def test_headings_are_in_order_and_ids_single(browser, page):
    browser.open(page)
    levels = browser.run("[...document.querySelectorAll('h1,h2,h3,h4')].map(each => +each.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = browser.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby"):
        given = f"[...document.querySelectorAll('[{name}]')].map(each => each.getAttribute('{name}'))"
        assert len(browser.run(given)) > 0 and set(browser.run(given)) <= set(ids)
    assert browser.run("document.documentElement.lang") == "en"


def test_dark_is_dark_and_light_is_light(browser, page):
    """Figures are drawn on white: in the dark their lightness is turned, and their hues stay."""
    paper = "getComputedStyle(document.body).backgroundColor"
    turned = "[...document.querySelectorAll('.paper svg')].map(each => getComputedStyle(each).filter)"
    browser.open(page)
    light = browser.run(paper)
    assert set(browser.run(turned)) == {"none"}
    browser.open(page, dark=True)
    assert set(browser.run(turned)) == {"invert(0.88) hue-rotate(180deg)"}
    assert luminance(*map(int, re.findall(r"\d+", light))) > 0.9
    assert luminance(*map(int, re.findall(r"\d+", browser.run(paper)))) < 0.05


def test_a_page_takes_few_screens_until_a_fold_is_opened(browser, make_study, publish, noise):
    """Of a study of 20 contrasts: the answer and its figure, then at most 12 verdicts, then folds."""
    many = tuple(
        Contrast(f"norm {n}", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": (4, 64)[n % 2]})
        for n in range(20)
    )
    store = publish(make_study(**PLAIN | {"primary": many}), lambda cell: 0.8 + noise(cell, "acc") / 100)
    made = study_report.build(store).path
    assert made.stat().st_size < 2_000_000
    browser.open(made)
    screens = "document.documentElement.scrollHeight / 800"
    assert browser.run(screens) < 8
    shown = "[...document.querySelectorAll('.card, figure')].filter(each => each.checkVisibility())"
    assert browser.run(f"{shown}.map(each => each.tagName)") == ["FIGURE", *["SECTION"] * 12]
    unfold(browser)
    assert browser.run(screens) > 8 and len(browser.run(f"{shown}.map(each => each.tagName)")) > 21


LEAST_TEXT = 8.0  # pixels of the smallest text of a figure; what one reads on a phone
SMALLEST = 6.5  # points of that text as drawn


def test_the_text_of_figures_can_be_read_on_a_phone_without_a_tap(browser, page):
    browser.open(page, width=390)
    unfold(browser)
    scale = "s.getScreenCTM().a"  # pixels on the screen for each point of the drawing
    scales = browser.run(f"[...document.querySelectorAll('.paper svg')].map(s => {scale})")
    assert len(scales) > 1 and all(SMALLEST * each >= LEAST_TEXT for each in scales)
    wide = "[...document.querySelectorAll('.wide')]"
    assert browser.run(f"{wide}.length > 1 && {wide}.every(each => each.scrollWidth > each.clientWidth)")
    assert browser.run("document.documentElement.scrollWidth") == 390


def test_a_phone_shows_the_verdicts_of_contrasts_first_and_scrolls_to_their_names(browser, page):
    browser.open(page, width=390)
    unfold(browser)
    box, drawing = "document.querySelector('.verdicts')", "document.querySelector('.verdicts svg')"
    inside = f"{drawing}.getBoundingClientRect()"
    assert browser.run(f"{inside}.right <= 390 && {inside}.left < 0")
    browser.run(f"{box}.scrollLeft = -10_000")
    assert browser.run(f"{inside}.left >= 0 && {inside}.right > 390")
    other = "document.querySelector('.wide:not(.verdicts) svg').getBoundingClientRect()"
    assert browser.run(f"{other}.left >= 0 && {other}.right > 390")  # an axis comes before the lines


def luminance(*rgb: int) -> float:
    """Relative luminance of WCAG 2."""
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours such as '#1a1a1a'."""
    light = sorted(luminance(*(int(color[i : i + 2], 16) for i in (1, 3, 5))) for color in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


def test_every_colour_of_a_text_can_be_read():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the known borderline grey
    themes = re.findall(r":root \{(.*?)\}", TEMPLATE.read_text(), re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colors = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for name in ("ink", "quiet", "alarm", "better", "worse", "equivalent", "focus"):
            assert contrast(colors[name], colors["paper"]) >= 4.5, name
            assert contrast(colors[name], colors["card"]) >= 4.5, name
