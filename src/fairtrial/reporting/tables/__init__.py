"""The tables of reports, each with its rows from records; as CSV, Markdown and LaTeX.

Decides no verdict.
"""
