"""Pages lead where they say: relative links, and paths of this repository in code quotes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "results/README.md")
    for path in ROOT.glob(pattern)
)
FOLDERS = r"(?:src|tests|bench|ablations|analysis|docs|\.github)/"


def text(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_a_file(page):
    links = re.findall(r"\]\(([^)#\s]+)", text(page))
    relative = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in relative if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_quoted_paths_of_this_repository_exist(page):
    quoted = re.findall(rf"`({FOLDERS}[\w./-]*)`", text(page))
    assert [path for path in quoted if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_quoted_modules_exist(page):
    modules = re.findall(r"(?:from|import) (fairtrial(?:\.\w+)*)", text(page))
    places = [ROOT / "src" / name.replace(".", "/") for name in modules]
    assert [str(path) for path in places if not (path.is_dir() or path.with_suffix(".py").exists())] == []


def test_every_page_is_linked_from_the_readme():
    assert [page for page in PAGES if page.startswith("docs/") and page not in text("README.md")] == []


def test_every_page_has_its_place_in_the_site():
    """In docs/index.md; the build, `tox -e docs`, checks links and anchors."""
    listed = set(re.findall(r"^([\w/-]+)$", text("docs/index.md"), re.MULTILINE)) | {"index"}
    pages = {page[5:-3] for page in PAGES if page.startswith("docs/")}
    assert pages == listed, "write a new page into a list of docs/index.md"


def too_long(text):
    """Lines of more than 128 columns; tables, quotes, images, code and what a script writes may stay."""
    ours = re.sub(r"(?ms)^ *```.*?^ *```$|^<!-- .*? by: python .*?^<!-- end ", "", text)
    return [line for line in ours.splitlines() if len(line) > 128 and not line.startswith(("|", "> ", "!["))]


@pytest.mark.parametrize("page", PAGES)
def test_pages_keep_to_their_width(page):
    assert too_long(text(page)) == []


def test_a_long_line_would_be_seen():
    line = "word " * 30
    fence, made = f"```\n{line}\n```", f"<!-- the table, by: python a.py -->\n{line}\n<!-- end of it -->"
    kept = [f"| {line}|", f"> {line}", f"![{line}](a.svg)", fence, made]
    assert too_long("\n".join(kept)) == []
    for new in (line, f"- {line}", f"  {line}"):
        assert too_long("\n".join([*kept, new, *kept])) == [new]
