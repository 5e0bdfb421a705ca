"""Hold every number of the reports against the records they come from; exit 3 names what differs.

Run:     python analysis/verify.py [STUDY|DIR ...]
"""

import sys

from fairtrial.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["verify", *sys.argv[1:]]))
