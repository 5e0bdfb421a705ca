"""The pages of docs/, the README and the recorded reports as a site: tox -e docs.

The source folder is the root of the repository, so that a link leads to the same file here and there.
"""

project = "fairtrial"
root_doc = "docs/index"
extensions = ["myst_parser"]
include_patterns = ["README.md", "CHANGELOG.md", "docs/**", "results/README.md", "results/**/*.md"]
exclude_patterns = ["[.]*", "src", "tests", "bench", "dist", "results/report", "results/**/captions.md"]
myst_heading_anchors = 3
# reports are reached by links; a block of csv has no colours
suppress_warnings = ["toc.not_included", "misc.highlighting_failure"]
html_theme = "furo"
html_title = "fairtrial"
html_show_sphinx = False
html_copy_source = False
