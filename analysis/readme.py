"""Make the README's table of contrasts anew: every primary contrast of the studies that it quotes.

Run:     python analysis/readme.py
Reads:   README.md, verdicts.json and study.json of each study in results/
"""

from pathlib import Path

from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.report.contrast_tables import with_contrasts

README = Path("README.md")

if __name__ == "__main__":
    text = with_contrasts(README.read_text(encoding="utf-8"), Path("results"))
    print(f"wrote {write_files(Path(), {str(README): text})[0]}")
