"""Print what the recorded studies say of each published claim.

Run:     python analysis/claims.py [--results DIR]
"""

import sys

from fairtrial.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["claims", *sys.argv[1:]]))
