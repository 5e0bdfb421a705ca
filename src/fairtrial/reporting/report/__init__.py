"""Pages: the report of one study, the report over all of them, LaTeX macros, templates.

Every number on a page comes from `verdicts`, `tables` or `figures`.
"""
