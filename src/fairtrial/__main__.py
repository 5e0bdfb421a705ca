"""`python -m fairtrial`."""

import sys

from fairtrial.cli import main

if __name__ == "__main__":
    sys.exit(main())
