"""Make the README's table of contrasts anew, and the list of studies in results/README.md.

Run:     python analysis/readme.py
Reads:   both pages, verdicts.json and study.json of each study in results/
"""

from pathlib import Path

from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.readme_tables import with_contrasts, with_studies

README, RESULTS = Path("README.md"), Path("results")
LIST = RESULTS / "README.md"

if __name__ == "__main__":
    made = {
        README: with_contrasts(README.read_text(encoding="utf-8"), RESULTS),
        LIST: with_studies(LIST.read_text(encoding="utf-8"), RESULTS),
    }
    for path in write_files(Path(), {str(name): text for name, text in made.items()}):
        print(f"wrote {path}")
