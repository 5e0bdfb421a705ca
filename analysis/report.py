"""Draw the report of one study, or the report over everything recorded.

Run:     python analysis/report.py [STUDY] [--results DIR]
Writes:  report.html, report.md, tables/ and figures/ of the study; results/report without one
"""

import sys

from fairtrial.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
