"""Print the verdict of each declared contrast of a study, with its interval, n and budget.

Run:     python analysis/verdicts.py STUDY [--results DIR]
"""

import sys

from fairtrial.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["verdict", *sys.argv[1:]]))
