"""Draw what the benches measured, for every device or for the folders that are named.

Run:     python analysis/speed.py [results/bench/DEVICE ...]
Writes:  tables/, figures/ and captions.md beside the measurements
"""

import sys

from fairtrial.reporting.report.speed_report import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
